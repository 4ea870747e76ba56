"""The whole of `inflate`, from a shot to a scene."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend.camera import default_camera
from backend.contract import Progress, Warning
from backend.errors import Problem
from backend.geometry.silhouette import mask_iou, silhouette
from backend.pipelines.context import Context
from backend.pipelines.inflate import INFLATE, InflateParameters
from backend.pipelines.inflate.run import run
from backend.shot import InstanceMap, Shot
from tests.backend.ray_caster import Solid, cast, look

SOLIDS = [
    Solid("box", (0.8, 0.5, 0.6), (-0.8, 0.3, 0.3), 0.4),
    Solid("sphere", (0.7, 0.7, 0.7), (0.2, 0.0, 0.35)),
    Solid("cylinder", (0.3, 0.3, 1.2), (1.0, 0.4, 0.6)),
]


def captured() -> Shot:
    camera = look((0, -3.5, 1.6), math.radians(18), 0, 35, 320)
    labels, depth = cast(SOLIDS, camera)
    image = np.zeros((320, 320, 4), dtype=np.uint8)
    image[...] = (200, 60, 40, 255)
    return Shot((image,), InstanceMap(labels, {1: "crate", 2: "ball", 3: ""}), camera, depth=depth)


class Listener:
    """Keeps what a run reports."""

    def __init__(self) -> None:
        self.reports: list[Progress | Warning] = []

    def context(self) -> Context:
        return Context(INFLATE, seed=0, report=self.reports.append)


def test_colours_go_to_the_vertices_or_nowhere_on_the_very_same_shapes() -> None:
    textured, vertices, none = (
        run(captured(), InflateParameters(texture_size=64, colour=colour), Listener().context())
        for colour in ("texture", "vertices", "none")
    )
    for first, second, third in zip(textured.props, vertices.props, none.props, strict=True):
        assert np.array_equal(first.mesh.vertices, second.mesh.vertices)
        assert np.array_equal(first.mesh.faces, third.mesh.faces)
        assert second.mesh.texture is None and second.mesh.corner_uv is None
        assert second.mesh.colours is not None and second.mesh.colours.shape == second.mesh.vertices.shape
        assert third.mesh.texture is None and third.mesh.colours is None


def test_every_instance_becomes_a_closed_textured_prop_at_its_block_out() -> None:
    shot = captured()
    scene = run(shot, InflateParameters(texture_size=128), Listener().context())
    assert [prop.instance for prop in scene.props] == [1, 2, 3]
    assert [prop.name for prop in scene.props] == ["crate", "ball", ""]
    for prop, solid in zip(scene.props, SOLIDS, strict=True):
        mesh = trimesh.Trimesh(prop.mesh.vertices, prop.mesh.faces, process=False)
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.volume > 0
        assert prop.mesh.corner_uv is not None
        assert prop.mesh.corner_uv.shape == (len(prop.mesh.faces), 3, 2)
        assert prop.mesh.texture is not None
        assert prop.placement == "depth"
        low, high = solid.extent(np.eye(3))
        world = prop.world_vertices()
        centre = (world.min(axis=0) + world.max(axis=0)) / 2
        assert np.linalg.norm(centre - (low + high) / 2) < 0.05 * np.linalg.norm(high - low)
        covered = silhouette(world, prop.mesh.faces, shot.camera)
        assert mask_iou(covered, shot.instances.mask(prop.instance)) > 0.97


def test_stages_run_once_and_progress_comes_often() -> None:
    listener = Listener()
    context = listener.context()
    run(captured(), InflateParameters(texture_size=64), context)
    assert [timing.stage for timing in context.timings] == ["surface", "texture", "place"]
    fractions = [report.fraction for report in listener.reports if isinstance(report, Progress)]
    assert len(set(fractions)) >= 9


def test_an_instance_without_pixels_is_told_and_left_out() -> None:
    shot = captured()
    shot = replace(shot, instances=InstanceMap(shot.instances.labels, {1: "crate", 2: "ball", 3: "", 9: "ghost"}))
    context = Listener().context()
    scene = run(shot, InflateParameters(texture_size=64), context)
    assert len(scene.props) == 3
    assert [(warning.code, warning.instance) for warning in context.warnings] == [("instance-empty", 9)]
    assert "ghost" in context.warnings[0].message


def test_nothing_to_mesh_is_a_problem() -> None:
    shot = replace(captured(), instances=InstanceMap(np.zeros((320, 320), dtype=np.uint16), {4: "gone"}))
    with pytest.raises(Problem) as problem:
        run(shot, InflateParameters(), Listener().context())
    assert problem.value.code == "geometry-failed"


def test_what_cannot_be_placed_well_is_told() -> None:
    labels = np.zeros((200, 200), dtype=np.uint16)
    labels[10:40, 50:90] = 1
    labels[120:180, 50:90] = 2
    image = np.full((200, 200, 4), 128, dtype=np.uint8)
    depth = np.full((200, 200), np.nan, dtype=np.float32)
    shot = Shot((image,), InstanceMap(labels, {1: "kite", 2: "tin"}), default_camera(200, 200), depth=depth)
    context = Listener().context()
    scene = run(shot, InflateParameters(texture_size=64), context)
    assert [prop.placement for prop in scene.props] == ["assumed", "ground"]
    told = [(warning.code, warning.instance) for warning in context.warnings]
    assert told == [("placement-without-depth", 1), ("placement-assumed", 1), ("placement-without-depth", 2)]
