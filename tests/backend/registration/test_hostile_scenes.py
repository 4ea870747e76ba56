"""A GLB that claims what it does not hold is refused in words, at once, in little memory."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest

from backend.errors import Problem
from backend.registration.raw_scene import read_scene
from tests.backend.hostile_sets import outcome
from tests.backend.registration.hostile_glbs import box, packed


def changed(place: str, value: Any) -> bytes:
    """A sound file, and one value of its description replaced: "accessors.1.count"."""
    document, held = box(random.Random(1))
    *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    where: Any = document
    for part in way:
        where = where[part]
    where[last] = value
    return packed(document, held)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed("nodes.2.children", [1]), "stands below itself or in two places"),
        (changed("scenes.0.nodes", [1, 2]), "stands below itself or in two places"),
        (changed("accessors.0.count", 4), "has the corner 7, and there are 4"),
        (changed("accessors.1", {"componentType": 5123, "count": 300, "type": "SCALAR"}), "has no bytes"),
        (changed("accessors.1.count", 300_000_000), "claims"),
        (changed("accessors.0.count", -8), "accessors.0.count"),
        (changed("accessors.0.count", 9), "claims 9 values of 12 bytes in 96 bytes"),
        (changed("accessors.0.bufferView", 77), "names view 77"),
        (changed("nodes.0.translation", [1e300, 0, 0]), "beyond all bounds"),
        (changed("nodes.0.rotation", [0, 0, 0, 0]), "is no turn"),
        (changed("nodes.0.matrix", [float("nan")] * 16), "NaN is no number"),
        (changed("bufferViews.1.byteLength", 10**9), "ends at byte"),
        (changed("buffers.0.byteLength", 10**9), "says it has"),
        (changed("images", [{"uri": "../../secret.png"}]), "outside the file"),
        (changed("buffers.0.uri", "/etc/passwd"), "outside the file"),
        (changed("extensionsRequired", ["KHR_draco_mesh_compression"]), "KHR_draco_mesh_compression"),
        (changed("meshes.0.primitives.0.material", 3), "names material 3"),
        (changed("meshes.0.primitives.0.attributes.COLOR_0", 1), "colours belong to"),
        (changed("textures.0.source", 4), "names image 4"),
        (packed(b"[" * 1_000_000, b""), "not JSON"),
        (packed(b'{"nodes":[' + b"{}," * 3_000_000 + b"{}]}", b""), "8 MB"),
        (packed(*box(random.Random(1)), length=10**9), "says it has 1000000000 bytes"),
    ],
)  # fmt: skip
def test_what_is_claimed_and_not_held_is_refused_at_once(data: bytes, words: str) -> None:
    began = time.process_time()
    with pytest.raises(Problem) as caught:
        read_scene(data)
    assert caught.value.code == "scene-unreadable" and words in caught.value.detail
    assert time.process_time() - began < 2


@pytest.mark.parametrize("count", [65, 3000])
def test_many_nodes_on_one_mesh_are_refused(count: int) -> None:
    document, held = box(random.Random(1))
    document["nodes"] = [{"mesh": 0}] * count
    document["scenes"] = [{"nodes": list(range(count))}]
    with pytest.raises(Problem, match="limit"):
        read_scene(packed(document, held))


def test_sound_things_of_rare_kinds_are_read() -> None:
    document, held = box(random.Random(1))
    document["extensionsRequired"] = ["KHR_materials_unlit", "KHR_texture_transform"]
    document["accessors"][0]["count"] = 8.0
    document["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": 1, "byteOffset": 2, "componentType": 5123},
        "values": {"bufferView": 0, "byteOffset": 84},
    }
    document["meshes"][0]["primitives"][0]["mode"] = 5
    objects, _ = read_scene(packed(document, held))
    assert [item.instance for item in objects] == [1, 2]
    # The second index of the box, 1, is the vertex that is replaced by the last one.
    assert np.allclose(objects[0].mesh.vertices[1], objects[0].mesh.vertices[7])
    assert len(objects[0].mesh.faces) == 34


def test_a_tangle_of_triangles_is_placed_in_bounded_time() -> None:
    from backend.registration.model import LAYERS, tidy
    from backend.scene import Mesh

    points = np.random.default_rng(0).random((60_000, 3))
    kept, faces = tidy(Mesh(points, np.arange(60_000).reshape(-1, 3)), 3000)
    corners = kept[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area < 1.2 * LAYERS * 6


def test_hostile_scenes_are_refused_or_read() -> None:
    """The first of a thousand; `python -m tests.backend.hostile_sets scenes 0 1000` tries them all."""
    found = outcome("scenes", range(120))
    assert found.uncaught == []
    assert found.slowest[0] < 5 and found.peak < 1e9
    assert found.refused > 60 and found.taken > 2
