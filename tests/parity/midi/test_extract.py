"""The reference's decoding and meshing against its own numbers (`golden_extract`)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.isosurface import Bounds, EmptySurface, surface
from models.isosurface.coarse_to_fine import decode
from models.isosurface.marching import extract
from models.isosurface.reference import box_mean, decode_dense, inside_box
from models.isosurface.sampling import Progress, Sampler

REFERENCE = Path(os.environ.get("SET_DRESSER_REFERENCE", Path(__file__).resolve().parents[4] / "shared" / "reference"))
GOLDEN = REFERENCE / "midi" / "golden_extract.safetensors"
pytestmark = pytest.mark.skipif(not GOLDEN.is_file(), reason=f"no reference numbers: {GOLDEN.name} is missing")

GRID, SMOOTHED, VERTICES = 1e-6, 1e-6, 2e-6


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(GOLDEN)


@pytest.fixture(scope="module")
def depth() -> int:
    from safetensors import safe_open

    with safe_open(GOLDEN, "np") as file:
        return int(json.loads(file.metadata()["octree_depth"]))


def instances(golden: dict[str, np.ndarray]) -> list[str]:
    return sorted({name.split(".")[1] for name in golden if name.startswith("single.")}, key=int)


def full(golden: dict[str, np.ndarray]) -> list[str]:
    """Instances that have a surface of their own."""
    return [number for number in instances(golden) if f"prog.{number}.faces" in golden]


def bounds_of(golden: dict[str, np.ndarray], name: str) -> Bounds:
    return Bounds.of(golden[f"{name}.bbox_min"].tolist(), golden[f"{name}.bbox_max"].tolist())


class Recorded:
    """A field known only at the lattice points of recorded grids. Any other point is a failure of the caller."""

    def __init__(self, golden: dict[str, np.ndarray], *names: str) -> None:
        self.known: dict[bytes, float] = {}
        for name in names:
            grid, bounds = golden[f"{name}.grid"], bounds_of(golden, name)
            axes = [
                np.linspace(bounds.minimum[axis], bounds.maximum[axis], grid.shape[axis], dtype=np.float32)
                for axis in range(3)
            ]
            points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
            self.known.update(zip(map(bytes, points), grid.reshape(-1).tolist(), strict=True))

    def __call__(self, points: Tensor) -> Tensor:
        return torch.tensor([self.known[bytes(point)] for point in points.numpy()])


def test_points_of_the_dense_grid(golden: dict[str, np.ndarray]) -> None:
    expected = golden["dense.points"]
    resolution = int(golden["dense.grid_size"][0])
    asked: list[Tensor] = []

    def field(points: Tensor) -> Tensor:
        asked.append(points)
        return points[:, 0]

    bounds = Bounds.of(expected.min(0).astype(np.float64).tolist(), expected.max(0).astype(np.float64).tolist())
    decode_dense(Sampler(field, bounds, resolution, chunk=7), Progress(None))
    np.testing.assert_allclose(torch.cat(asked).numpy(), expected, rtol=0, atol=GRID)


def test_box_mean(golden: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(box_mean(golden["smooth.in"]), golden["smooth.out"], rtol=0, atol=SMOOTHED)
    for name in (key.removesuffix(".smoothed") for key in golden if key.endswith(".smoothed")):
        np.testing.assert_allclose(
            box_mean(golden[f"{name}.grid"]), golden[f"{name}.smoothed"], rtol=0, atol=SMOOTHED, err_msg=name
        )


def test_box_of_the_second_pass(golden: dict[str, np.ndarray]) -> None:
    for number in full(golden):
        box, expected = (
            inside_box(golden[f"single.{number}.grid"], bounds_of(golden, f"single.{number}")),
            f"prog.{number}",
        )
        np.testing.assert_allclose(box.minimum, golden[f"{expected}.bbox_min"], rtol=0, atol=1e-7)
        np.testing.assert_allclose(box.maximum, golden[f"{expected}.bbox_max"], rtol=0, atol=1e-7)
        np.testing.assert_allclose(box.size, golden[f"{expected}.bbox_size"], rtol=0, atol=2e-7)


@pytest.mark.parametrize("passes", [1, 2])
def test_meshes_are_the_reference_meshes(golden: dict[str, np.ndarray], depth: int, passes: int) -> None:
    compared = 0
    for number in full(golden):
        name = f"prog.{number}" if passes == 2 else f"single.{number}"
        field = Recorded(golden, *{f"single.{number}", name})
        mesh = surface(
            field, bounds_of(golden, f"single.{number}"), 2**depth + 1, passes=passes, chunk=1000, reference=True
        )
        np.testing.assert_array_equal(mesh.faces, golden[f"{name}.faces"])
        np.testing.assert_allclose(mesh.vertices, golden[f"{name}.vertices"], rtol=0, atol=VERTICES)
        compared += 1
    assert compared, "the set has no instance with a surface"


def test_an_instance_without_inside_is_skipped_and_takes_nobodys_box(golden: dict[str, np.ndarray], depth: int) -> None:
    empty = [number for number in instances(golden) if number not in full(golden)]
    for number in empty:
        field, bounds = Recorded(golden, f"single.{number}"), bounds_of(golden, f"single.{number}")
        for reference in (True, False):
            with pytest.raises(EmptySurface):
                surface(field, bounds, 2**depth + 1, reference=reference, coarse=2**depth + 1)


def test_sparse_decoding_of_the_recorded_fields_gives_the_dense_triangles(
    golden: dict[str, np.ndarray], depth: int
) -> None:
    """Without smoothing, and at the right scale: half as many points along each axis to begin with."""
    from skimage.measure import marching_cubes

    for number in full(golden):
        name = f"prog.{number}"
        bounds, grid = bounds_of(golden, name), golden[f"{name}.grid"]
        vertices, faces, _, _ = marching_cubes(grid, 0.0)
        mesh = extract(decode(Recorded(golden, name), bounds, len(grid), coarse=2 ** (depth - 1) + 1))
        np.testing.assert_array_equal(mesh.faces, faces)
        expected = vertices / (len(grid) - 1) * bounds.size + np.asarray(bounds.minimum)
        np.testing.assert_allclose(mesh.vertices, expected, rtol=0, atol=VERTICES)
