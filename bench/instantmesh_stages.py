"""The stages of InstantMesh with random weights: the reconstruction is run, the making of views is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from backend.geometry.cleanup import clean
from backend.pipelines.instantmesh import InstantMeshParameters
from backend.pipelines.instantmesh.turntable import DISTANCE, ELEVATION, FIELD_OF_VIEW, FRAMES, SAMPLES, SIDE
from bench.flexicubes import Memory, Object
from bench.instantmesh_sizes import PHOTO, TOKENS, WIDTH, network
from models.isosurface.flexicubes import extract_surface
from models.lrm import tiny
from models.lrm.cameras import circular_poses, slot_cameras
from models.lrm.configs import VARIANTS, LrmConfig
from models.lrm.fields import MeshField
from models.lrm.model import InstantMeshModel, LargeReconstructionModel
from models.rendering import Camera, bake, preview
from models.zero123plus.conditioning import Condition
from models.zero123plus.denoising import denoise
from models.zero123plus.pictures import COLUMNS, ROWS, VIEW_SIZE
from models.zero123plus.scheduler import SchedulerConfig, make_schedule

FILMED = 6
"""Pictures of the turntable that are drawn; the others take as long."""


@dataclass(frozen=True)
class Size:
    """How large the reconstruction is."""

    config: LrmConfig
    resolution: int
    faces: int
    texture: int


_DEFAULT = InstantMeshParameters.model_validate({})
OFFICIAL = Size(VARIANTS["instant_mesh_large"], _DEFAULT.resolution, _DEFAULT.faces, _DEFAULT.texture_size)
TINY = Size(LrmConfig(tiny.ENCODER, tiny.TRANSFORMER), 32, 1000, 1024)
SIZES = {"official": OFFICIAL, "tiny": TINY}


@dataclass
class Stage:
    """Seconds on the clock and of all processor cores together, and the peak of memory in bytes above what was held
    before; None where the system does not tell."""

    seconds: float = 0.0
    processor: float = 0.0
    peak: int | None = None


class Meter:
    """Times stages on a device that works behind the program's back, and their peak memory."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stages: dict[str, Stage] = {}

    @contextmanager
    def stage(self, name: str, before: int | None = None) -> Iterator[None]:
        """One stage. `before`: bytes that do not count; what is held at its beginning if None."""
        memory = Memory(self.device)
        memory.begin()
        memory.before = memory.before if before is None else before
        begun, busy = self.now(), time.process_time()
        yield
        self.stages[name] = Stage(self.now() - begun, time.process_time() - busy, memory.above())

    def held(self) -> int | None:
        """Bytes that are held now."""
        memory = Memory(self.device)
        memory.begin()
        return memory.before

    def now(self) -> float:
        """Seconds, when all that was asked of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def random_model(config: LrmConfig, device: torch.device, seed: int = 0) -> InstantMeshModel:
    """The reconstruction model with random numbers in it."""
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        return InstantMeshModel(LargeReconstructionModel(config).requires_grad_(False).eval())


@torch.no_grad()
def reconstruction(size: Size, name: str) -> tuple[dict[str, Stage], dict[str, int]]:
    """Views → planes → surface → clean mesh → texture, in this process.

    The surface is that of a ball that the networks make uneven, so that there is an object of the usual size; every
    point is paid for with a query of the networks.

    Args:
        size: of networks and results.
        name: the device.

    Returns:
        Figures of the stages, the memory of the first two counted above the weights; and sizes: bytes of the weights,
        triangles of the surface before and after clean-up, charts of the texture.
    """
    device = torch.device(name)
    meter = Meter(device)
    held, model = meter.held(), random_model(size.config, device)
    weights = model.loaded_bytes
    if held is not None:
        held += weights  # what making them at random has left behind counts as used
    views = torch.rand(6, 3, VIEW_SIZE, VIEW_SIZE, generator=torch.Generator().manual_seed(0))
    model.encode(views[:1, :, :64, :64], slot_cameras()[:1])  # kernels are chosen in the first run
    with meter.stage("encode", held):
        planes = model.encode(views, slot_cameras())
    with meter.stage("surface", held):
        field = model.field(planes)
        assert isinstance(field, MeshField)
        found = extract_surface(Object(field, meter.now), size.resolution, device=device)
    del model
    with meter.stage("clean"):
        vertices, faces = found.vertices.cpu().numpy(), found.faces.cpu().numpy()
        shape = clean(vertices, faces, target_faces=size.faces, smallest_piece=_DEFAULT.floaters)
    points, triangles = torch.from_numpy(shape.vertices).float().to(device), torch.from_numpy(shape.faces).to(device)
    with meter.stage("texture"):
        baked = bake(points, triangles, field.colour, size=size.texture)
    with meter.stage("turntable"):
        for pose in circular_poses(FRAMES, DISTANCE, ELEVATION)[:: FRAMES // FILMED]:
            camera = Camera.perspective(pose, FIELD_OF_VIEW)
            preview(points, triangles, camera, field.colour, width=SIDE, samples=SAMPLES)
    meter.stages["turntable"].seconds *= FRAMES / FILMED
    meter.stages["turntable"].processor *= FRAMES / FILMED
    sizes = {"weights": weights, "surface": len(faces), "faces": len(shape.faces), "charts": baked.charts}
    return meter.stages, sizes


def operations() -> dict[str, float]:
    """TFLOP at the published sizes, a multiplication with an addition counted as two; nothing is computed."""

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(shape, device="meta")

    def counted(work: Callable[[], object]) -> float:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            work()
        return float(counter.get_total_flops()) / 1e12

    vae, unet = network("vae"), network("unet")
    sheet = (4, ROWS * VIEW_SIZE // 8, COLUMNS * VIEW_SIZE // 8)
    condition = Condition(empty(2, TOKENS, WIDTH), empty(2, 4, PHOTO // 8, PHOTO // 8))
    photo = empty(1, 3, PHOTO, PHOTO)
    schedule = make_schedule(1, SchedulerConfig())

    def step() -> torch.Tensor:
        return denoise(unet, [condition], [lambda shape: empty(*shape)], sheet, schedule)

    found = {
        "embed the photo": counted(lambda: network("vision_encoder")(pixel_values=empty(1, 3, 224, 224))),
        "encode the photo": counted(lambda: vae.encode(photo).latent_dist.mean),
        "a step": counted(
            lambda: denoise(
                unet, [condition], [lambda shape: empty(*shape)], sheet, make_schedule(1, SchedulerConfig())
            )
        ),
        "decode the sheet": counted(lambda: vae.decode(empty(1, *sheet))),
    }
    once = sum(seconds for name, seconds in found.items() if name != "a step")
    found |= {
        f"a photo, {steps} steps": once + steps * found["a step"] for steps in InstantMeshParameters.QUALITIES.values()
    }
    with torch.device("meta"):
        model = InstantMeshModel(LargeReconstructionModel(OFFICIAL.config).requires_grad_(False).eval())
    found["planes of six views"] = counted(lambda: model.encode(empty(6, 3, VIEW_SIZE, VIEW_SIZE), empty(6, 16)))
    return found
