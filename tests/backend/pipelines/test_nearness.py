"""What is near in a picture is told by a network, and nothing fails without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from backend.contract import Warning  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.cut_outs import framed, framed_as_taken  # noqa: E402
from backend.pipelines.midi import MIDI  # noqa: E402
from backend.pipelines.nearness import IDENTIFIER, NAME, Nearness  # noqa: E402
from backend.pipelines.running import Running  # noqa: E402
from backend.residency import residency  # noqa: E402
from backend.weights import row_of  # noqa: E402
from models.depth.loading import load_depth  # noqa: E402
from models.depth.midas import inverse_depth, within  # noqa: E402
from models.depth.tiny import write_tiny_midas  # noqa: E402

PICTURE = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
COVER = np.zeros((64, 64), np.float32)
COVER[10:50, 20:60] = 1


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of models."""
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    yield tmp_path
    residency.clear()


def teller() -> tuple[Nearness, list[Warning]]:
    said: list[Warning] = []
    context = Context(MIDI, 0, lambda news: said.append(news) if isinstance(news, Warning) else None)
    return Nearness(Running.begin(context), side=64), said


def test_the_network_tells_what_is_near_and_stays_for_the_next_object(models: Path) -> None:
    folder = write_tiny_midas(models / row_of(IDENTIFIER).repository)
    near, said = teller()
    found = near(PICTURE, COVER)
    assert found is not None and found.shape == (64, 64) and found.dtype == np.float32
    assert found.max() == 1 and found[10:50, 20:60].min() == 0 and not found[COVER == 0].any()
    with torch.no_grad():
        network = load_depth(folder, "cpu", torch.float32)
        inverse = inverse_depth(torch.from_numpy(PICTURE).permute(2, 0, 1)[None].float() / 255, network, 64)
    assert np.array_equal(found, within(inverse[0], torch.from_numpy(COVER)).numpy())
    held = residency.held_by(NAME)
    assert held is not None and near(PICTURE, COVER) is not None and residency.held_by(NAME) is held
    assert said == []


def test_without_it_that_is_told_once_with_how_to_get_it(models: Path) -> None:
    near, said = teller()
    assert near(PICTURE, COVER) is None and near(PICTURE, COVER) is None
    (warning,) = said
    assert warning.code == "depth-missing" and IDENTIFIER in warning.message and "without the depth" in warning.message
    assert f"hf download Intel/{IDENTIFIER}" in warning.hint


@pytest.mark.parametrize("spoil", ["config", "cut", "foreign"])
def test_files_that_are_no_good_are_told_and_nothing_fails(models: Path, spoil: str) -> None:
    folder = write_tiny_midas(models / row_of(IDENTIFIER).repository)
    if spoil == "config":
        (folder / "config.json").unlink()
    elif spoil == "cut":
        (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-50])
    else:
        (folder / "config.json").write_text('{"model_type": "dpt", "backbone_config": {"model_type": "beit"}}')
    near, said = teller()
    assert near(PICTURE, COVER) is None
    assert [warning.code for warning in said] == ["depth-missing"] and said[0].hint


def test_the_square_of_an_object_is_the_same_with_and_without_what_is_around_it() -> None:
    """Inside the object both show the same; around it the picture goes on, beyond its border as at its border."""
    picture = np.random.default_rng(5).integers(0, 256, (90, 120, 4), np.uint8)
    picture[..., 3] = 255
    cut = picture.copy()
    cut[..., 3] = 0
    cut[5:65, 50:90, 3] = 255
    on_white, cover = framed(cut, 60, 0.75)
    taken = framed_as_taken(picture, cut, 60, 0.75)
    assert taken.shape == (60, 60, 3)
    inside = cover == 1
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    assert inside.sum() > 800 and np.array_equal(taken[inside], on_white[inside])
    assert (on_white[:6] == 255).all() and not (taken[:6] == 255).all()
    assert np.array_equal(taken[0], taken[1]), "the square begins 5 rows above the picture"
