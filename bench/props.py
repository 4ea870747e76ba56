"""`python -m bench.props FOLDER COUNT TRIANGLES`: writes scene.glb with so many balls; prints a result.json for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import trimesh

from backend.camera import default_camera
from backend.geometry.gltf import write_glb
from backend.scene import Mesh, Prop, Scene

TEXTURE = 512


def ball(triangles: int) -> Mesh:
    """A textured ball of about so many triangles."""
    segments = round((triangles / 2) ** 0.5)
    sphere = trimesh.creation.uv_sphere(radius=0.5, count=(segments, segments))
    noise = np.random.default_rng(0).integers(0, 255, (TEXTURE, TEXTURE, 3), dtype=np.uint8)
    uv = np.stack([np.arctan2(*sphere.vertices.T[:2]) / 7 + 0.5, sphere.vertices[:, 2] * 0.9 + 0.5], axis=1)
    return Mesh(sphere.vertices, sphere.faces, uv=uv, texture=noise)


def main() -> None:
    folder, count, triangles = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    mesh, props, rows = ball(triangles), [], []
    for index in range(count):
        place = np.eye(4)
        place[:2, 3] = divmod(index, 10)
        props.append(Prop(index + 1, f"Ball {index + 1}", mesh, place, "ground"))
        rows.append({"id": index + 1, "name": f"Ball {index + 1}", "node": f"Ball {index + 1}", "mask_iou": 1.0})
    (folder / "scene.glb").write_bytes(write_glb(Scene(props)))
    camera = default_camera(64, 64).model_dump()
    result: dict[str, object] = {
        "job": "bench",
        "name": "bench",
        "pipeline": {"id": "inflate", "version": "1"},
        "parameters": {},
    }
    result |= {"seed": 0, "camera": camera, "camera_source": "request", "props": rows, "inputs": [], "warnings": []}
    result |= {"created": "2026-01-01T00:00:00Z", "versions": {}, "format": 1, "instance_source": "map"}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
