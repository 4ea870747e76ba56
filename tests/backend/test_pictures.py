"""The eight reference scenes, all the way: files in, command line, scene.glb out, and only that file is believed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy import ndimage

from backend.camera import Camera
from backend.cli import main
from backend.contract import Result
from backend.geometry.silhouette import mask_iou, silhouette

ROOT = Path(__file__).parents[2]
SCENES = Path(os.environ.get("SET_DRESSER_DATA", ROOT.parent / "shared" / "data")) / "scenes"
PICTURES = sorted(path.name.removesuffix("_rgb.png") for path in SCENES.glob("*_rgb.png"))
WORLD_FROM_GLTF = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=float)
SPECK = 32


def masks_of(path: Path) -> list[np.ndarray]:
    """One mask per palette index or colour but the background, read without the backend's own reader."""
    picture = Image.open(path)
    values = np.array(picture, dtype=np.int64)
    if values.ndim == 3:
        values = (values[..., 0] << 16) | (values[..., 1] << 8) | values[..., 2]
    return [values == value for value in np.unique(values) if value]


def parts(mask: np.ndarray) -> int:
    """Eight-connected components that are no specks; the largest always counts."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = ndimage.sum(mask, labels, range(1, count + 1))
    return max(1, int((sizes >= SPECK).sum()))


@pytest.mark.skipif(not PICTURES, reason=f"no reference pictures in {SCENES.name} (SET_DRESSER_DATA)")
@pytest.mark.parametrize("name", PICTURES)
def test_every_instance_of_a_picture_is_a_sound_mesh_that_covers_its_mask(name: str, tmp_path: Path) -> None:
    image, instances = SCENES / f"{name}_rgb.png", SCENES / f"{name}_seg.png"
    command = ["generate", "--pipeline", "inflate", "--quiet"]
    command += ["--image", str(image), "--instances", str(instances), "--out", str(tmp_path / "out")]
    command += ["--data", str(tmp_path / "data")]
    if name == PICTURES[0]:  # of the others the work alone has a process of its own
        subprocess.run([sys.executable, "-m", "backend", *command], cwd=ROOT, check=True, timeout=120)
    else:
        assert main(command) == 0

    result = Result.model_validate_json((tmp_path / "out" / "result.json").read_text())
    masks = masks_of(instances)
    loaded = trimesh.load_scene(io.BytesIO((tmp_path / "out" / "scene.glb").read_bytes()), file_type="glb")
    nodes = list(loaded.graph.nodes_geometry)
    assert len(nodes) == len(masks) == len(result.props)

    unclaimed = list(range(len(masks)))
    for node in nodes:
        transform, geometry = loaded.graph[node]
        mesh = loaded.geometry[geometry].copy()
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        mesh.apply_transform(WORLD_FROM_GLTF @ transform)
        assert mesh.is_watertight, node
        assert mesh.is_winding_consistent, node
        assert all(body.volume > 0 for body in mesh.split(only_watertight=False)), node

        seen = silhouette(mesh.vertices, mesh.faces, Camera.model_validate(result.camera))
        overlap = [mask_iou(seen, masks[index]) for index in unclaimed]
        mask = masks[unclaimed.pop(int(np.argmax(overlap)))]
        assert mesh.body_count == parts(mask), node
        if mask.sum() > 400:
            assert max(overlap) >= 0.97, node

    report = json.loads((tmp_path / "out" / "result.json").read_text())
    assert {prop["node"] for prop in report["props"]} == set(nodes)
