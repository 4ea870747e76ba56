"""InstantMesh's memory plans: who gets which, and that their figures are what the networks really hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from backend.devices import Device  # noqa: E402
from backend.memory import choose_plan, with_margin  # noqa: E402
from backend.pipelines.instantmesh import INSTANTMESH, plans  # noqa: E402
from backend.pipelines.instantmesh.plans import view_plans  # noqa: E402
from backend.pipelines.instantmesh.sheets import read_sizes  # noqa: E402
from bench import instantmesh_sizes  # noqa: E402
from bench.flexicubes import Object, networks  # noqa: E402
from bench.instantmesh_sizes import PARAMETERS, PHOTO, TOKENS, WIDTH  # noqa: E402
from models.isosurface.flexicubes import extract_surface  # noqa: E402
from models.lrm.configs import VARIANTS  # noqa: E402
from models.lrm.fields import MeshField  # noqa: E402
from models.lrm.model import InstantMeshModel, LargeReconstructionModel  # noqa: E402
from models.zero123plus.conditioning import Condition  # noqa: E402
from models.zero123plus.denoising import denoise  # noqa: E402
from models.zero123plus.pictures import COLUMNS, ROWS, VIEW_SIZE  # noqa: E402
from models.zero123plus.scheduler import SchedulerConfig, make_schedule  # noqa: E402
from tests.backend.living import GB, Living, agree, empty, fused  # noqa: E402

SHEET = (4, ROWS * VIEW_SIZE // 8, COLUMNS * VIEW_SIZE // 8)
TOLERANCE = 0.04
network = cache(instantmesh_sizes.network)  # shapes without numbers, which nothing changes
DTYPES = [(torch.bfloat16, 2), (torch.float32, 4)]


def with_scores(query: Tensor, key: Tensor, value: Tensor, **_: object) -> Tensor:
    """Attention that holds its matrix of scores before and after the softmax."""
    scores = query @ key.transpose(-2, -1)
    return scores.softmax(-1) @ value


@pytest.fixture(autouse=True)
def _attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "scaled_dot_product_attention", fused)


def card(free: float, kind: str = "cuda") -> Device:
    return Device(kind, "Card", 80 * GB, round(free * GB), bfloat16=kind == "cuda")


def counted(work: Callable[[], object]) -> int:
    """Bytes of all tensors but weights that are alive at the worst moment."""
    with Living() as living, torch.inference_mode():
        work()
    return living.peak


@pytest.mark.parametrize(("dtype", "item"), DTYPES)
@pytest.mark.parametrize("scores", [False, True])
def test_denoising_holds_what_is_predicted(
    scores: bool, dtype: torch.dtype, item: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scores:
        monkeypatch.setattr(functional, "scaled_dot_product_attention", with_scores)
    unet = network("unet", dtype=dtype)
    assert sum(parameter.numel() for parameter in unet.parameters()) == PARAMETERS["unet"]
    condition = Condition(empty(2, TOKENS, WIDTH), empty(2, 4, PHOTO // 8, PHOTO // 8))
    schedule, draw = make_schedule(2, SchedulerConfig()), lambda shape: empty(*shape)
    row = plans.ROW_NUMBERS_WITH_SCORES if scores else plans.ROW_NUMBERS
    for rows in (None, 1):
        peak = counted(lambda rows=rows: denoise(unet, [condition], [draw], SHEET, schedule, 4.0, None, rows))
        agree(peak, row * (rows or 2) * item, TOLERANCE)


@pytest.mark.parametrize(("dtype", "item"), DTYPES)
def test_encoding_and_decoding_hold_what_is_predicted(dtype: torch.dtype, item: int) -> None:
    vae, vision = network("vae", dtype=dtype), network("vision_encoder", dtype=dtype)
    for part, made in (("vae", vae), ("vision_encoder", vision)):
        assert sum(parameter.numel() for parameter in made.parameters()) == PARAMETERS[part]
    photo = counted(lambda: vae.encode(empty(1, 3, PHOTO, PHOTO, dtype=dtype)).latent_dist.std.float())
    seen = counted(lambda: vision(pixel_values=empty(1, 3, 224, 224, dtype=dtype)).image_embeds.float())
    assert seen < photo
    agree(photo, plans.ENCODING_NUMBERS * item, TOLERANCE)
    sheet = counted(lambda: vae.decode(empty(1, *SHEET, dtype=dtype), return_dict=False)[0].float().clamp(0, 1))
    agree(sheet, plans.DECODING_NUMBERS * item, TOLERANCE)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_the_reconstruction_needs_less_than_the_most_frugal_plan(variant: str) -> None:
    with torch.device("meta"):
        model = InstantMeshModel(LargeReconstructionModel(VARIANTS[variant]).requires_grad_(False))
    work = counted(lambda: model.encode(empty(6, 3, VIEW_SIZE, VIEW_SIZE), empty(6, 16)))
    lowest = min(plan.needs_bytes for plan in view_plans(PARAMETERS, card(8)))
    assert model.loaded_bytes + work < lowest
    if variant == "instant_mesh_large":
        assert plans.__doc__ is not None
        assert f"{model.loaded_bytes / GB:.2f} GB for its weights" in plans.__doc__
        assert f"{work / GB:.2f} GB to encode" in " ".join(plans.__doc__.split())


def test_the_surface_needs_little_at_any_resolution() -> None:
    """A quarter of the bar at half the resolution; `python -m bench.instantmesh` counts the published one."""
    decoder, planes = networks(torch.device("cpu"))
    field = Object(MeshField(decoder, planes), lambda: 0.0)
    peak = counted(lambda: extract_surface(field, 64))
    assert peak < 0.08 * GB


@pytest.mark.parametrize(
    ("free", "name"),
    [
        (23.2, "full"),  # what a card of 24 GB has free
        (11.3, "full"),
        (9.3, "full"),
        (7.3, "full"),
        (5.0, "full"),
        (4.5, "parts"),
        (2.8, "parts"),
        (2.6, "halves"),
    ],
)
def test_the_planner_table(free: float, name: str) -> None:
    plan = choose_plan(view_plans(PARAMETERS, card(free)), card(free))
    assert (plan.name, plan.dtype, plan.tight) == (name, "bfloat16", False)


def test_what_the_panel_says_the_method_needs_is_what_the_most_generous_plan_needs() -> None:
    full = view_plans(PARAMETERS, card(8))[0]
    assert full.needs_bytes <= INSTANTMESH.memory_bytes <= 1.25 * full.needs_bytes


@pytest.mark.parametrize("kind", ["cuda", "mps", "cpu"])
def test_each_plan_needs_less_than_the_one_before(kind: str) -> None:
    for precision in ("auto", "float32", "float16"):
        ladder = view_plans(PARAMETERS, card(12, kind), precision)  # type: ignore[arg-type]
        for more, less in pairwise(ladder):
            assert more.needs_bytes > less.needs_bytes
    assert view_plans(PARAMETERS, card(12, "mps"))[0].needs_bytes > view_plans(PARAMETERS, card(12))[0].needs_bytes


def test_settings_say_what_to_do_and_the_sentence_says_it_to_people() -> None:
    full, parts, halves = view_plans(PARAMETERS, card(8))
    assert full.settings == {"keep_parts": True, "rows": None}
    assert parts.settings == {"keep_parts": False, "rows": None}
    assert halves.settings == {"keep_parts": False, "rows": 1}
    assert full.sentence.startswith("16-bit") and view_plans(PARAMETERS, card(8, "cpu"))[0].sentence.startswith("32")
    assert all(with_margin(plan.needs_bytes) < 7.3 * GB for plan in (full, parts, halves)), "cards of 8 GB run them all"


def test_sizes_come_from_the_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.pipelines.instantmesh.tiny import write_tiny_instantmesh_checkpoints
    from models.zero123plus.tiny import tiny_parts

    monkeypatch.setenv("SET_DRESSER_MODELS", str(write_tiny_instantmesh_checkpoints(tmp_path, models=())))
    sizes = read_sizes()
    parts = tiny_parts()
    assert set(sizes) == set(PARAMETERS)
    assert all(sizes[part] == sum(tensor.numel() for tensor in parts[part].tensors.values()) for part in sizes)
