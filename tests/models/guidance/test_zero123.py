"""Zero123 as a prior: every published layout, the camera's turn, and several references."""

from __future__ import annotations

import json
import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from models.converted_folders import converted_folder  # noqa: E402
from models.guidance import tiny  # noqa: E402
from models.guidance.distillation import Distillation, Frugality  # noqa: E402
from models.guidance.prior import RelativeViews  # noqa: E402
from models.guidance.zero123 import (  # noqa: E402
    Reference,
    Zero123Prior,
    camera,
    condition,
    seen_from,
    shrunk,
    trust,
)
from models.guidance.zero123_files import RAW, Zero123Files, contents, convert  # noqa: E402
from models.headers import CheckpointDamaged, CheckpointForeign, CheckpointMissing  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402
from models.writing import write_torch  # noqa: E402

STEP = Step(number=3, seed=7)
SIDE = 64


def opened(source: Path, kept: Path | None = None) -> Zero123Files:
    return Zero123Files(source, kept)


def prior_of(files: Zero123Files, pictures: Any, references: list[Reference] | None = None) -> Zero123Prior:
    with torch.no_grad():
        told = condition(pictures[0], files.parts)
    made = Zero123Prior(files.parts, references or [Reference(told)], Distillation(5.0))
    made.side = SIDE
    return made


@pytest.fixture(scope="module")
def files(zero123: Path) -> Zero123Files:
    return opened(zero123)


@pytest.fixture
def prior(files: Zero123Files, pictures: Any) -> Zero123Prior:
    return prior_of(files, pictures)


@pytest.mark.parametrize(
    ("layout", "pickled"),
    [
        ("checkpoint", False),
        ("clip_camera_projection", False),
        ("clip_camera_projection", True),
        ("cc_projection", True),
    ],
)
def test_every_layout_says_the_same(
    layout: tiny.Layout, pickled: bool, zero123: Path, prior: Any, pictures: Any, views: Any, tmp_path: Path
) -> None:
    place = tmp_path / ("tiny.ckpt" if layout == "checkpoint" else "mirror")
    found = opened(tiny.write_tiny_zero123(place, layout, pickled=pickled), tmp_path / "kept")
    assert found.sizes() == opened(zero123).sizes()
    made = prior_of(found, pictures)
    assert torch.equal(made.references[0].condition.embedding, prior.references[0].condition.embedding)
    assert torch.equal(made.gradient(pictures, views, STEP), prior.gradient(pictures, views, STEP))


def test_the_average_is_taken_and_not_the_raw_weights(tmp_path: Path) -> None:
    tensors = tiny.tiny_tensors()
    name = "input_blocks.0.0.weight"
    average = tensors["model_ema.diffusion_model" + name.replace(".", "")]
    found = contents(tensors).parts["unet"].tensors["conv_in.weight"]
    assert torch.equal(found, average) and not torch.equal(found, tensors[RAW + name])
    alone = {each: tensor for each, tensor in tensors.items() if not each.startswith("model_ema.")}
    assert torch.equal(contents(alone).parts["unet"].tensors["conv_in.weight"], tensors[RAW + name])


def test_the_average_is_taken_where_a_mirror_has_both(zero123: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(zero123, tmp_path / "mirror")
    other = tiny.write_tiny_zero123(tmp_path / "other", "cc_projection", seed=1, averaged=True)
    shutil.copytree(other, folder, dirs_exist_ok=True)
    assert len([*(folder / "unet").glob("*.safetensors")]) == 2
    found, averages = opened(folder).parts, opened(other).parts
    assert torch.equal(found["projection"].weight, averages["projection"].weight)
    assert torch.equal(found["unet"].conv_in.weight, averages["unet"].conv_in.weight)


def test_a_checkpoint_is_converted_once_without_what_it_does_not_need(tmp_path: Path) -> None:
    file = tiny.write_tiny_zero123(tmp_path / "105000.ckpt", "checkpoint")
    folder = convert(file, tmp_path / "kept")
    assert folder == converted_folder(file, tmp_path / "kept")
    times = {each: each.stat().st_mtime_ns for each in folder.rglob("*.safetensors")}
    assert {each.parent.name for each in times} == {"unet", "vae", "image_encoder", "cc_projection"}
    opened(file, tmp_path / "kept")
    file.unlink()
    opened(file, tmp_path / "kept")
    assert {each: each.stat().st_mtime_ns for each in folder.rglob("*.safetensors")} == times


def test_what_a_checkpoint_holds_besides_is_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Harmful:
        def __reduce__(self) -> Any:
            return (pickle.loads, (pickle.dumps(ran.touch),))

    content = tiny.training(tiny.tiny_tensors())
    content["callbacks"] = {tiny.ModelCheckpoint: Harmful(), "numbers": _numpy_scalar()}
    torch.save(content, tmp_path / "105000.ckpt")
    opened(tmp_path / "105000.ckpt")
    assert not ran.exists()


def _numpy_scalar() -> Any:
    import numpy as np

    return {"scalar": np.float32(2.0), "array": np.arange(3)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model.diffusion_model.input_blocks.9.0.weight": torch.ones(1)}, "105000.ckpt"),
        ({"cc_projection.weight": torch.ones(3, 3)}, r"weight has the shape \[3, 3\]"),
        ({"model_ema.other": torch.ones(1)}, "average of nothing"),
        ({"model_ema.diffusion_modelout0weight": None}, "has no running average"),
        ({"cc_projection.weight": None, "cc_projection.bias": None}, "it has no cc_projection"),
        ({"first_stage_model.encoder.conv_in.bias": None}, "vae"),
        ({"something.else": torch.ones(1)}, "something.else is no tensor of Zero123"),
        ({"cc_projection.bias": "text"}, "is no tensor"),
    ],
    ids=str,
)
def test_a_checkpoint_of_something_else_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    tensors: dict[str, Any] = tiny.tiny_tensors() | change
    kept = {name: each for name, each in tensors.items() if each is not None}
    file = write_torch(tmp_path / "105000.ckpt", tiny.training(kept))
    with pytest.raises(CheckpointForeign, match=says):
        opened(file)
    assert not converted_folder(file).exists()


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_cut_checkpoint_is_told(share: float, tmp_path: Path) -> None:
    file = tiny.write_tiny_zero123(tmp_path / "105000.ckpt", "checkpoint")
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(CheckpointDamaged, match="cut off"):
        opened(file)
    with pytest.raises(CheckpointMissing):
        opened(tmp_path / "none.ckpt")


def test_folders_of_something_else_are_refused(zero123: Path, stable_diffusion: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing):
        opened(stable_diffusion)
    folder = shutil.copytree(zero123, tmp_path / "mirror")
    shutil.rmtree(folder / "cc_projection")
    with pytest.raises(CheckpointMissing, match="neither cc_projection nor clip_camera_projection"):
        opened(folder)
    folder = shutil.copytree(zero123, tmp_path / "other")
    shutil.rmtree(folder / "unet")
    shutil.copytree(stable_diffusion / "unet", folder / "unet")
    with pytest.raises(CheckpointForeign, match="takes 4 channels; that of Zero123 takes 8"):
        opened(folder)
    folder = shutil.copytree(zero123, tmp_path / "third")
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config | {"beta_end": 0.02}))
    with pytest.raises(CheckpointForeign, match=r"beta_end is 0\.02"):
        opened(folder)


def test_the_camera_is_that_of_a_right_handed_world(views: Any) -> None:
    found = camera(views)[:, 0]
    assert torch.allclose(found[0], torch.tensor([0.0, 1.0, 0.0, 0.0]), atol=1e-6), "a quarter counter-clockwise"
    mirror = RelativeViews(views.polar, -views.azimuth, views.radius, views.angle)
    assert torch.equal(camera(mirror, mirrored=True), camera(views))


def test_the_reference_view_is_left_alone_and_its_back_counts_most(prior: Any, pictures: Any) -> None:
    angles = torch.tensor([0.0, math.pi])
    zero = torch.zeros(2)
    seen = RelativeViews(zero, angles, zero, angles)
    found = prior.gradient(pictures, seen, STEP)
    assert found[0].abs().max() == 0.0 and found[1].abs().max() > 0.0
    assert prior.factors(seen).tolist() == [0.0, 1.0]
    prior.by_angle = False
    assert prior.gradient(pictures, seen, STEP)[0].abs().max() > 0.0


def test_the_gradient_depends_on_the_view(prior: Any, pictures: Any, views: Any) -> None:
    turned = RelativeViews(views.polar, -views.azimuth, views.radius, views.angle)
    assert not torch.allclose(prior.gradient(pictures, views, STEP), prior.gradient(pictures, turned, STEP))


@pytest.mark.parametrize("frugality", [Frugality(True, True, 1)])
def test_less_at_once_is_the_same(prior: Any, pictures: Any, views: Any, frugality: Frugality) -> None:
    expected = prior.gradient(pictures, views, STEP)
    prior.frugality = frugality
    found = prior.gradient(pictures, views, STEP)
    assert (found - expected).abs().max() <= 2e-4 * expected.abs().max()


def test_several_references_are_asked_by_how_near_they_are(prior: Any, pictures: Any) -> None:
    told = prior.references[0].condition
    back = Reference(told, azimuth=math.pi)
    two = Zero123Prior(prior.parts, [Reference(told), back], Distillation(5.0))
    two.side = SIDE
    zero = torch.zeros(2)
    seen = RelativeViews(zero, torch.tensor([0.1, math.pi]), zero, torch.tensor([0.1, math.pi]))
    from_back = seen_from(seen, two.references[0], back)
    assert torch.allclose(from_back.azimuth, torch.tensor([0.1 - math.pi, 0.0]), atol=1e-6)
    assert torch.allclose(from_back.angle, torch.tensor([math.pi - 0.1, 0.0]), atol=1e-3)
    assert torch.allclose(two.factors(seen), torch.tensor([0.2 / math.pi, 0.0]), atol=1e-3)
    # At the picture itself the other is not asked at all: what comes is what the one alone would say.
    latents, time = torch.randn(2, 4, 8, 8), torch.tensor([300, 300])
    alone, both = prior.predictions(latents, time, seen), two.predictions(latents, time, seen)
    assert torch.allclose(alone[1][0], both[1][0], atol=1e-5)
    assert not torch.allclose(alone[1][1], both[1][1], atol=1e-3)


def test_trust_falls_with_the_angle_and_ends_at_a_tenth() -> None:
    found = trust(torch.tensor([[1.0, 2.0, 30.0]]), torch.tensor([1.0, 1.0, 1.0]))
    assert torch.allclose(found, torch.tensor([[2 / 3, 1 / 3, 0.0]]))
    found = trust(torch.tensor([[1.0, 2.0]]), torch.tensor([1.0, 4.0]))
    assert torch.allclose(found, torch.tensor([[1 / 3, 2 / 3]]))
    assert trust(torch.zeros(1, 1), torch.ones(1)).item() == 1.0


def test_references_that_cannot_be(prior: Any, files: Zero123Files) -> None:
    with pytest.raises(ValueError, match="no reference"):
        Zero123Prior(files.parts, [])
    with pytest.raises(ValueError, match="weight 0"):
        Reference(prior.references[0].condition, weight=0.0)
    with pytest.raises(ValueError, match="a square"):
        condition(torch.zeros(3, 8, 9), files.parts)


def test_pixels_are_means_of_what_they_cover() -> None:
    picture = torch.rand(1, 3, 60, 60)
    assert torch.allclose(shrunk(picture, 20), torch.nn.functional.avg_pool2d(picture, 3), atol=1e-6)
    odd = shrunk(picture, 25)
    assert odd.shape == (1, 3, 25, 25) and torch.allclose(odd.mean(), picture.mean(), atol=1e-6)
    line = torch.tensor([0.0, 1.0, 2.0]).reshape(1, 1, 1, 3).expand(1, 1, 3, 3)
    assert torch.allclose(shrunk(line, 2)[0, 0, 0], torch.tensor([1 / 3, 5 / 3]))


def test_a_condition_is_the_picture_s_likeliest_latents_not_scaled(files: Zero123Files, pictures: Any) -> None:
    with torch.no_grad():
        found = condition(pictures[0], files.parts)
    assert found.embedding.shape == (1, 1, 32) and found.latent.shape == (1, 4, 32, 32)
    vae = files.parts["vae"]
    small = shrunk(pictures[:1], 256) * 2.0 - 1.0
    with torch.no_grad():
        assert torch.allclose(found.latent, vae.encode(small).latent_dist.mean, atol=1e-5), "the likeliest, not scaled"
