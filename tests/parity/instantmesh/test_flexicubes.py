"""FlexiCubes: the derived tables, five analytic and random cases, and the repair of empty shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.isosurface.flexicubes import flexicubes, repair  # noqa: E402
from models.isosurface.flexicubes.tables import tables  # noqa: E402
from models.isosurface.flexicubes.topology import raw_cases  # noqa: E402
from tests.parity.goldens import part_of  # noqa: E402

Close = Callable[[Any, Any, float], None]
CASES = ["sphere", "shape", "perturbed", "noise", "open"]


def test_the_derived_tables_are_the_published_ones(reference: Path) -> None:
    from safetensors.torch import load_file

    published = load_file(part_of(reference, "flexicubes_tables.safetensors"))
    derived = tables(torch.device("cpu"))
    assert derived.count.tolist() == published["num_vd_table"].tolist()
    assert torch.where(derived.used, derived.edges, -1).tolist() == published["dmc_table"].tolist()
    flagged = derived.tunnel.any(1)
    assert 0 < int(flagged.sum()) < 256
    other = torch.where(flagged, 255 - torch.arange(256), 0)
    check = torch.cat([flagged[:, None], derived.tunnel, other[:, None]], dim=1)
    assert check.tolist() == published["check_table"].tolist()


@pytest.mark.parametrize("case", CASES)
def test_the_surface_is_the_published_one(golden: Any, close: Close, inference: None, case: str) -> None:
    numbers = golden("flexicubes")
    side, _, weight_scale = numbers[f"{case}.in.res_scale_weightscale"].tolist()
    cells, shape = (int(side),) * 3, (int(side) + 1,) * 3
    raw = numbers.tensors.get(f"{case}.in.weights21")
    sdf = numbers[f"{case}.in.sdf"].reshape(shape)
    mesh = flexicubes(
        numbers[f"{case}.in.vertices"].reshape(*shape, 3),
        sdf,
        None if raw is None else raw.reshape(*cells, 21),
        weight_scale=weight_scale,
    )
    assert mesh.cells.index.tolist() == numbers[f"{case}.mid.surf_cube_index"].tolist()
    before = raw_cases(sdf).reshape(-1)[mesh.cells.index]
    assert before.tolist() == numbers[f"{case}.mid.case_ids_before_fix"].tolist()
    assert mesh.cells.case.tolist() == numbers[f"{case}.mid.case_ids"].tolist()
    assert mesh.faces.tolist() == numbers[f"{case}.out.faces"].tolist()
    close(mesh.vertices, numbers[f"{case}.out.vertices"], 2e-6)
    close(mesh.deviation, numbers[f"{case}.out.L_dev"], 2e-6)


def test_noise_has_cells_whose_case_is_switched(golden: Any) -> None:
    """Otherwise the parity of case numbers would say nothing about switching."""
    numbers = golden("flexicubes")
    before, after = numbers["noise.mid.case_ids_before_fix"], numbers["noise.mid.case_ids"]
    assert 0 < int((before != after).sum()) < len(after)


@pytest.mark.parametrize("side", ["all_positive", "all_negative"])
def test_an_empty_shape_is_repaired_to_the_last_bit(golden: Any, side: str) -> None:
    """Whole meshes, empty or not, are held to the numbers together with the field: `test_lrm.py`."""
    numbers = golden("lrm")
    vertices = numbers.json("config")["grid_res"] + 1
    before = numbers[f"out.repair_{side}.sdf_before"].reshape((vertices,) * 3)
    repaired, empty = repair(before)
    assert empty
    assert torch.equal(repaired.reshape(-1, 1), numbers[f"out.repair_{side}.sdf_after"])
    inner = (repaired != before)[2:-2, 2:-2, 2:-2].nonzero() + 2
    assert (inner @ torch.tensor([vertices**2, vertices, 1])).tolist() == numbers["out.center_index"].tolist()
