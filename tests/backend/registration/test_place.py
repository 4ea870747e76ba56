"""`python -m backend place`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend.cli.main import BAD_INPUT, DONE, FAILURE, main
from backend.errors import Problem
from backend.geometry.gltf import write_glb
from backend.registration.raw_scene import read_scene
from backend.scene import Mesh, Prop, Scene
from bench.generated_scenes import Case, make_case
from tests.backend.shapes import ball

ROOT = Path(__file__).parents[3]
SEED = 9


def with_ids(case: Case) -> bytes:
    props = [Prop(number, f"raw {number}", mesh, np.eye(4), "") for number, mesh in case.meshes.items()]
    return write_glb(Scene(props))


def without_ids(case: Case) -> bytes:
    """As another program writes it: y up, no extras, nodes that are turned and scaled, in another order."""
    scene = trimesh.Scene()
    for number, mesh in sorted(case.meshes.items(), reverse=True):
        y_up = np.stack([mesh.vertices[:, 0], mesh.vertices[:, 2], -mesh.vertices[:, 1]], axis=1)
        matrix = trimesh.transformations.rotation_matrix(0.3 * number, (0, 1, 1)) @ np.diag([2.0, 2.0, 2.0, 1.0])
        local = trimesh.transform_points(y_up, np.linalg.inv(matrix))
        scene.add_geometry(trimesh.Trimesh(local, mesh.faces, process=False), node_name=f"n{number}", transform=matrix)
    data: bytes = scene.export(file_type="glb")
    return data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    case = make_case(SEED)
    (tmp_path / "raw.glb").write_bytes(with_ids(case))
    (tmp_path / "camera.json").write_text(case.camera.model_dump_json(), encoding="utf-8")
    Image.fromarray(case.instances.labels.astype(np.uint8)).save(tmp_path / "map.png")
    np.save(tmp_path / "depth.npy", case.depth)
    rows = []
    for number, mesh in case.world.items():
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        matrix = np.diag([*(high - low), 1.0])
        matrix[:3, 3] = (low + high) / 2
        rows.append({"id": number, "world_from_box": matrix.tolist()})
    (tmp_path / "blockout.json").write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path


def arguments(folder: Path, *more: str) -> list[str]:
    files = {"--scene": "raw.glb", "--instances": "map.png", "--camera": "camera.json"}
    files |= {"--out": "placed.glb", "--report": "report.json"}
    given = [part for option, name in files.items() for part in (option, str(folder / name))]
    return ["place", *given, *more]


def world_vertices(path: Path) -> dict[int, Any]:
    """Instance -> (V, 3) in the world, z up, as a reader of glTF sees the file."""
    objects, _ = read_scene(path.read_bytes())
    return {item.instance: item.mesh.vertices for item in objects if item.instance is not None}


def test_the_command_places_every_object(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "backend", *arguments(folder)],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == DONE, done.stderr
    case = make_case(SEED)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["matched_by"] == "extras" and report["scale_source"] == "ground"
    assert report["mean_iou"] > 0.98 and report["confidence"] > 0.9
    assert np.allclose(report["similarity"], case.truth, atol=0.03)
    assert [row["id"] for row in report["instances"]] == sorted(case.meshes)
    assert all(row["iou"] > 0.95 and row["outline_error"] < 1 for row in report["instances"])
    placed = world_vertices(folder / "placed.glb")
    for number, mesh in case.world.items():
        low, high = placed[number].min(axis=0), placed[number].max(axis=0)
        assert np.allclose(low, mesh.vertices.min(axis=0), atol=0.02)
        assert np.allclose(high, mesh.vertices.max(axis=0), atol=0.02)
    assert "objects placed" in done.stdout


def test_depth_and_bounds_are_used(folder: Path) -> None:
    more = ["--depth", str(folder / "depth.npy"), "--blockout", str(folder / "blockout.json"), "--snap", "axes"]
    assert main(arguments(folder, *more, "--snap-ground", "--quiet")) == DONE
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["scale_source"] == "depth" and report["depth_error"] < 0.01
    placed = world_vertices(folder / "placed.glb")
    for number, mesh in make_case(SEED).world.items():
        assert np.allclose(placed[number].min(axis=0), mesh.vertices.min(axis=0), atol=1e-4), "the bounds, exactly"
        assert np.allclose(placed[number].max(axis=0), mesh.vertices.max(axis=0), atol=1e-4)


def test_nodes_without_ids_are_matched_by_shape(folder: Path) -> None:
    case = make_case(SEED)
    (folder / "raw.glb").write_bytes(without_ids(case))
    assert main(arguments(folder, "--quiet")) == DONE
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["matched_by"] == "shape" and report["mean_iou"] > 0.98
    assert {row["id"]: row["node"] for row in report["instances"]} == {number: f"n{number}" for number in case.meshes}


def test_the_report_can_be_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "--json", "--quiet")) == DONE
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert printed["depth_error"] is None, "not a number is no JSON"


def test_a_mesh_that_cannot_be_placed_by_itself_goes_along(folder: Path) -> None:
    case = make_case(SEED)
    labels = np.where(case.instances.labels == 1, 0, case.instances.labels).astype(np.uint8)
    Image.fromarray(labels).save(folder / "map.png")
    assert main(arguments(folder, "--quiet")) == DONE
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert next(row["iou"] for row in report["instances"] if row["id"] == 1) is None
    assert "instance-unseen" in {warning["code"] for warning in report["warnings"]}
    low = world_vertices(folder / "placed.glb")[1].min(axis=0)
    assert np.allclose(low, case.world[1].vertices.min(axis=0), atol=0.05)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("raw.glb", b"glTFnonsense", "damaged"),
        ("raw.glb", b"PK\x03\x04", "not a glTF binary"),
        ("raw.glb", None, "does not exist"),
        ("map.png", b"\x89PNG", "instance map"),
        ("camera.json", b"{", "not JSON"),
        ("camera.json", b"{}", "not valid"),
        ("depth.npy", b"", "depth"),
        ("blockout.json", b'[{"id": 1, "name": "Sofa"}]', "world_from_box"),
        ("blockout.json", b'[{"id": 1, "world_from_box": [[1,1,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}]', "perpendicular"),
        ("blockout.json", b'[{"id": 1, "world_from_box": [[0,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}]', "length"),
    ],
)  # fmt: skip
def test_a_bad_file_gets_a_sentence_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, words: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    more = ["--depth", str(folder / "depth.npy"), "--blockout", str(folder / "blockout.json")]
    assert main(arguments(folder, *more)) == BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and words in lines[0] and lines[1].endswith(".")
    assert not (folder / "placed.glb").exists() and not (folder / "report.json").exists()


def test_options_that_contradict_each_other_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(folder, "--snap", "bounds")) == BAD_INPUT
    assert main(arguments(folder, "--report", str(folder / "placed.glb"))) == BAD_INPUT
    assert main(arguments(folder, "--seed", "-1")) == BAD_INPUT
    assert "--blockout" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_gets_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file").write_bytes(b"")
    assert main(arguments(folder, "--out", str(folder / "file" / "placed.glb"))) == FAILURE
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [12, 20, 40, 300, 2000])
def test_a_truncated_scene_is_refused(cut: int) -> None:
    with pytest.raises(Problem) as caught:
        read_scene(with_ids(make_case(SEED))[:cut])
    assert caught.value.code == "scene-unreadable"


def test_a_scene_is_read_as_it_was_written() -> None:
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, (1, 2, 3)
    source = ball(seam=False)
    objects, warnings = read_scene(write_glb(Scene([Prop(7, "Ball", source, matrix, "")])))
    assert len(objects) == 1 and not warnings
    found = objects[0]
    assert found.instance == 7 and found.name == "Ball"
    assert np.allclose(found.mesh.vertices, source.vertices @ turn.T + (1, 2, 3), atol=1e-5)
    assert found.mesh.uv is not None and np.allclose(found.mesh.uv, source.uv, atol=1e-6)
    assert found.mesh.texture is not None and found.mesh.texture.shape == source.texture.shape  # type: ignore[union-attr]


def test_a_mirrored_node_keeps_its_outside() -> None:
    sphere = trimesh.creation.icosphere(subdivisions=1)
    scene = trimesh.Scene()
    scene.add_geometry(sphere, transform=np.diag([-1.0, 1.0, 1.0, 1.0]))
    objects, _ = read_scene(scene.export(file_type="glb"))
    mesh: Mesh = objects[0].mesh
    assert trimesh.Trimesh(mesh.vertices, mesh.faces).volume == pytest.approx(sphere.volume, rel=1e-5)
