"""A result is whole or absent, tells the truth about its meshes, and holds all that is needed to make it again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from pydantic import Field

from backend import __version__, export
from backend.camera import Camera, default_camera
from backend.contract import GenerateRequest, InstanceLabel, Photo, Progress, Result
from backend.errors import Problem
from backend.export import recipe, write_result
from backend.files import write_together
from backend.geometry.silhouette import silhouette
from backend.pipelines.base import Parameters, PipelineInfo, Stage
from backend.pipelines.context import Cancelled, Context
from backend.scene import Scene
from backend.shot import InstanceMap, Shot
from tests.backend.shapes import ball, standing

JOB = "0123456789ab0123456789ab"
CAMERA = default_camera(160, 120)


class BallParameters(Parameters):
    size: float = Field(1.0, ge=0.1, le=10)
    mode: str = "plain"


BALLS = PipelineInfo(
    id="balls", version="7", title="Balls", description="", entry="", parameters=BallParameters,
    stages=(Stage("roll", 3), Stage("export", 1)),
)  # fmt: skip


class Run:
    """One run of a pipeline that has just returned its scene."""

    def __init__(self, info: PipelineInfo = BALLS, camera: Camera | None = CAMERA) -> None:
        self.info = info
        self.scene = Scene([standing(ball(0.5), 2, "Ball", (0.8, 5, 0)), standing(ball(0.4), 7, "Ball", (-0.8, 5, 0))])
        labels = np.zeros((120, 160), dtype=np.uint16)
        for prop in self.scene.props:
            labels[silhouette(prop.world_vertices(), prop.mesh.faces, CAMERA)] = prop.instance
        self.shot = Shot(
            images=(np.zeros((120, 160, 4), dtype=np.uint8),),
            instances=InstanceMap(labels, {2: "Ball", 7: "Ball"}),
            camera=CAMERA,
            camera_source="request" if camera else "default",
            hashes={"image-0": hashlib.sha256(b"picture").hexdigest(), "instances": hashlib.sha256(b"map").hexdigest()},
        )
        self.request = GenerateRequest(
            pipeline="balls",
            parameters={"size": 2},
            seed=41,
            camera=camera,
            name="Corner",
            instances=[InstanceLabel(id=2, name="Ball", color=(255, 0, 0)), InstanceLabel(id=7, name="Ball")],
            photos=[Photo(name="front", azimuth=12.5)],
            only=[2, 7],
        )
        self.parameters = info.check(self.request.parameters)
        self.reports: list[object] = []
        self.cancelled = False
        self.context = Context(info, 41, self.reports.append, lambda: self.cancelled)
        with self.context.stage(info.stages[0].name):
            self.context.warn("thin", "The ball is thin.", instance=2)

    def write(self, folder: Path) -> Result:
        return write_result(folder, JOB, self.request, self.shot, self.scene, self.context, self.info, self.parameters)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_scene_and_result_are_written_and_read_back(tmp_path: Path) -> None:
    result = Run().write(tmp_path)
    assert names_in(tmp_path / "output") == ["result.json", "scene.glb", "thumbnail.png"]
    assert Result.model_validate_json((tmp_path / "output" / "result.json").read_bytes()) == result
    scene = trimesh.load_scene(tmp_path / "output" / "scene.glb")
    assert sorted(scene.graph.nodes_geometry) == sorted(prop.node for prop in result.props) == ["Ball", "Ball.2"]


def test_the_label_table_tells_what_was_measured(tmp_path: Path) -> None:
    run = Run()
    first, second = run.write(tmp_path).props
    assert (first.id, first.name, first.node, second.id, second.node) == (2, "Ball", "Ball", 7, "Ball.2")
    assert first.watertight and first.bodies == 1
    assert first.volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.03)
    assert first.dimensions == pytest.approx((1, 1, 1), rel=0.02)
    assert first.origin == pytest.approx((0.8, 5, 0))
    assert first.mask_pixels == np.count_nonzero(run.shot.instances.labels == 2)
    assert first.mask_iou == second.mask_iou == 1.0
    assert (first.vertices, first.faces) == (len(run.scene.props[0].mesh.vertices), len(run.scene.props[0].mesh.faces))


def test_a_prop_that_misses_its_mask_says_so(tmp_path: Path) -> None:
    run = Run()
    run.scene.props[0].world_from_prop[0, 3] += 0.25
    first, second = run.write(tmp_path).props
    assert 0.4 < first.mask_iou < 0.8
    assert second.mask_iou == 1.0


def test_an_open_mesh_and_separate_bodies_are_not_glossed_over(tmp_path: Path) -> None:
    run = Run()
    one, two = run.scene.props[0].mesh, run.scene.props[1].mesh
    one.faces, one.corner_uv = one.faces[1:], one.corner_uv[1:]
    two.faces = np.concatenate([two.faces, two.faces + len(two.vertices)])
    two.corner_uv = np.concatenate([two.corner_uv, two.corner_uv])
    two.vertices = np.concatenate([two.vertices, two.vertices + np.array([2, 0, 0])])
    first, second = run.write(tmp_path).props
    assert (first.watertight, first.bodies) == (False, 1)
    assert (second.watertight, second.bodies) == (True, 2)


def test_a_face_turned_inside_out_is_not_called_watertight(tmp_path: Path) -> None:
    run = Run()
    run.scene.props[0].mesh.faces[5] = run.scene.props[0].mesh.faces[5][::-1]
    assert run.write(tmp_path).props[0].watertight is False


def test_quality_may_hold_numbers_of_numpy(tmp_path: Path) -> None:
    run = Run()
    run.scene.props[0].quality = {
        "count": np.int64(3),
        "share": np.float32(0.5),
        "fit": np.eye(2),
        "lost": float("nan"),
    }
    run.write(tmp_path)
    quality = json.loads((tmp_path / "output" / "result.json").read_text(encoding="utf-8"))["props"][0]["quality"]
    assert quality == {"count": 3, "share": 0.5, "fit": [[1, 0], [0, 1]], "lost": None}


@pytest.mark.parametrize("camera", [CAMERA, None])
def test_the_recipe_of_a_result_is_its_request(tmp_path: Path, camera: Camera | None) -> None:
    run = Run(camera=camera)
    run.write(tmp_path)
    result = Result.model_validate_json((tmp_path / "output" / "result.json").read_bytes())
    again = recipe(result)
    assert again == run.request.model_copy(update={"parameters": {"size": 2.0, "mode": "plain"}})
    assert run.info.check(again.parameters) == run.parameters


def test_the_result_records_where_it_came_from(tmp_path: Path) -> None:
    run = Run()
    result = run.write(tmp_path)
    assert [(record.role, record.sha256) for record in result.inputs] == [
        ("image", hashlib.sha256(b"picture").hexdigest()),
        ("instances", hashlib.sha256(b"map").hexdigest()),
    ]
    assert {(record.width, record.height) for record in result.inputs} == {(160, 120)}
    assert (result.job, result.name, result.seed) == (JOB, "Corner", 41)
    assert (result.pipeline.id, result.pipeline.version) == ("balls", "7")
    assert [warning.code for warning in result.warnings] == ["thin"]
    assert result.versions["backend"] == __version__
    assert {"python", "numpy", "scipy", "pillow", "trimesh"} <= set(result.versions)
    assert result.device["device"] == "cpu"
    assert result.peak_memory_bytes is None or 10e6 < result.peak_memory_bytes < 100e9


def test_the_export_stage_is_timed_and_reported(tmp_path: Path) -> None:
    run = Run()
    result = run.write(tmp_path)
    assert [timing.stage for timing in result.timings] == ["roll", "export"]
    assert 0 < result.timings[1].seconds <= result.seconds
    fractions = [report.fraction for report in run.reports if isinstance(report, Progress) and report.stage == "export"]
    assert fractions == sorted(fractions) and len(fractions) == 3 and fractions[0] >= 0.75


def test_a_pipeline_without_an_export_stage_is_exported_too(tmp_path: Path) -> None:
    info = PipelineInfo("plain", "1", "Plain", "", "", BallParameters, stages=(Stage("roll"),))
    assert [timing.stage for timing in Run(info).write(tmp_path).timings] == ["roll"]


def test_a_cancelled_job_leaves_no_result(tmp_path: Path) -> None:
    for info in (BALLS, PipelineInfo("plain", "1", "Plain", "", "", BallParameters, stages=(Stage("roll"),))):
        run = Run(info)
        run.cancelled = True
        with pytest.raises(Cancelled):
            run.write(tmp_path)
    assert names_in(tmp_path / "output") == []


def test_a_scene_without_props_leaves_no_result(tmp_path: Path) -> None:
    run = Run()
    run.scene.props.clear()
    with pytest.raises(Problem) as caught:
        run.write(tmp_path)
    assert caught.value.code == "geometry-failed"
    assert names_in(tmp_path / "output") == []


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_both_files_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failing: int
) -> None:
    calls = 0

    def fail(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == failing + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return kept(*arguments)

    owner = os if step == "fsync" else Path
    kept = getattr(owner, step)
    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(Problem) as caught:
        Run().write(tmp_path)
    assert caught.value.code == "disk-full"
    assert calls == failing + 1
    assert names_in(tmp_path / "output") == []


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "output").write_text("in the way")
    with pytest.raises(Problem) as caught:
        Run().write(tmp_path)
    assert caught.value.code == "output-not-writable"


def test_files_that_fail_to_be_written_leave_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_together(tmp_path, {"scene.glb": b"old scene", "result.json": b"old result"})

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_together(tmp_path, {"scene.glb": b"new scene", "result.json": b"new result"})
    assert (tmp_path / "scene.glb").read_bytes() == b"old scene"
    assert (tmp_path / "result.json").read_bytes() == b"old result"
    assert names_in(tmp_path) == ["result.json", "scene.glb"]


def test_torch_is_named_only_where_it_was_loaded() -> None:
    assert ("torch" in export.versions()) == ("torch" in sys.modules)
