"""What InstantMesh cannot use gets a sentence, before the work where that is possible; so does what comes out empty."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend.contract import GenerateRequest, Photo  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.imaging.intake import check_inputs  # noqa: E402
from backend.pipelines import ending  # noqa: E402
from backend.pipelines.instantmesh import INSTANTMESH, reconstruct  # noqa: E402
from backend.pipelines.instantmesh.tiny import published_file  # noqa: E402
from backend.shot import InstanceMap  # noqa: E402
from models.isosurface.flexicubes import extract_surface  # noqa: E402
from models.lrm.model import LargeReconstructionModel  # noqa: E402
from models.lrm.tiny import tiny_network, write_checkpoint  # noqa: E402
from models.zero123plus.tiny import tiny_parts, write_white_unet  # noqa: E402
from tests.backend.instantmesh_shots import (  # noqa: E402
    FAST,
    ONE,
    PLAIN,
    SIZE,
    THREE,
    Kept,
    made,
    photo,
    png,
    request_of,
    warnings,
)

pytestmark = pytest.mark.usefixtures("instantmesh_models")


def refused(*arguments: Any, **options: Any) -> Problem:
    """The problem of a run; every problem comes with something to do."""
    with pytest.raises(Problem) as caught:
        made(*arguments, **options)
    assert caught.value.detail.strip() and caught.value.hint.strip()
    return caught.value


def test_several_photos_show_one_object() -> None:
    labels = ONE.instances.labels.copy()
    labels[:, : SIZE // 2] *= 2
    problem = refused(replace(THREE, instances=InstanceMap(labels, {1: "left", 2: "right"}), instance_source="map"))
    assert problem.code == "instances-too-many" and "3 photos" in problem.detail and "2 objects" in problem.detail


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_of_photos_are_as_many_as_pictures(rows: int) -> None:
    request = request_of(PLAIN, *range(rows))
    with pytest.raises(Problem, match="request-invalid") as caught:
        check_inputs(request, [png(photo())] * 2, None, None)
    assert f"{rows} photo(s) and 2 picture(s)" in caught.value.detail
    check_inputs(request_of(PLAIN, 0, 90), [png(photo())] * 2, None, None)
    check_inputs(request_of(PLAIN), [png(photo())] * 2, None, None)


@pytest.mark.parametrize("azimuth", [float("nan"), float("inf"), 400.0, "left"])
def test_an_azimuth_is_a_number_of_degrees(azimuth: Any) -> None:
    with pytest.raises(ValueError, match="azimuth"):
        Photo(azimuth=azimuth)
    with pytest.raises(ValueError, match="azimuth"):
        GenerateRequest.model_validate({"pipeline": "instantmesh", "photos": [{"azimuth": azimuth}]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "huge"},
        {"steps": 201},
        {"views": "5"},
        {"scale": 0.1},
        {"guidance": float("nan")},
        {"resolution": 512},
        {"size": -1},
        {"picks": [0]},
    ],
)
def test_parameters_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        INSTANTMESH.check(wrong)
    assert next(iter(wrong)) in caught.value.detail


@pytest.mark.parametrize("which", [0, 1])
def test_a_photo_that_shows_nothing_is_named(which: int, views: Kept) -> None:
    pictures = [photo(), photo()]
    pictures[which][..., 3] = 0
    shot = replace(ONE, images=tuple(pictures), photos=(Photo(), Photo()))
    problem = refused(shot, kept=views)
    assert problem.code == "image-empty"
    if which:
        assert problem.detail.startswith("Photo 2: ")


def test_a_second_photo_without_a_clear_background_is_named(views: Kept) -> None:
    noise = np.full((SIZE, SIZE, 4), 255, np.uint8)
    noise[..., :3] = 128
    problem = refused(replace(ONE, images=(photo(), noise), photos=(Photo(), Photo())), kept=views)
    assert problem.code == "background-unclear" and problem.detail.startswith("Photo 2: ")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def pointer(file: Path) -> None:
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def removed(file: Path) -> None:
    file.unlink()


def other_network(file: Path) -> None:
    """Another network under the right name, in the same format."""
    tensors = {f"some.{number}.weight": torch.zeros(3) for number in range(3)}
    if file.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(tensors, file)
    else:
        torch.save(tensors, file)


ZERO = "sudo-ai/zero123plus-v1.2"
MESH = "TencentARC/InstantMesh"
UNET = f"{MESH}/diffusion_pytorch_model.bin"
LARGE = f"{MESH}/instant_mesh_large.ckpt"
VAE = f"{ZERO}/vae/diffusion_pytorch_model.safetensors"
VISION = f"{ZERO}/vision_encoder/model.safetensors"
TEXT = f"{ZERO}/text_encoder/model.safetensors"

CASES: list[tuple[str, Callable[[Path], None], str]] = [
    *((file, removed, "weights-missing") for file in (UNET, LARGE, VAE, VISION, TEXT)),
    *((file, cut, "weights-damaged") for file in (UNET, LARGE, VAE, VISION, TEXT)),
    *((file, other_network, "weights-foreign") for file in (UNET, LARGE, VAE, VISION, TEXT)),
    *((file, emptied, "weights-damaged") for file in (UNET, LARGE)),
    *((file, pointer, "weights-damaged") for file in (UNET, LARGE, VAE)),
    (f"{ZERO}/model_index.json", removed, "weights-missing"),
    (f"{ZERO}/unet/config.json", cut, "weights-damaged"),
    (f"{ZERO}/scheduler/scheduler_config.json", emptied, "weights-damaged"),
]


@pytest.fixture
def copied(instantmesh_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models to break, with nothing converted yet."""
    for part in (ZERO, MESH):
        shutil.copytree(instantmesh_checkpoints / part, tmp_path / "models" / part)
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("SET_DRESSER_CONVERTED", str(tmp_path / "converted"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "nothing"))
    return tmp_path / "models"


@pytest.mark.parametrize(("file", "spoil", "code"), CASES)
def test_a_checkpoint_that_cannot_be_used_is_told_before_any_weights_are_read(
    file: str, spoil: Callable[[Path], None], code: str, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(copied / file)
    read: list[Any] = []
    monkeypatch.setattr("models.loading.read_tensors", lambda *arguments: read.append(arguments))
    problem = refused(ONE, PLAIN)
    assert problem.code == code, problem
    assert Path(file).stem in problem.detail + problem.hint, "the file is named"
    repository = MESH if file.startswith(MESH) else ZERO
    assert repository in problem.hint, "and where to get it"
    assert read == [] and not (copied.parent / "converted").exists()


def test_a_model_that_is_not_there_is_named_with_its_download(copied: Path) -> None:
    shutil.rmtree(copied / MESH)
    problem = refused(ONE, PLAIN)
    assert problem.code == "weights-missing" and MESH in problem.detail and "hf download" in problem.hint


def test_only_the_model_that_is_chosen_has_to_be_there(copied: Path, views: Kept) -> None:
    for model in ("base", "nerf-large", "nerf-base"):
        published_file(copied, model).unlink()
    made(ONE, PLAIN, kept=views)
    problem = refused(ONE, PLAIN.model_copy(update={"model": "base"}), kept=views)
    assert problem.code == "weights-missing" and "instant_mesh_base.ckpt" in problem.hint


def broken(folder: Path, model: str, spoil: Callable[[LargeReconstructionModel], None]) -> None:
    """Writes a model whose networks were changed."""
    network = tiny_network("density" if model.startswith("nerf") else "mesh")
    with torch.no_grad():
        spoil(network)
    write_checkpoint(published_file(folder, model), network.state_dict())


def lifted(network: LargeReconstructionModel) -> None:
    """Nothing is inside any more."""
    decoder: Any = network.synthesizer.decoder
    last = decoder.net_sdf[-1] if hasattr(decoder, "net_sdf") else decoder.net[-1]
    last.bias[0] += 100.0 if hasattr(decoder, "net_sdf") else -1000.0


@pytest.mark.parametrize("model", ["large", "nerf-large"])
def test_an_empty_shape_is_a_sentence_and_no_shell(model: str, copied: Path, views: Kept) -> None:
    broken(copied, model, lifted)
    problem = refused(ONE, PLAIN.model_copy(update={"model": model}), kept=views)
    assert problem.code == "geometry-failed" and "came out empty" in problem.detail and "views" in problem.hint


def test_an_empty_object_is_left_out_and_the_others_come(views: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ONE.instances.labels.copy()
    labels[:, : SIZE // 2] *= 2
    shot = replace(ONE, instances=InstanceMap(labels, {1: "right", 2: "left"}), instance_source="map")
    calls: list[int] = []

    def first_is_empty(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        found = extract_surface(*arguments, **options)
        return replace(found, empty=len(calls) == 1)

    monkeypatch.setattr(reconstruct, "extract_surface", first_is_empty)
    scene, said = made(shot, PLAIN, kept=views)
    assert [prop.name for prop in scene.props] == ["left"]
    assert ("instance-empty", 1) in warnings(said)


def test_one_of_several_that_cannot_be_coloured_is_left_out(views: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ONE.instances.labels.copy()
    labels[:, : SIZE // 2] *= 2
    shot = replace(ONE, instances=InstanceMap(labels, {1: "right", 2: "left"}), instance_source="map")
    real, calls = ending.bake, []

    def second_fails(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise ValueError("It has no area.")
        return real(*arguments, **options)

    monkeypatch.setattr(ending, "bake", second_fails)
    scene, said = made(shot, FAST, kept=views)
    assert [prop.name for prop in scene.props] == ["right"]
    assert ("geometry-failed", 2) in warnings(said)


def no_number(part: str) -> Callable[[LargeReconstructionModel], None]:
    def spoil(network: LargeReconstructionModel) -> None:
        next(network.get_submodule(part).parameters()).fill_(float("nan"))

    return spoil


@pytest.mark.parametrize(
    ("part", "colour"),
    [
        ("encoder", "none"),
        ("transformer", "none"),
        ("synthesizer.decoder.net_sdf", "none"),
        ("synthesizer.decoder.net_deformation", "none"),
        ("synthesizer.decoder.net_weight", "none"),
        ("synthesizer.decoder.net_rgb", "vertices"),
        ("synthesizer.decoder.net_rgb", "texture"),
    ],
)
def test_weights_that_are_no_numbers_are_a_sentence(part: str, colour: str, copied: Path, views: Kept) -> None:
    broken(copied, "large", no_number(part))
    problem = refused(ONE, FAST.model_copy(update={"colour": colour}), kept=views)
    assert problem.code == "geometry-failed" and "not a finite number" in problem.detail
    assert "'Vase'" in problem.detail


def test_views_that_are_no_numbers_are_a_sentence(copied: Path) -> None:
    tensors = {name: torch.full_like(tensor, float("nan")) for name, tensor in tiny_parts(1)["unet"].tensors.items()}
    write_white_unet(copied / UNET, tensors)
    kept: Kept = {}
    problem = refused(ONE, PLAIN, kept=kept)
    assert problem.code == "geometry-failed" and "no numbers in float32" in problem.detail
    assert "Precision" not in problem.hint, "there is no wider one"
    assert not kept, "nothing is kept of them"


def test_a_surface_that_cannot_be_laid_flat_is_a_sentence(views: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*arguments: Any, **options: Any) -> Any:
        raise ValueError("A texture of 1024 texels has no room for 90000 charts.")

    monkeypatch.setattr(ending, "bake", too_many)
    problem = refused(ONE, FAST, kept=views)
    assert problem.code == "geometry-failed" and "no room" in problem.detail and "larger texture" in problem.hint
