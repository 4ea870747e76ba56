"""A block-out's turn and size, all the way through capture, server, inflate and import, are its prop's, also where
others hide parts of it."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler, Vector

SIZE = (1.8, 1.1, 1.4)
TURNS = ((0, 0, 0), (0, 0, 8), (0, 0, -130), (25, -15, 40), (90, 0, 20), (0, 0, 30))
"""Degrees about x, y and z; the last of them is mirrored too."""


def boxes() -> list[Any]:
    """Boxes beside each other before the start-up file's camera; the last hides a quarter of the first."""
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    made = []
    for index, degrees in enumerate(TURNS):
        place = ((index % 3 - 1) * 3.0, (index // 3) * 4.0, 1.0)
        bpy.ops.mesh.primitive_cube_add(size=1, location=place)
        box = bpy.context.object
        box.name = f"Turned {index}"
        box.rotation_euler = Euler([math.radians(angle) for angle in degrees])
        box.scale = SIZE
        made.append(box)
    made[-1].scale.x *= -1
    bpy.ops.mesh.primitive_cube_add(size=1, location=(-2.3, -4, 2.0))
    bpy.context.object.name, bpy.context.object.scale = "Screen", (1.3, 0.2, 4)
    made.append(bpy.context.object)
    camera = bpy.context.scene.camera
    camera.location, camera.rotation_euler = (0.8, -11, 9.5), (math.radians(55), 0, math.radians(3.5))
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 640, 480
    bpy.context.view_layer.update()
    return made


def test_props_have_the_turn_and_the_dimensions_of_their_block_outs(addon: Any) -> None:
    blocks = boxes()
    parameters = {"resolution": 128, "texture_size": 64}
    job = addon.generate(objects=blocks, pipeline="inflate", parameters=parameters, wait=True)
    props = {prop.set_dresser_block_out.name: prop for prop in job.objects}
    assert props.keys() == {block_out.name for block_out in blocks}
    records = {record["name"]: record for record in job.result["props"]}
    assert records["Turned 0"]["seen"] < 0.8 and records["Turned 4"]["seen"] == 1
    assert min(record["mask_iou"] for record in records.values()) > 0.97
    for block_out in blocks[:-1]:
        prop = props[block_out.name]
        middle = np.array(block_out.matrix_world.translation)
        wanted, turn = block_out.matrix_world.to_quaternion(), prop.rotation_euler.to_quaternion()
        apart = math.degrees(wanted.rotation_difference(turn).angle)
        assert min(apart, 360 - apart) < 0.1, block_out.name
        assert tuple(prop.scale) == (1, 1, 1)
        assert tuple(prop.dimensions) == pytest.approx(SIZE, rel=0.03), block_out.name
        corners = np.array([prop.matrix_world @ Vector(corner) for corner in prop.bound_box])
        assert corners.mean(axis=0) == pytest.approx(middle, abs=0.05), block_out.name
        # The origin is under it: the middle of the side that looks down most.
        axes = np.array(turn.to_matrix())
        side = int(np.argmax(np.abs(axes[2])))
        under = middle - axes[:, side] * np.sign(axes[2, side]) * SIZE[side] / 2
        assert np.array(prop.location) == pytest.approx(under, abs=0.05), block_out.name
