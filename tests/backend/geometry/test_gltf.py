"""scene.glb is valid glTF 2.0 and gives back, in any importer, the scene that went in."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from backend.errors import Problem
from backend.geometry.gltf import node_names, vertex_normals, write_glb
from backend.scene import Mesh, Scene
from tests.backend.shapes import ball, standing

TURN = 0.7
Z_UP_FROM_Y_UP = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=float)
VECTORS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
TYPES = {5123: "<u2", 5125: "<u4", 5126: "<f4"}


class Read:
    """A GLB taken apart by the letter of the specification."""

    def __init__(self, data: bytes) -> None:
        magic, version, length, json_length, json_kind = struct.unpack_from("<4sII I4s", data)
        assert (magic, version, length, json_kind) == (b"glTF", 2, len(data), b"JSON")
        self.document = json.loads(data[20 : 20 + json_length])
        binary_length, binary_kind = struct.unpack_from("<I4s", data, 20 + json_length)
        assert binary_kind == b"BIN\0" and json_length % 4 == binary_length % 4 == 0
        self.binary = data[28 + json_length :]
        assert len(self.binary) == binary_length == self.document["buffers"][0]["byteLength"]

    def view(self, index: int) -> bytes:
        view = self.document["bufferViews"][index]
        assert view["byteOffset"] % 4 == 0
        return self.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    def array(self, index: int) -> np.ndarray:
        accessor = self.document["accessors"][index]
        values = np.frombuffer(self.view(accessor["bufferView"]), TYPES[accessor["componentType"]])
        return values.reshape(accessor["count"], VECTORS[accessor["type"]])

    def primitive(self, mesh: int = 0) -> dict:
        (primitive,) = self.document["meshes"][mesh]["primitives"]
        return primitive

    def attribute(self, name: str, mesh: int = 0) -> np.ndarray:
        return self.array(self.primitive(mesh)["attributes"][name])

    def faces(self, mesh: int = 0) -> np.ndarray:
        return self.array(self.primitive(mesh)["indices"]).reshape(-1, 3)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(
        [
            standing(ball(0.5), 3, "Chair", at=(1, 2, 0), turn=TURN),
            standing(ball(0.2, 2), 5, "Chair", at=(-1, 4, 0.5)),
            standing(ball(0.3, 1, seam=False), 9, "", at=(0, 3, 0)),
        ]
    )


@pytest.fixture(scope="module")
def glb(scene: Scene) -> bytes:
    return write_glb(scene)


def test_every_instance_is_one_named_node_that_says_which_it_is(scene: Scene, glb: bytes) -> None:
    nodes = Read(glb).document["nodes"]
    assert [node["name"] for node in nodes] == ["Chair", "Chair.2", "Object 9"] == node_names(scene)
    assert [node["extras"] for node in nodes] == [
        {"instance_id": 3, "name": "Chair", "placement": "ground"},
        {"instance_id": 5, "name": "Chair", "placement": "ground"},
        {"instance_id": 9, "name": "", "placement": "ground"},
    ]
    assert all("scale" not in node and "matrix" not in node for node in nodes)


def test_props_stand_where_they_stood(scene: Scene, glb: bytes) -> None:
    loaded = trimesh.load_scene(io.BytesIO(glb), file_type="glb")
    for prop, name in zip(scene.props, node_names(scene), strict=True):
        matrix, mesh = loaded.graph[name]
        vertices = trimesh.transform_points(loaded.geometry[mesh].vertices, Z_UP_FROM_Y_UP @ matrix)
        np.testing.assert_allclose(_sorted(vertices), _sorted(prop.world_vertices()), atol=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
@settings(max_examples=30, deadline=None)
def test_any_rotation_survives_the_change_of_axes(quaternion: list[float]) -> None:
    prop = standing(ball(1, 0), 1, "Turned", at=(3, -2, 5))
    prop.world_from_prop[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    node = Read(write_glb(Scene([prop]))).document["nodes"][0]
    y_up = np.eye(4)
    y_up[:3, :3] = Rotation.from_quat(node["rotation"]).as_matrix()
    y_up[:3, 3] = node["translation"]
    expected = prop.world_from_prop
    np.testing.assert_allclose(Z_UP_FROM_Y_UP @ y_up @ np.linalg.inv(Z_UP_FROM_Y_UP), expected, atol=1e-9)


def test_merged_by_position_the_mesh_is_the_closed_surface_again(scene: Scene, glb: bytes) -> None:
    read = Read(glb)
    for index, prop in enumerate(scene.props):
        positions, faces = read.attribute("POSITION", index), read.faces(index)
        unique, inverse = np.unique(positions.view("V12").reshape(-1), return_inverse=True)
        assert len(unique) == len(prop.mesh.vertices)
        merged = trimesh.Trimesh(unique.view("<f4").reshape(-1, 3), inverse[faces], process=False)
        assert merged.is_watertight and merged.is_winding_consistent and merged.volume > 0


def test_vertices_are_doubled_only_where_the_texture_has_a_seam(scene: Scene, glb: bytes) -> None:
    read = Read(glb)
    mesh = scene.props[0].mesh
    corners = zip(mesh.faces.reshape(-1).tolist(), mesh.corner_uv.reshape(-1, 2).tolist(), strict=True)
    expected = len({(vertex, *np.float32(uv).tolist()) for vertex, uv in corners})
    assert len(mesh.vertices) < len(read.attribute("POSITION", 0)) == expected
    assert len(read.attribute("POSITION", 2)) == len(scene.props[2].mesh.vertices)
    uv, faces = read.attribute("TEXCOORD_0"), read.faces()
    np.testing.assert_array_equal(uv[faces], mesh.corner_uv.astype(np.float32))
    np.testing.assert_allclose(
        read.attribute("POSITION")[faces] @ Z_UP_FROM_Y_UP[:3, :3].T, mesh.vertices[mesh.faces], atol=1e-6
    )


def test_the_two_sides_of_a_seam_share_one_smooth_normal(scene: Scene, glb: bytes) -> None:
    read = Read(glb)
    positions, normals = read.attribute("POSITION"), read.attribute("NORMAL")
    order = np.lexsort(positions.T)
    same = (positions[order][1:] == positions[order][:-1]).all(axis=1)
    assert same.any()
    np.testing.assert_array_equal(normals[order][1:][same], normals[order][:-1][same])
    outward = positions - positions.mean(axis=0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert (normals * outward).sum(axis=1).min() > 0.99
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)


def test_normals_are_weighted_by_angle_not_by_how_a_side_is_cut() -> None:
    box = trimesh.creation.box()
    mesh = Mesh(np.array(box.vertices), np.array(box.faces))
    expected = np.sign(mesh.vertices) / np.sqrt(3)
    np.testing.assert_allclose(vertex_normals(mesh), expected, atol=1e-9)


def test_collapsed_triangles_still_have_unit_normals() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], dtype=float)
    normals = vertex_normals(Mesh(vertices, np.array([[0, 1, 2], [0, 2, 1]])))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_the_texture_is_inside_and_looks_like_it_did(scene: Scene, glb: bytes) -> None:
    read = Read(glb)
    for image, prop in zip(read.document["images"], scene.props, strict=True):
        picture = Image.open(io.BytesIO(read.view(image["bufferView"])))
        assert image["mimeType"] == Image.MIME[picture.format] == "image/jpeg"
        difference = np.abs(np.asarray(picture, dtype=int) - prop.mesh.texture)
        assert difference.max() <= 6


def test_a_mesh_without_texture_is_written_plain() -> None:
    plain = ball(seam=False)
    plain.uv = plain.texture = None
    read = Read(write_glb(Scene([standing(plain)])))
    assert set(read.primitive()["attributes"]) == {"POSITION", "NORMAL"}
    assert "images" not in read.document
    assert read.faces().shape == plain.faces.shape


def test_large_meshes_get_wide_indices() -> None:
    grid = np.arange(260 * 260).reshape(260, 260)
    one, two, three = grid[:-1, :-1].ravel(), grid[1:, :-1].ravel(), grid[:-1, 1:].ravel()
    vertices = np.stack([*np.divmod(grid.ravel(), 260), np.zeros(grid.size)], axis=1).astype(float)
    read = Read(write_glb(Scene([standing(Mesh(vertices, np.stack([one, two, three], axis=1)))])))
    assert read.array(read.primitive()["indices"]).dtype == np.uint32
    corner_order = read.attribute("POSITION")[read.faces()][0]
    np.testing.assert_array_equal(corner_order, [[0, 0, 0], [1, 0, 0], [0, 0, -1]])


def test_names_are_unique_and_free_of_control_characters() -> None:
    labels = ["Lamp", "Lamp", "Lamp.2", "  ", "a\nb\x00", "Stuhl Ö 椅子", "\ud800"]
    props = [standing(ball(1, 0), index, label) for index, label in enumerate(labels, start=1)]
    scene = Scene(props)
    names = node_names(scene)
    assert names == ["Lamp", "Lamp.2", "Lamp.2.2", "Object 4", "ab", "Stuhl Ö 椅子", "Object 7"]
    nodes = Read(write_glb(scene)).document["nodes"]
    assert [(node["name"], node["extras"]["name"]) for node in nodes] == list(zip(names, labels, strict=True))


@pytest.mark.parametrize(
    "broken",
    [
        Scene([]),
        Scene([standing(Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int)), 4, "Ghost")]),
        Scene([standing(Mesh(np.array([[0, 0, 0], [1, 0, np.nan], [0, 1, 0]]), np.array([[0, 1, 2]])), 4, "Ghost")]),
    ],
    ids=["no props", "no triangles", "not a number"],
)
def test_what_is_no_scene_is_refused(broken: Scene) -> None:
    with pytest.raises(Problem) as caught:
        write_glb(broken)
    assert caught.value.code == "geometry-failed"


def test_the_khronos_validator_finds_nothing(glb: bytes, tmp_path: Path) -> None:
    """Runs where node and the npm package gltf-validator are (its folder in GLTF_VALIDATOR)."""
    node, package = shutil.which("node"), os.environ.get("GLTF_VALIDATOR")
    if not node or not package:
        pytest.skip("node, or GLTF_VALIDATOR naming the folder of the npm package gltf-validator, is missing")
    (tmp_path / "scene.glb").write_bytes(glb)
    script = """
        const validator = require(process.argv[1]);
        const bytes = new Uint8Array(require('fs').readFileSync(process.argv[2]));
        validator.validateBytes(bytes).then(report => console.log(JSON.stringify(report.issues)));
    """
    command = [node, "-e", script, str(Path(package).resolve()), str(tmp_path / "scene.glb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    issues = json.loads(done.stdout)
    assert issues["messages"] == []


def _sorted(points: np.ndarray) -> np.ndarray:
    return np.unique(np.round(points, 5), axis=0)
