"""Magic123 from a picture to a prop, with tiny random priors in the published layouts: asked, shown and told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend.contract import Progress, Warning  # noqa: E402
from backend.pipelines.context import Cancelled  # noqa: E402
from backend.pipelines.magic123 import (  # noqa: E402
    FROM_CAMERA,
    Magic123Parameters,
    shaping,
)
from backend.pipelines.magic123.priors import balance_of  # noqa: E402
from backend.pipelines.magic123.shaping import coarse_settings, fine_settings  # noqa: E402
from backend.pipelines.magic123.tiny import write_tiny_magic123_checkpoints  # noqa: E402
from models.guidance.together import Together  # noqa: E402
from models.isosurface import EmptySurface  # noqa: E402
from tests.backend.instantmesh_shots import ONE, stages, warnings  # noqa: E402
from tests.backend.magic123_shots import DRAFT, FAST, made  # noqa: E402
from tests.backend.pipelines.test_midi import shot_of as discs  # noqa: E402
from tests.models.magic123.test_published_runs import content, network, written  # noqa: E402
from tests.models.magic123.test_published_runs import fine as fine_run  # noqa: E402

TWO = discs((40, 60, 30), (110, 60, 30))

pytestmark = pytest.mark.usefixtures("magic123_models")


def test_a_picture_becomes_a_closed_textured_prop_in_both_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shaping, "PREVIEW_SECONDS", 1e6)  # so that how busy the machine is makes no difference
    shown: list[tuple[str, Any, str]] = []
    kept: dict[str, bytes] = {}
    scene, said = made(ONE, FAST, kept=kept, show=lambda slot, picture, caption: shown.append((slot, picture, caption)))
    (prop,) = scene.props
    mesh = trimesh.Trimesh(prop.mesh.vertices, prop.mesh.faces, process=False)
    assert mesh.is_watertight and mesh.volume > 0 and 200 < len(mesh.faces) <= 800
    assert prop.mesh.texture is not None and prop.mesh.texture.shape[:2] == (64, 64) and prop.mesh.texture.std() > 2
    assert stages(said) == ["preprocess", "coarse", "fine", "clean", "texture", "place"]
    assert warnings(said) == [("depth-missing", None)]
    assert scene.record["plan_coarse"]["name"].startswith("full") and scene.record["plan_fine"]["name"] == "full"
    quality = prop.quality
    assert quality["steps"] == {"coarse": 5, "fine": 5} and quality["mask_iou"] > 0.5 and quality["depth"] is False
    assert quality["text"] == "A high-resolution DSLR image of vase" and quality["elevation"]["source"] == "assumed"
    assert "source-1.png" in kept
    views = [(picture, caption) for slot, picture, caption in shown if slot == "view"]
    assert [caption for _, caption in views] == ["'Vase', step 1 of 5"] * 2, "the first at once in either stage"
    assert [picture.shape for picture, _ in views] == [(16, 32, 3), (32, 64, 3)], "colours and normals, side by side"
    assert all(picture.dtype == np.uint8 and picture.std() > 1 for picture, _ in views)
    messages = [each.message for each in said if isinstance(each, Progress) and each.stage == "coarse"]
    assert "'Vase', step 2 of 5, " in " ".join(messages) and "priors" in messages[-1] and "rgb" in messages[-1]


@pytest.fixture(scope="module")
def all_layouts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    views = ("xl", "105000-original", "105000-mirror", "xl-mirror")
    return write_tiny_magic123_checkpoints(tmp_path_factory.mktemp("models"), views, words=["mine"])


@pytest.mark.parametrize("view", ["xl", "105000-original", "105000-mirror", "xl-mirror"])
def test_zero123_is_taken_from_wherever_it_is_found(
    view: Any, all_layouts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(all_layouts))
    monkeypatch.setenv("SET_DRESSER_CONVERTED", str(all_layouts / "converted"))
    scene, _ = made(ONE, DRAFT.model_copy(update={"view_prior": view, "steps": 1}))
    assert len(scene.props) == 1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """Which priors are asked, in each step."""
    real, names = Together.gradient, list[tuple[str, ...]]()

    def gradient(self: Together, *given: Any) -> Any:
        names.append(tuple(self.priors))
        return real(self, *given)

    monkeypatch.setattr(Together, "gradient", gradient)
    yield names


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ({}, ("stable-diffusion", "zero123")),
        ({"view_prior": "none"}, ("stable-diffusion",)),
        ({"text_prior": "none", "prompt": ""}, ("zero123",)),
        ({"likeness": 1.0}, ("zero123",)),
        ({"likeness": 0.0, "token": "mine"}, ("stable-diffusion",)),
    ],
)
def test_the_priors_that_are_chosen_are_asked(
    chosen: dict[str, Any], names: tuple[str, ...], asked: list[tuple[str, ...]]
) -> None:
    base = {"text_prior": "sd15", "steps": 2, **chosen}
    made(ONE, DRAFT.model_copy(update=base))
    known = 2 if chosen.get("view_prior") == "none" else 4
    assert asked == [names] * sum(step % known != 0 for step in (1, 2))


def test_the_slider_leans_from_the_text_to_the_picture() -> None:
    text, even, view = (balance_of("coarse", Magic123Parameters(likeness=each)) for each in (0.0, 0.5, 1.0))
    assert (text.view, view.text) == (0.0, 0.0) and even.view / even.text == pytest.approx(40)
    assert balance_of("fine", Magic123Parameters()).view / balance_of("fine", Magic123Parameters()).text == 10
    alone = Magic123Parameters(text_prior="none", likeness=0.0)
    assert balance_of("coarse", alone).view == even.view, "with one prior there is nothing to lean to"


def test_the_published_numbers_are_those_of_the_last_quality_and_shares_of_others() -> None:
    final, draft = (coarse_settings(Magic123Parameters(quality=each), 1 << 20) for each in ("final", "draft"))
    published = shaping.CoarseSettings()
    cap = replace(final.march, cap=published.march.cap)
    assert replace(final, march=cap) == published
    assert fine_settings(Magic123Parameters(quality="final")) == shaping.FineSettings()
    assert (draft.steps, draft.coarse_steps, draft.known_steps) == (500, 300, 10)
    assert fine_settings(Magic123Parameters(quality="draft")).steps == 500
    assert coarse_settings(Magic123Parameters(view_prior="none"), 1 << 20).known_every == 2


def test_every_object_is_optimised_by_itself_and_one_that_diverges_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real, stages_made = shaping.Coarse.forward, list[Any]()

    def forward(self: Any, step: Any) -> Any:
        if self not in stages_made:
            stages_made.append(self)
        wrong = torch.nan if self is stages_made[0] else 1.0
        return {name: loss * wrong for name, loss in real(self, step).items()}

    monkeypatch.setattr(shaping.Coarse, "forward", forward)
    names = {3: "Vase", 4: "Lamp"}
    shot = replace(TWO, instances=replace(TWO.instances, names=names))
    scene, said = made(shot, DRAFT.model_copy(update={"steps": 2}))
    assert [prop.instance for prop in scene.props] == [4]
    assert ("optimisation-diverged", 3) in warnings(said) and len(stages_made) == 2


def test_ended_early_an_object_that_was_not_begun_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Progress | Warning] = []

    def finishing() -> bool:
        return any(isinstance(each, Progress) and "step 2 of" in each.message for each in said)

    shot = replace(TWO, instances=replace(TWO.instances, names={3: "Vase", 4: "Lamp"}))
    scene, _ = made(shot, FAST.model_copy(update={"text_prior": "none"}), report=said.append, finishing=finishing)
    (prop,) = scene.props
    assert prop.instance == 3 and prop.quality["steps"] == {"coarse": 2}
    (told,) = [each for each in said if isinstance(each, Warning) and each.code == "object-not-begun"]
    assert told.instance == 4 and "Continue" in told.hint
    assert "fine" not in stages(said)


def test_a_surface_that_vanishes_in_the_second_stage_leaves_that_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def vanished(self: Any, step: Any) -> Any:
        raise EmptySurface(inside=False)

    monkeypatch.setattr(shaping.FineStage, "forward", vanished)
    scene, said = made(ONE, FAST.model_copy(update={"text_prior": "none", "colour": "none"}))
    assert scene.props[0].quality["steps"] == {"coarse": 5} and ("refine-failed", 1) in warnings(said)


@pytest.mark.parametrize(("given", "taken"), [(30, 30), (-20, -20), (FROM_CAMERA, 12)])
def test_the_picture_was_taken_from_where_it_is_said(given: int, taken: float, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = shaping.Coarse

    def coarse(field: Any, reference: Any, *rest: Any) -> Any:
        seen.append(reference)
        return real(field, reference, *rest)

    monkeypatch.setattr(shaping, "Coarse", coarse)
    scene, _ = made(ONE, DRAFT.model_copy(update={"steps": 1, "elevation": given}))
    assert seen[0].polar == pytest.approx(90 - scene.props[0].quality["elevation"]["taken"])
    assert scene.props[0].quality["elevation"]["taken"] == pytest.approx(taken, abs=1)


def test_it_is_cancelled_between_steps() -> None:
    said: list[Any] = []
    with pytest.raises(Cancelled):
        made(ONE, DRAFT, report=said.append, cancelled=lambda: any("step 2 of" in each.message for each in said))
    assert "step 2 of" in said[-1].message


@pytest.mark.parametrize("stage", ["coarse", "fine"])
def test_somebodys_run_is_gone_on_with(
    stage: str, magic123_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one of the second stage its tetrahedra lie beside it."""
    own = tmp_path / "models" / "own" / "run"
    shutil.copytree(magic123_checkpoints, tmp_path / "models")
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path / "models"))
    own.mkdir(parents=True)
    file = fine_run(own)[0] if stage == "fine" else written(own, content(network()))
    file.rename(own / "model.pth")
    chosen = {"checkpoint": "run", "text_prior": "none", "steps": 2}
    kept = [np.asarray(made(ONE, FAST.model_copy(update=chosen))[0].props[0].mesh.vertices)]
    scene, said = made(ONE, FAST.model_copy(update={**chosen, "refine": "off", "colour": "none"}))
    kept.append(np.asarray(scene.props[0].mesh.vertices))
    assert scene.props[0].quality["steps"] == {"coarse": 300} and stages(said) == ["preprocess", "clean", "place"]
    extents = [np.ptp(each, axis=0) for each in kept]
    first, second = (each.min() / each.max() for each in extents)
    assert second > 0.9, "its field is a ball"
    assert first < 0.8 if stage == "fine" else first > 0.9, "its surface is a slab"
