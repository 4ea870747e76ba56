"""Checkpoints of published runs: read right, turned into our world, refused in words where they are something else."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.headers import CheckpointDamaged, CheckpointError, CheckpointForeign, CheckpointMissing
from models.isosurface.tetrahedra import TetrahedralGrid, crossings
from models.magic123.field import FieldSettings, RadianceField, from_published, to_published
from models.magic123.published import PublishedSurface, read_run, read_tetrahedra, unpacked
from models.radiance.hash_grid import GridSettings

GRID = GridSettings(levels=3, log2_entries=6)


def network(seed: int = 0) -> RadianceField:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        field = RadianceField(FieldSettings(GRID, hidden=8, published_world=True))
        field.grid.table.data.normal_()
    return field


def parameters(field: RadianceField) -> dict[str, Tensor]:
    """Under the published names, in the published order."""
    found = {"encoder.embeddings": field.grid.table.detach()}
    for name, each in field.network.named_parameters():
        found[f"sigma_net.net.{name}"] = each.detach()
    return found


def state(field: RadianceField, **more: Tensor) -> dict[str, Tensor]:
    bits = torch.zeros(128**3 // 8, dtype=torch.uint8)
    bits[0] = 0b10
    return {
        "aabb_train": torch.tensor([-1.0, -1, -1, 1, 1, 1]),
        "aabb_infer": torch.tensor([-1.0, -1, -1, 1, 1, 1]),
        "density_grid": torch.zeros(1, 8),
        "density_bitfield": bits,
        "encoder.offsets": torch.tensor(GRID.offsets, dtype=torch.int32),
        **more,
        **parameters(field),
    }


def content(field: RadianceField, **more: Any) -> dict[str, Any]:
    stats = {"loss": [0.5, np.float64(0.25)], "results": [1.0], "checkpoints": ["run_ep0001.pth"], "best_result": None}
    return {"epoch": 3, "global_step": 300, "stats": stats, "mean_density": 4.5, "model": state(field), **more}


def written(folder: Path, told: Any) -> Path:
    file = folder / "run.pth"
    torch.save(told, file)
    return file


POINTS = torch.rand(50, 3, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_a_coarse_run_is_the_field_that_was_written(tmp_path: Path) -> None:
    field = network()
    run = read_run(written(tmp_path, content(field)))
    assert (run.steps, run.averaged, run.mean_density, run.surface) == (300, None, 4.5, None)
    assert run.threshold == 4.5
    for ours, theirs in zip(run.field()(POINTS), field(POINTS), strict=True):
        assert torch.equal(ours, theirs)


def test_the_threshold_is_ten_at_most(tmp_path: Path) -> None:
    assert read_run(written(tmp_path, content(network(), mean_density=80.0))).threshold == 10
    assert read_run(written(tmp_path, content(network(), mean_density=0))).threshold == 10


def test_a_full_checkpoint_gives_its_averages(tmp_path: Path) -> None:
    raw, averages = network(0), network(1)
    told = content(raw, ema={"decay": 0.95, "num_updates": 3, "shadow_params": list(parameters(averages).values())})
    run = read_run(written(tmp_path, told))
    assert run.averaged
    assert torch.equal(run.field()(POINTS)[0], averages(POINTS)[0])


def test_averages_of_something_else_are_refused(tmp_path: Path) -> None:
    told = content(network(), ema={"shadow_params": [torch.ones(3)]})
    with pytest.raises(CheckpointForeign, match="not those of its parameters"):
        read_run(written(tmp_path, told))


def test_occupied_cells_are_where_they_are_in_our_world(tmp_path: Path) -> None:
    """The second bit is the cell next along the published x, in the corner where all of its coordinates are -1."""
    occupied = read_run(written(tmp_path, content(network()))).occupied
    assert occupied is not None
    x, y, z = (int(each) for each in occupied.nonzero()[0])
    centre = (torch.tensor([x, y, z]) + 0.5) / 64 - 1
    assert int(occupied.sum()) == 1
    assert (to_published(centre) * 64).tolist() == [-62.5, -63.5, -63.5]


def test_every_cell_of_a_lattice_comes_to_its_place() -> None:
    """Morton's order, written out bit by bit."""
    cells = 4
    theirs = torch.rand(cells, cells, cells, generator=torch.Generator().manual_seed(3)) < 0.5
    bits = [0] * (cells**3 // 8)
    for x in range(cells):
        for y in range(cells):
            for z in range(cells):
                number = sum(
                    ((x >> bit & 1) | (y >> bit & 1) << 1 | (z >> bit & 1) << 2) << 3 * bit for bit in range(2)
                )
                bits[number // 8] |= int(theirs[x, y, z]) << number % 8
    ours = unpacked(torch.tensor(bits, dtype=torch.uint8), cells)
    for x, y, z in ours.nonzero().tolist():
        p, q, r = (int(each) for each in to_published(torch.tensor([x, y, z]) * 2 - (cells - 1)) + cells - 1)
        assert theirs[p // 2, q // 2, r // 2]
    assert int(ours.sum()) == int(theirs.sum())


def grid_file(folder: Path, **arrays: Any) -> Path:
    file = folder / "32_tets.npz"
    np.savez_compressed(file, **arrays)
    return file


def fine(folder: Path, scale: Any = np.array([0.5, 0.6, 0.7], np.float32)) -> tuple[Path, Path, TetrahedralGrid]:  # noqa: B008
    """A run whose surface is a slab, thin along the published x, and its tetrahedra."""
    grid = TetrahedralGrid(4)
    index = torch.arange(grid.vertices)
    places = grid.points(index)
    signed = 0.3 - (places - torch.tensor([0.4, 0.0, 0.0])).abs().amax(1)
    deform = torch.zeros(grid.vertices, 3)
    deform[:, 0] = 1.0
    told = content(network())
    told["model"] |= {"dmtet.sdf": signed, "dmtet.deform": deform}
    if scale is not None:
        told["tet_scale"] = scale
    tetrahedra = grid.crossed(index >= grid.corners)
    return written(folder, told), grid_file(folder, vertices=places.numpy() / 2, indices=tetrahedra.numpy()), grid


def test_a_fine_run_is_the_surface_that_was_written(tmp_path: Path) -> None:
    run, tetrahedra, grid = fine(tmp_path)
    surface = read_run(run).surface
    assert surface is not None
    assert surface.scale.tolist() == pytest.approx([0.5, 0.7, 0.6])
    listed = read_tetrahedra(tetrahedra, surface)
    inside = surface.signed > 0
    found = crossings(listed.crossed(inside), inside)
    points = listed.points(found.ends.reshape(-1)) * surface.scale
    points = points + surface.deform[found.ends.reshape(-1)].tanh() / listed.resolution
    vertices = found.places(points.reshape(-1, 2, 3), surface.signed[found.ends])
    # As the published program makes it, in its world.
    places = grid.points(torch.arange(grid.vertices)) * torch.tensor([0.5, 0.6, 0.7])
    places = places + torch.tensor([1.0, 0.0, 0.0]).tanh() / 256
    theirs = crossings(grid.crossed(inside), inside, reference=True)
    expected = theirs.places(places[theirs.ends], surface.signed[theirs.ends])
    assert float((to_published(vertices) - expected).abs().max()) < 1e-6
    assert float(expected[:, 0].mean()) > 0.1
    one, two, three = vertices.double()[found.faces].unbind(1)
    assert float((one * torch.linalg.cross(two, three)).sum()) > 0
    assert torch.equal(from_published(to_published(vertices)), vertices)


def test_a_fine_run_without_its_scale_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointForeign, match="coarse stage can be read, and refined again"):
        read_run(fine(tmp_path, None)[0])


@pytest.mark.parametrize("kind", ["float64", "list", "tensor"])
def test_a_scale_may_be_written_otherwise(tmp_path: Path, kind: str) -> None:
    scales = {"float64": np.array([0.5, 0.6, 0.7]), "list": [0.5, 0.6, 0.7], "tensor": torch.tensor([0.5, 0.6, 0.7])}
    surface = read_run(fine(tmp_path, scales[kind])[0]).surface
    assert surface is not None and surface.scale.tolist() == pytest.approx([0.5, 0.7, 0.6])


@pytest.mark.parametrize("scale", [np.ones(2, np.float32), np.array([1, np.nan, 1], np.float32), [0.5, 0.0, 1.0], "x"])
def test_a_scale_that_is_none_is_damage(tmp_path: Path, scale: Any) -> None:
    with pytest.raises(CheckpointDamaged, match="three lengths"):
        read_run(fine(tmp_path, scale)[0])


def changed(**model: Any) -> dict[str, Any]:
    told = content(network())
    told["model"] |= model
    return told


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"a": torch.ones(2)}, "a is unknown"),
        ([torch.ones(2)], "no table of tensors"),
        ({"model": {"encoder.offsets": 3}}, "is no tensor"),
        ({"encoder.embeddings": torch.ones(4, 2)}, "encoder.offsets is missing"),
        (changed(**{"encoder.embeddings": torch.ones(5, 3)}), "not \\[entries, 2\\]"),
        (changed(**{"encoder.offsets": torch.arange(100)}), "at most 65 whole numbers"),
        (changed(**{"density_bitfield": torch.ones(8, dtype=torch.uint8)}), "density_bitfield has the shape"),
        (changed(**{"dmtet.mlp.net.0.weight": torch.ones(8, 8)}), "tet_mlp"),
        (changed(**{"dmtet.sdf": torch.ones(8), "dmtet.deform": torch.ones(7, 3)}), "are no surface"),
        (content(network(), mean_density=float("nan")), "mean density"),
        (content(network(), mean_density=-1.0), "mean density"),
        (content(network(), global_step="many"), "global_step"),
    ],
)  # fmt: skip
def test_what_is_no_run_is_refused(tmp_path: Path, told: Any, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        read_run(written(tmp_path, told))
    assert "run.pth" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"encoder.offsets": torch.tensor([0, 64, 128])}, "not as long as its own offsets"),
        ({"encoder.offsets": torch.tensor([0, 32, 128, 192])}, "other levels"),
        ({"sigma_net.net.1.weight": torch.ones(9, 9)}, "size mismatch|Error|sigma_net"),
        ({"sigma_net.net.2.bias": torch.full((4,), torch.nan)}, "no finite numbers"),
    ],
)
def test_a_run_that_fits_no_field_is_refused(tmp_path: Path, model: dict[str, Tensor], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read_run(written(tmp_path, changed(**model))).field()


def test_a_missing_and_a_cut_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing):
        read_run(tmp_path / "none.pth")
    file = written(tmp_path, content(network()))
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(CheckpointDamaged, match="cut off"):
        read_run(file)


def test_a_file_with_a_program_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harm",))

    with pytest.raises(CheckpointError):
        read_run(written(tmp_path, content(network(), tet_scale=Harm()) | changed(**{"dmtet.sdf": torch.ones(3)})))
    assert not (tmp_path / "harm").exists()


def test_a_claim_of_terabytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointDamaged, match="claim"):
        read_run(written(tmp_path, changed(**{"dmtet.sdf": torch.ones(1).expand(10**12)})))


def test_torn_files_end_in_a_sentence(tmp_path: Path) -> None:
    whole = written(tmp_path, content(network(), tet_scale=np.ones(3, np.float32))).read_bytes()
    program = whole.find(b"data.pkl")
    chance = random.Random(5)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(program, program + 1500)] = chance.randrange(256)
        (tmp_path / "torn.pth").write_bytes(bytes(data))
        try:
            read_run(tmp_path / "torn.pth").field()
        except CheckpointError as error:
            assert "torn.pth" in str(error)


SURFACE = PublishedSurface(torch.zeros(7), torch.zeros(7, 3), torch.ones(3))


@pytest.mark.parametrize(
    ("arrays", "kind", "words"),
    [
        ({"vertices": np.zeros((7, 3))}, CheckpointForeign, "no 'indices'"),
        ({"vertices": np.zeros((7, 3)), "indices": np.full((2, 4), 9)}, CheckpointForeign, "names a vertex"),
        ({"vertices": np.zeros((6, 3)), "indices": np.zeros((2, 4), int)}, CheckpointForeign, "another resolution"),
        ({"vertices": np.full((7, 3), np.nan), "indices": np.zeros((2, 4), int)}, CheckpointForeign, "holds no vert"),
        ({"vertices": np.zeros((7, 3)), "indices": np.zeros((2, 4))}, CheckpointForeign, "holds no vertices"),
        ({"vertices": np.zeros(7), "indices": np.zeros((2, 4), int)}, CheckpointDamaged, "no table"),
        ({"vertices": np.array([[None] * 3] * 7), "indices": np.zeros((2, 4), int)}, CheckpointDamaged, "no table"),
    ],
)  # fmt: skip
def test_what_are_no_tetrahedra_is_refused(
    tmp_path: Path, arrays: dict[str, Any], kind: type[CheckpointError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        read_tetrahedra(grid_file(tmp_path, **arrays), SURFACE)


def test_tetrahedra_that_are_missing_say_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match="data/tets"):
        read_tetrahedra(tmp_path / "256_tets.npz")


def test_an_array_that_claims_more_than_it_has_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)})
    file = tmp_path / "32_tets.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("vertices.npy", stream.getvalue())
        archive.writestr("indices.npy", stream.getvalue())
    with pytest.raises(CheckpointDamaged, match="claims 24000000000000 bytes and has 0"):
        read_tetrahedra(file)
    file.write_bytes(b"version https://git-lfs")
    with pytest.raises(CheckpointDamaged, match="no file of tetrahedra"):
        read_tetrahedra(file)
