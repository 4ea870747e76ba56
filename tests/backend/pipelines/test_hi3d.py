"""Hi3D from a picture to a prop, with tiny checkpoints whose views show the picture: what is asked, what is told."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend.contract import Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.imaging.png import from_png  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.hi3d import HI3D, Hi3DParameters  # noqa: E402
from backend.pipelines.hi3d.subjects import FILL, nearest_trained, subjects  # noqa: E402
from backend.pipelines.hi3d.tiny import FRAMES, SIDES, published_file  # noqa: E402
from backend.questions import read_question  # noqa: E402
from models.hi3d.pipeline import OrbitPipeline  # noqa: E402
from tests.backend.hi3d_shots import DRAFT, FAST, made  # noqa: E402
from tests.backend.instantmesh_shots import ONE, Kept, photo, stages, warnings  # noqa: E402
from tests.backend.mira_shots import around  # noqa: E402
from tests.backend.pipelines.test_midi import shot_of as discs  # noqa: E402

TWO = discs((45, 60, 30), (115, 100, 30))


@pytest.mark.usefixtures("hi3d_models")
def test_a_picture_becomes_a_prop_through_both_stages() -> None:
    kept: Kept = {}
    shown: dict[str, np.ndarray] = {}
    parameters = FAST.model_copy(update={"orbit_video": True})
    scene, said = made(ONE, parameters, kept=kept, show=lambda slot, picture, caption: shown.update({slot: picture}))
    (prop,) = scene.props
    assert prop.mesh.texture is not None and prop.mesh.texture.shape[:2] == (64, 64)
    assert prop.quality["mask_iou"] > 0.75 and min(prop.quality["view_ious"]) > 0.7
    assert prop.quality["elevation"] == {"taken": 10, "seen": pytest.approx(12, abs=1), "source": "assumed"}
    height, width = np.ptp(prop.world_vertices(), axis=0)[[2, 0]]
    assert 1.0 < height / width < 1.8, "it is as high as it was seen"
    assert stages(said) == [stage.name for stage in HI3D.stages if stage.name not in ("review", "export")]
    for stage, side in (("orbit", SIDES["orbit"]), ("sharp", SIDES["refine"])):
        views = [from_png(kept[f"{stage}-1-1-{index:02}.png"]) for index in range(FRAMES)]
        assert {view.shape for view in views} == {(side, side, 3)}
    assert from_png(kept["source-1.png"]).shape == (SIDES["orbit"], SIDES["orbit"], 3)
    assert b"ftyp" in kept["orbit-1.mp4"][:16]
    assert shown["views"].shape == (SIDES["refine"], FRAMES * SIDES["refine"], 3), "a strip of all views"
    assert set(scene.record) == {"plan_1", "plan_2"}


def test_a_draft_needs_the_first_stage_alone(hi3d_checkpoints: Path, hi3d_models: Path) -> None:
    assert DRAFT.needed_weights() == () and FAST.needed_weights() == ("hi3d-refine",)
    file = published_file(hi3d_checkpoints, "refine")
    aside = file.rename(file.with_suffix(".aside"))
    try:
        kept: Kept = {}
        scene, said = made(ONE, kept=kept)
        assert len(scene.props) == 1 and "refine" not in stages(said) and "texture" not in stages(said)
        assert not [name for name in kept if name.startswith("sharp")]
        with pytest.raises(Problem, match="weights-missing"):
            made(ONE, FAST)
    finally:
        aside.rename(file)


@pytest.mark.usefixtures("hi3d_models")
def test_views_are_looked_at_painted_anew_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last picture asks for all anew; of those one is bad. An attempt that recalls paints nothing."""
    asked: list[dict[str, Any]] = []

    def answer(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question)
        given = {"chosen": [FRAMES] if question["choices"][0]["file"].startswith("orbit-1-1-") else [1]}
        read = read_question(question)
        assert read is not None and read.default_answer() == {"chosen": []}
        read.check(given)
        return given

    kept: Kept = {}
    parameters = DRAFT.model_copy(update={"review": True})
    scene, _ = made(ONE, parameters, kept=kept, answer=answer)
    assert len(asked) == 2 and asked[0] != asked[1]
    assert all(choice["file"] in kept for question in asked for choice in question["choices"])
    (prop,) = scene.props
    assert prop.quality["seed"] == 2 and 1 not in prop.quality["views"] and len(prop.quality["views"]) >= FRAMES - 2
    with pytest.raises(Problem, match="answer-invalid"):
        read_question(asked[0]).check({"chosen": [0, 1, 2]})  # type: ignore[union-attr]
    monkeypatch.setattr(OrbitPipeline, "condition", None)
    again, _ = made(ONE, parameters, kept=kept, answer=answer)
    assert np.array_equal(again.props[0].mesh.vertices, prop.mesh.vertices)


@pytest.mark.usefixtures("hi3d_models")
def test_of_two_objects_the_bad_one_is_told_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = OrbitPipeline.decode
    done: list[int] = []

    def spoiled(self: OrbitPipeline, *arguments: Any) -> Any:
        done.append(1)
        if len(done) == 1:
            raise FloatingPointError("the frames came out as no numbers")
        return decode(self, *arguments)

    monkeypatch.setattr(OrbitPipeline, "decode", spoiled)
    scene, said = made(TWO)
    first, second = sorted(TWO.instances.names)
    assert [prop.instance for prop in scene.props] == [second]
    (told,) = [each for each in said if isinstance(each, Warning) and "left out" in each.message]
    assert (told.code, told.instance) == ("geometry-failed", first) and "no numbers" in told.message and told.hint


@pytest.mark.usefixtures("hi3d_models")
def test_guidance_and_its_shape_reach_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def denoise(self: OrbitPipeline, told: Any, steps: int, guidance: Any, *rest: Any, **more: Any) -> Any:
        seen.append(guidance)
        raise Problem("internal", "enough is seen")

    monkeypatch.setattr("models.hi3d.pipeline.StagePipeline.denoise", denoise)
    for changes in ({}, {"guidance_shape": "triangular", "guided_steps": "middle", "guidance": 1.0}):
        with pytest.raises(Problem, match="enough"):
            made(ONE, DRAFT.model_copy(update=changes))
    usual, other = seen
    assert (usual.largest, usual.triangular, usual.interval) == (2.5, False, None)
    assert (other.largest, other.triangular) == (1.0, True) and other.interval is not None


def looked_at(shot: Any, parameters: Hi3DParameters = DRAFT) -> tuple[Any, list[Any]]:
    """The subjects of a shot alone, and what was told."""
    said: list[Any] = []
    context = Context(HI3D, 1, said.append, save=lambda name, data: None)
    with context.stage("frame"):
        return subjects(shot, parameters, 64, context), said


@pytest.mark.parametrize(("angle", "trained"), [(-15, -10), (-4, 0), (4, 0), (6, 10), (26, 30), (40, 40), (62, 40)])
def test_elevations_are_those_of_the_training(angle: float, trained: int) -> None:
    assert nearest_trained(angle) == trained
    camera = around(20, angle, 200)
    found, said = looked_at(replace(ONE, camera=camera, camera_source="request"))
    assert found[1].elevation == trained
    assert found[1].record["elevation"]["seen"] == pytest.approx(angle, abs=0.2)
    assert found[1].record["elevation"]["source"] == "camera"
    steep = [each for each in said if isinstance(each, Warning) and each.code == "camera-steep"]
    assert bool(steep) == (angle == 62)
    if steep:
        assert "62° down" in steep[0].message and "taken as 40°" in steep[0].message and steep[0].hint


@pytest.mark.parametrize(("asked", "taken"), [(-10, -10), (17, 20), (40, 40)])
def test_an_elevation_that_is_asked_for_is_rounded_and_that_is_told(asked: int, taken: int) -> None:
    found, said = looked_at(ONE, DRAFT.model_copy(update={"elevation": asked}))
    assert found[1].elevation == taken
    told = [each for each in said if isinstance(each, Warning) and each.code == "elevation-rounded"]
    assert bool(told) == (asked != taken)
    assert not told or f"{asked} is taken as {taken}" in told[0].message


def test_objects_lie_in_the_frame_as_those_of_the_training() -> None:
    """Of a picture that is not square, small and beside the middle; that it was scaled is told."""
    wide = np.zeros((160, 400, 4), np.uint8)
    wide[20:140, 250:370] = photo(size=120)
    labels = (wide[..., 3] > 0).astype(np.uint16)
    shot = replace(ONE, images=(wide,), instances=replace(ONE.instances, labels=labels))
    found, said = looked_at(shot)
    picture = found[1].picture(100)
    assert picture.shape == (100, 100, 3)
    inside = (picture < 250).any(axis=2)
    rows, columns = np.nonzero(inside)
    assert abs(np.ptp(rows) + 1 - 100 * FILL) <= 2
    assert abs(rows.mean() - 49.5) < 1 and abs(columns.mean() - 49.5) < 1
    (told,) = [each for each in said if isinstance(each, Warning) and each.code == "object-rescaled"]
    assert "25% of the picture" in told.message and "75%" in told.message
    assert math.isclose(found[1].record["scaled"], FILL * 64 / (np.ptp(np.nonzero(labels)[0]) + 1), rel_tol=1e-3)
    assert "object-rescaled" not in [code for code, _ in warnings(looked_at(ONE)[1])]
