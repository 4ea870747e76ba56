"""The stages of OpenLRM and MIRA with random weights, the published way beside the one here; each in a process.

The published way of a mesh and of a film is reckoned from a part of it: one chunk of the lattice, and pictures of a few
of the poses. Its work does not depend on the object.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from bench.instantmesh_stages import Meter
from models.isosurface.marching import march
from models.lrm.cameras import LENS, ORBIT_VIEWS, camera_rays, orbit_poses, patch_rays, source_vectors
from models.lrm.configs import EncoderConfig
from models.lrm.decoders import DensityDecoder, density, radiance
from models.lrm.decoding import BOUNDS, SINGLE_VIEW_RESOLUTION, SINGLE_VIEW_THRESHOLD, density_surface
from models.lrm.fields import DensityField
from models.lrm.losses import MIRA, losses
from models.lrm.occupancy import OccupiedSpace
from models.lrm.pictures import view
from models.lrm.single_view import OFFICIAL, SingleViewConfig
from models.lrm.single_view_tiny import DINO_V2, random_single_view
from models.lrm.triplane import sample
from models.lrm.volume import render_rays

PUBLISHED_CHUNK = 1 << 20
"""Points of the lattice that the published code asks for at once."""


@dataclass(frozen=True)
class Training:
    """A step of training: views of one object, square parts of them, samples along a ray, steps that are timed."""

    config: SingleViewConfig
    views: int
    region: int
    steps: int
    rays: int  # at once, where they are gone through in chunks


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        source: side of the given picture.
        resolution: lattice points of the mesh along each axis.
        side, filmed: of the pictures of the film, and how many of them are drawn at that size.
        counted: side of the pictures of the whole film on which points are counted.
    """

    config: SingleViewConfig
    source: int
    resolution: int
    side: int
    filmed: int
    counted: int
    training: Training


_TRAINED = SingleViewConfig(
    "mira", EncoderConfig(192, 4, 3, 768, 128, 16, camera_width=0, position_offset=0.0), 256, 256, 6, 8, 32, 32, 64
)
_LEAST = replace(_TRAINED, encoder=replace(_TRAINED.encoder, width=64, layers=1, heads=1), layers=1, low_resolution=8)
SIZES = {
    "full": Size(
        OFFICIAL["openlrm-base-1.1"], 336, SINGLE_VIEW_RESOLUTION, 288, 1, 24, Training(_TRAINED, 2, 32, 2, 256)
    ),
    "least": Size(
        SingleViewConfig("openlrm-1.1", DINO_V2, 64, 128, 2, 2, 16, 8, 32),
        56,
        64,
        16,
        1,
        4,
        Training(replace(_LEAST, samples_per_ray=16), 2, 8, 1, 16),
    ),
}


class Counted(DensityField):
    """A field that counts the points that it is asked for."""

    queries = 0

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        self.queries += len(points)
        return super().__call__(points)

    def density(self, points: Tensor) -> Tensor:
        self.queries += len(points)
        return super().density(points)


class Published(Counted):
    """A field asked as published: features of all planes are put together, then the network is gone through."""

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        self.queries += len(points)
        raw = self._decoder.net(sample(self.planes, points))
        return radiance(raw[:, 1:]), raw[:, 0]


@torch.no_grad()
def networks(size: Size, device: torch.device, output: Path) -> dict[str, Any]:
    """Picture → tokens → planes, which go into a file with their decoder."""
    meter = Meter(device)
    held = meter.held()
    with torch.device(device):
        network = random_single_view(size.config).requires_grad_(False)
    weights = sum(each.nbytes for each in network.parameters())
    held = None if held is None else held + weights
    picture = torch.rand(1, 3, size.source, size.source, generator=torch.Generator().manual_seed(0)).to(device)
    cameras = source_vectors(size.config).to(device)
    network.encoder(picture[..., : size.source // 2, :])  # kernels are chosen in the first run
    with meter.stage("encode", held):
        tokens = network.encoder(picture)
    with meter.stage("planes", held):
        planes = network.planes_of_tokens(tokens, cameras)
    torch.save({"planes": planes[0].cpu(), "decoder": network.synthesizer.decoder.state_dict()}, output)
    return {"stages": _stages(meter), "weights": weights}


@torch.no_grad()
def mesh(size: Size, device: torch.device, planes: Path, output: Path) -> dict[str, Any]:
    """Planes → surface with colours at its vertices."""
    field, meter = _field(Counted, size, device, planes), Meter(device)
    with meter.stage("mesh"):
        found = density_surface(field, size.resolution, SINGLE_VIEW_THRESHOLD)
        colours = field.colour(torch.from_numpy(found.vertices).to(device)).cpu()
    torch.save({"vertices": torch.from_numpy(found.vertices), "faces": torch.from_numpy(found.faces)}, output)
    counts = {"queries": field.queries, "vertices": len(colours), "faces": len(found.faces)}
    return {"stages": _stages(meter), **counts}


@torch.no_grad()
def published_mesh(size: Size, device: torch.device, planes: Path, whole: Path | None) -> dict[str, Any]:
    """The same from density and colour at every point of the lattice, reckoned from one chunk of it.

    Args:
        whole: a file of `mesh`, whose triangles are compared with those of the whole lattice.
    """
    field, meter, count = _field(Published, size, device, planes), Meter(device), size.resolution**3
    axis = torch.from_numpy(BOUNDS.axes(size.resolution)[0]).to(device)

    def lattice(start: int, amount: int) -> Tensor:
        index = torch.arange(start, min(start + amount, count), device=device)
        return torch.stack([axis[index // size.resolution**power % size.resolution] for power in (2, 1, 0)], dim=1)

    with meter.stage("mesh"):
        densities, colours = torch.zeros(count), torch.zeros(count, 3)
        points = lattice(0, PUBLISHED_CHUNK)
        colour, raw = field(points)
        colours[: len(points)], densities[: len(points)] = colour.cpu(), density(raw).cpu()
    figures: dict[str, Any] = {"stages": _stages(meter, count / len(points)), "queries": count}
    if whole is not None:
        del colours
        # The field of `mesh`, because where a value is almost the level another order of sums makes other triangles.
        same = _field(Counted, size, device, planes)
        for start in range(0, count, PUBLISHED_CHUNK):
            part = same.density(lattice(start, PUBLISHED_CHUNK))
            densities[start : start + len(part)] = part.cpu()
        vertices, faces = march((SINGLE_VIEW_THRESHOLD - densities).view(*[size.resolution] * 3).numpy())
        places, sparse = vertices * (2 / (size.resolution - 1)) - 1, torch.load(whole)["vertices"].numpy()
        apart = max(cKDTree(one).query(other)[0].max() for one, other in ((places, sparse), (sparse, places)))
        figures |= {"faces": len(faces), "apart": float(apart)}
    return figures


@torch.no_grad()
def video(size: Size, device: torch.device, planes: Path) -> dict[str, Any]:
    """An orbit without asking in empty space, and how much its pictures differ from those that ask everywhere.

    Time is reckoned from a few pictures; points are counted on small pictures of all poses.
    """
    field, meter, samples = _field(Counted, size, device, planes), Meter(device), size.config.samples_per_ray
    poses = orbit_poses("openlrm-1.1")
    chosen = poses[:: ORBIT_VIEWS // size.filmed][: size.filmed]
    with meter.stage("space"):
        space = OccupiedSpace.of(field)
    with meter.stage("video"):
        drawn = [view(field, pose, size.side, samples, occupied=space).colour for pose in chosen]
    apart = max(
        float((one - view(field, pose, size.side, samples).colour).abs().max())
        for one, pose in zip(drawn, chosen, strict=True)
    )
    field.queries = space.queries
    for pose in poses:
        view(field, pose, size.counted, samples, occupied=space)
    stages = _stages(meter, ORBIT_VIEWS / size.filmed)
    stages["video"]["seconds"] += stages["space"]["seconds"] * size.filmed / ORBIT_VIEWS
    published = ORBIT_VIEWS * size.counted**2 * samples
    return {
        "stages": {"video": stages["video"]},
        "queries_of_small": field.queries - space.queries,
        "queries_of_space": space.queries,
        "published_of_small": published,
        "apart": apart,
    }


@torch.no_grad()
def published_video(size: Size, device: torch.device, planes: Path) -> dict[str, Any]:
    """The same asking at every sample of every ray, reckoned from one picture.

    The published code holds two pictures at once; here the rays go by in chunks, or this machine could not.
    """
    field, meter, samples = _field(Published, size, device, planes), Meter(device), size.config.samples_per_ray
    pose = orbit_poses("openlrm-1.1")[:1].to(device)
    with meter.stage("video"):
        origins, directions = (each[0] for each in camera_rays(pose, LENS.to(device), size.side, size.side))
        render_rays(field, origins, directions, samples, chunk=PUBLISHED_CHUNK)
    return {"stages": _stages(meter, ORBIT_VIEWS), "queries": ORBIT_VIEWS * size.side**2 * samples}


def training(size: Size, device: torch.device, chunked: bool) -> dict[str, Any]:
    """Steps of training on views of chance: with the rays in chunks that are gone through twice, or all at once."""
    settings = size.training
    config, generator = settings.config, torch.Generator().manual_seed(0)
    network = random_single_view(config).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4)
    side = config.encoder.image_size
    picture = torch.rand(1, 3, side, side, generator=generator).to(device)
    poses = orbit_poses("mira", settings.views).to(device)
    anchors, whole = torch.zeros(settings.views, 2), torch.full((settings.views,), 2 * settings.region)
    rays = patch_rays(poses, LENS.to(device), anchors, whole, settings.region)
    origins, directions = (each.flatten(0, 1) for each in rays)
    truth = torch.rand(1, settings.views, 3, settings.region, settings.region, generator=generator).to(device)
    cameras = source_vectors(config).to(device)
    samples = config.samples_per_ray
    chunk = (settings.rays if chunked else len(origins)) * samples // 2

    def step() -> None:
        planes = network.planes(picture, cameras)
        field = DensityField(network.synthesizer.decoder, planes[0])
        seen = render_rays(field, origins, directions, samples, chunk=chunk, checkpointed=chunked)
        shown = seen.colour.view(1, settings.views, settings.region, settings.region, 3).movedim(-1, 2)
        optimiser.zero_grad()
        losses(shown, truth, planes).total(MIRA).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    meter = Meter(device)
    with meter.stage("first"):  # the optimiser's memory comes with it
        step()
    with meter.stage("training"):
        for _ in range(settings.steps):
            step()
    return {"stages": {"training": _stages(meter, 1 / settings.steps)["training"]}, "rays": len(origins)}


def _field(kind: type[Counted], size: Size, device: torch.device, file: Path) -> Counted:
    content = torch.load(file)
    decoder = DensityDecoder(size.config.plane_channels).requires_grad_(False)
    decoder.load_state_dict(content["decoder"])
    field = kind(decoder.to(device), content["planes"].to(device))
    field(torch.zeros(8, 3, device=device))  # planes are folded, and kernels chosen, in the first run
    field.queries = 0
    return field


def _stages(meter: Meter, factor: float = 1.0) -> dict[str, dict[str, Any]]:
    """The figures, their times multiplied: what was run stands for so many times as much."""
    return {
        name: asdict(replace(stage, seconds=stage.seconds * factor, processor=stage.processor * factor))
        for name, stage in meter.stages.items()
    }
