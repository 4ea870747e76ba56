"""A checkpoint with the published names and shapes, all of them, is read as a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.headers import CheckpointForeign  # noqa: E402
from models.magic123.published import read_run  # noqa: E402


def state(manifest: Any) -> dict[str, Any]:
    """Zeros of the published shapes, with the published offsets."""
    found = {}
    for name, shape in manifest["nerf_checkpoint"]["model"].items():
        plain, _, kind = name.partition(" ")
        found[plain] = torch.zeros(shape, dtype=getattr(torch, kind or "float32"))
    found["encoder.offsets"] = torch.tensor(manifest["hashgrid_offsets"], dtype=torch.int32)
    return found


def test_a_coarse_checkpoint_of_the_published_shapes_is_read(manifest: Any, tmp_path: Path) -> None:
    file = tmp_path / "run.pth"
    torch.save({"global_step": 5000, "mean_density": 3.0, "model": state(manifest)}, file)
    run = read_run(file)
    assert (run.steps, run.threshold) == (5000, 3.0)
    assert run.occupied is not None and run.occupied.shape == (128, 128, 128)
    network = run.field()
    assert [level.resolution for level in network.grid.levels] == manifest["hashgrid_resolutions"]
    numbers = {name: each for name, each in manifest["nerf_checkpoint"]["model"].items() if ".net." in name}
    expected = sum(torch.Size(shape).numel() for shape in numbers.values()) + 2 * manifest["hashgrid_offsets"][-1]
    assert sum(each.numel() for each in network.parameters()) == expected


@pytest.mark.parametrize("missing", ["encoder.embeddings", "encoder.offsets", "sigma_net.net.0.weight"])
def test_one_without_a_tensor_is_refused(manifest: Any, tmp_path: Path, missing: str) -> None:
    tensors = state(manifest)
    del tensors[missing]
    tensors = {name: each for name, each in tensors.items() if each.numel() < 1_000_000}
    torch.save({"model": tensors}, tmp_path / "run.pth")
    with pytest.raises(CheckpointForeign, match="is missing"):
        read_run(tmp_path / "run.pth")


def test_the_shapes_of_a_fine_checkpoint_are_told_apart(manifest: Any, tmp_path: Path) -> None:
    count = manifest["nerf_checkpoint"]["tet_grids"]["32"]["vertices"]
    tensors = state(manifest) | {"dmtet.sdf": torch.ones(count), "dmtet.deform": torch.zeros(count, 3)}
    torch.save({"model": tensors, "tet_scale": torch.ones(3).numpy()}, tmp_path / "run.pth")
    surface = read_run(tmp_path / "run.pth").surface
    assert surface is not None and len(surface.signed) == count
