"""What Hi3D cannot use gets a sentence, before the first view where that can be known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend.contract import GenerateRequest, Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.imaging.intake import make_shot  # noqa: E402
from backend.pipelines.hi3d import HI3D  # noqa: E402
from backend.pipelines.hi3d import run as module  # noqa: E402
from backend.pipelines.hi3d.tiny import published_file  # noqa: E402
from tests.backend.hi3d_shots import DRAFT, FAST, made  # noqa: E402
from tests.backend.instantmesh_shots import ONE, photo, png  # noqa: E402
from tests.backend.pipelines.test_hi3d import looked_at  # noqa: E402


@pytest.mark.parametrize(
    "wrong",
    [{"elevation": 41}, {"elevation": -11}, {"elevation": -91}, {"elevation": "high"}, {"guidance": 0.5},
     {"guidance_shape": "round"}, {"resolution": 321}, {"side": 32}, {"surface": "round"}],
)  # fmt: skip
def test_parameters_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        HI3D.check(wrong)
    assert next(iter(wrong)) in caught.value.detail


def test_an_elevation_below_the_trained_ones_is_told_with_those() -> None:
    with pytest.raises(Problem, match="-10 to 40 degrees, or -90"):
        HI3D.check({"elevation": -30})


@pytest.fixture
def copied(hi3d_checkpoints: Path, hi3d_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models to break."""
    folder = tmp_path / "models"
    shutil.copytree(hi3d_checkpoints, folder, ignore=shutil.ignore_patterns("converted"))
    monkeypatch.setenv("SET_DRESSER_MODELS", str(folder))
    monkeypatch.setenv("SET_DRESSER_CONVERTED", str(folder / "converted"))
    return folder


def cut(folder: Path) -> None:
    file = published_file(folder, "refine")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(folder: Path) -> None:
    published_file(folder, "orbit").write_bytes(b"")


def removed(folder: Path) -> None:
    published_file(folder, "refine").unlink()


def exchanged(folder: Path) -> None:
    first, second = published_file(folder, "orbit"), published_file(folder, "refine")
    kept = first.read_bytes()
    shutil.copy(second, first)
    second.write_bytes(kept)


def of_something_else(folder: Path) -> None:
    torch.save({"some.weight": torch.zeros(3)}, published_file(folder, "orbit"))


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (cut, "weights-damaged", "second_stage.pt"),
        (emptied, "weights-damaged", "first_stage.pt"),
        (removed, "weights-missing", "hbyang/Hi3D"),
        (exchanged, "weights-foreign", "the wrong way round"),
        (of_something_else, "weights-foreign", "first_stage.pt"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_told_before_the_first_view(
    spoil: Callable[[Path], None], code: str, says: str, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(copied)
    monkeypatch.setattr(module, "painted", None)
    with pytest.raises(Problem) as caught:
        made(ONE, FAST)
    assert caught.value.code == code and says in caught.value.detail and caught.value.hint
    assert "hf download" in caught.value.hint


def test_a_picture_without_an_object_is_a_sentence() -> None:
    grey = np.full((120, 90, 3), 128, np.uint8)
    with pytest.raises(Problem) as caught:
        make_shot(GenerateRequest(pipeline="hi3d"), [png(grey)], None, None, background="plain")
    assert caught.value.code == "background-unclear" and caught.value.hint
    nothing = ONE.image.copy()
    nothing[..., 3] = 0
    with pytest.raises(Problem, match="image-empty"):
        looked_at(replace(ONE, images=(nothing,)))


def test_an_object_that_is_cut_by_the_border_is_told() -> None:
    picture = photo()[:, 60:]
    shot = replace(
        ONE, images=(picture,), instances=replace(ONE.instances, labels=(picture[..., 3] > 0).astype(np.uint16))
    )
    found, said = looked_at(shot)
    told = [each for each in said if isinstance(each, Warning) and each.code == "instance-cut"]
    assert len(found) == 1 and "cut by the border" in told[0].message and told[0].hint


@pytest.mark.usefixtures("hi3d_models")
@pytest.mark.parametrize("shade", [255, 90])
def test_views_that_show_nothing_are_a_sentence(shade: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of one colour; or of few of which something can be seen."""

    def decode(self: Any, latents: Any, *rest: Any) -> Any:
        size = self.size
        frames = np.full((len(latents), size, size, 3), shade / 255, np.float32)
        if shade == 255:
            frames[:2, 12:36, 12:36] = 0.2
        return frames

    monkeypatch.setattr("models.hi3d.pipeline.StagePipeline.decode", decode)
    with pytest.raises(Problem) as caught:
        made(ONE, DRAFT)
    says = "2 of 6 views" if shade == 255 else "of one colour"
    assert caught.value.code == "geometry-failed" and says in caught.value.detail and "'Vase'" in caught.value.detail
