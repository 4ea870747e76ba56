"""Block-outs that are partly hidden bring the outline that they have alone, and no look is taken without need."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest

from blender_addon.capture import exr, outlines, rendering
from blender_addon.capture.capture import capture_camera
from blender_addon.ground import compat
from tests.blender_addon import snapshots
from tests.blender_addon.small_room import add, empty, labels_of, read

pytestmark = pytest.mark.usefixtures("relation")


@pytest.fixture
def renders(monkeypatch):
    """The files of the renders that are made."""
    made, real = [], rendering.render_now

    def counted(scene, path):
        made.append(path.name)
        return real(scene, path)

    monkeypatch.setattr(rendering, "render_now", counted)
    return made


@pytest.fixture
def crowd():
    """Eight boxes, turned, in two rows, of which the front one hides parts of the other, and what is no block-out: a
    floor, and a post before them all."""
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    add("plane", "Floor", size=40)
    chance = np.random.default_rng(5)
    boxes = []
    for number in range(8):
        x, y = -3.3 + 2.1 * (number % 4) + 0.9 * (number // 4), 2.2 * (number // 4)
        size = chance.uniform(0.5, 0.8, 3)
        box = add("cube", f"Box {number}", size=2, location=(x, y, size[2]), rotation=(0, 0, chance.uniform(0, 1.5)))
        box.scale = size
        boxes.append(box)
    post = add("cylinder", "Post", radius=0.15, depth=4, location=(0.4, -2, 1))
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 320, 180
    scene.camera.location, scene.camera.rotation_euler = (0, -8, 2.2), (math.radians(80), 0, 0)
    bpy.context.view_layer.update()
    return [*boxes, post]


def alone(block_out, others, folder):
    """(H, W) mask and depth of a block-out with nothing else in the scene."""
    hidden = [each for each in (*others, bpy.data.objects["Floor"]) if each != block_out]
    for each in hidden:
        each.hide_render = True
    shot = capture_camera(bpy.context, [block_out], folder)
    for each in hidden:
        each.hide_render = False
    return labels_of(shot) == 1, np.load(shot.depth)


def layers_of(shot):
    """The layers' maps and depths as they are in the files."""
    bits = shot.instances.read_bytes()[24]
    maps = [np.rint(read(path)[..., 0] * (2**bits - 1)).astype(int) for path in shot.outlines]
    return list(zip(maps, map(np.load, shot.outline_depths), strict=True))


def test_each_hidden_block_out_has_the_outline_and_depth_that_it_has_alone(crowd, renders, tmp_path):
    boxes = crowd[:-1]
    before = snapshots.everything()
    shot = capture_camera(bpy.context, boxes, tmp_path / "shot")
    assert snapshots.differences(before, snapshots.everything()) == []
    looks = renders.count("identity.exr")
    labels, layers = labels_of(shot), layers_of(shot)
    assert 2 <= len(layers) <= looks - 1 <= 4, "a room of eight boxes takes few looks"
    assert shot.files["outlines"] == shot.outlines and shot.files["outline_depths"] == shot.outline_depths
    assert [path.parent for path in (*shot.outlines, *shot.outline_depths)] == [tmp_path / "shot"] * 2 * len(layers)
    held = [set(np.unique(layer)) - {0} for layer, _ in layers]
    assert len(set.union(*held)) == sum(len(ids) for ids in held) >= 4, "each id is in one layer at most"
    for row, box in zip(shot.labels, boxes, strict=True):
        mask, depth = alone(box, crowd, tmp_path / box.name)
        (layer,) = [pair for pair in layers if (pair[0] == row["id"]).any()] or [(labels, np.load(shot.depth))]
        assert np.array_equal(layer[0] == row["id"], mask), row["name"]
        assert layer[1][mask] == pytest.approx(depth[mask], rel=1e-6)
    for layer, depth in layers:
        assert layer.shape == labels.shape and depth.dtype == np.float32
        assert np.array_equal(np.isnan(depth), layer == 0)


def test_boxes_that_nothing_hides_cost_no_look(room, renders, tmp_path):
    ball, cone = room[1:]
    for each, x in ((ball, -3.5), (cone, 3.5)):
        bpy.data.meshes.remove(each.data)
        box = add("cube", "Other", size=1, location=(x, 0, 0.5))
        box.rotation_euler.z = x
    boxes = [room[0], *(each for each in bpy.data.objects if each.name.startswith("Other"))]
    bpy.context.view_layer.update()
    shot = capture_camera(bpy.context, boxes, tmp_path)
    assert renders == ["identity.exr", "image.png"]
    assert len(shot.labels) == 3
    assert not {"outlines", "outline_depths"} & shot.files.keys()


def test_hollow_shapes_that_nothing_hides_are_looked_at_and_told_whole(room, renders, tmp_path):
    ring = add("torus", "Ring", major_radius=1, minor_radius=0.2, location=(0, -2, 0.2))
    shot = capture_camera(bpy.context, [ring], tmp_path)
    assert renders == ["identity.exr", "identity.exr", "image.png"]
    assert not shot.outlines


def test_what_lies_outside_the_frame_stays_outside(crowd, tmp_path):
    box = crowd[0]
    box.location = (-2.9, 0, box.location.z)
    crowd[-1].location = (-2.1, -1, 1)
    bpy.context.view_layer.update()
    shot = capture_camera(bpy.context, [box], tmp_path / "shot")
    ((layer, _),) = layers_of(shot)
    assert layer.shape == (180, 320) and layer[:, 0].any()
    assert np.array_equal(layer == 1, alone(box, crowd, tmp_path / "alone")[0])


def test_instances_of_one_collection_have_outlines_of_their_own(crowd, tmp_path):
    collection = bpy.data.collections.new("Chair")
    seat = add("cube", "Seat", size=1, location=(0, 0, 0.5))
    ball = add("uv_sphere", "Back", radius=0.4, location=(0, 0.3, 1.2))
    for each in (seat, ball):
        each.users_collection[0].objects.unlink(each)
        collection.objects.link(each)
    near, far = empty("Near", (-0.4, -3.2, 0), collection), empty("Far", (0.3, -1.4, 0), collection)
    other = empty("Other", (1.9, -3.4, 0), collection)
    bpy.context.view_layer.update()
    shot = capture_camera(bpy.context, [near, far], tmp_path / "shot")
    ((layer, _),) = layers_of(shot)
    assert set(np.unique(layer)) == {0, 2}
    hidden = [*crowd, near, other]
    assert np.array_equal(layer == 2, alone(far, hidden, tmp_path / "far")[0])


def test_parts_of_one_block_out_do_not_hide_each_other_from_it(crowd, tmp_path):
    *boxes, post = crowd
    post.parent = boxes[1]
    post.matrix_parent_inverse = boxes[1].matrix_world.inverted()
    bpy.context.view_layer.update()
    shot = capture_camera(bpy.context, [boxes[1], boxes[5]], tmp_path / "shot")
    held = {number for layer, _ in layers_of(shot) for number in np.unique(layer)} - {0}
    rest = [each for each in crowd if each not in (boxes[1], post)]
    mask = alone(boxes[1], rest, tmp_path / "alone")[0]
    whole = next((layer == 1 for layer, _ in layers_of(shot) if (layer == 1).any()), labels_of(shot) == 1)
    assert held and np.array_equal(whole, mask)


def test_more_layers_than_the_contract_takes_are_said(crowd, monkeypatch, tmp_path):
    monkeypatch.setattr(outlines, "MOST_LAYERS", 1)
    shot = capture_camera(bpy.context, crowd[:-1], tmp_path)
    assert len(shot.outlines) == len(shot.outline_depths) == 1
    assert "outlines-crowded" in [warning["code"] for warning in shot.warnings]


# hulls, and the file that passes are read from


def test_passes_are_read_as_blender_wrote_them_and_nothing_else_is(tmp_path):
    path = tmp_path / "passes.exr"
    scene = bpy.context.scene
    bpy.context.view_layer.use_pass_object_index = True
    bpy.data.objects["Cube"].pass_index = 32767
    bpy.context.view_layer.name = "A layer. With dots"
    scene.render.filepath = str(path)
    compat.set_layers_format(scene.render.image_settings)
    bpy.ops.render.render(write_still=True)
    channels = exr.read_channels(path)
    (index,) = [values for name, values in channels.items() if name.endswith((".IndexOB.X", ".Object Index.X"))]
    assert set(np.unique(index)) == {0, 32767}
    assert channels["A layer. With dots.Combined.A"].max() == 1
    data = path.read_bytes()
    for spoilt in (data[:-20], data[:300], b"", b"\0" * 400, data[:4] + b"\2\x12" + data[6:]):
        path.write_bytes(spoilt)
        with pytest.raises(exr.UnexpectedLayout, match=r"passes\.exr"):
            exr.read_channels(path)
