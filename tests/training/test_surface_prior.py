"""What the network of surfaces learns from, and that it learns."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from models.multiview import orbit, read_prior
from models.multiview.known import known, lattice_over
from models.multiview.silhouettes import object_box, outline_distances
from models.writing import write_torch
from tests.models.multiview.shapes import BOX, CHAIR, distance_to, mesh_of, shot
from training.objects.listing import Entry, write_list
from training.surface import __main__ as program
from training.surface.examples import ASKED, Example, Shapes, halved
from training.surface.truth import distances


def example_of(boxes: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...], name: str) -> Example:
    views = shot(*mesh_of(boxes), orbit(16, 10.0, size=64))  # type: ignore[arg-type]
    apart = outline_distances(views.alpha)
    lattice = lattice_over(*object_box(apart, views), cells=16)
    values, hull, sights = known(apart, views, lattice)
    true = distance_to(boxes, lattice.points()).reshape(hull.shape) / lattice.spacing  # type: ignore[arg-type]
    return halved(Example(name, values, hull, true, sights))


@pytest.fixture(scope="module")
def example() -> Example:
    return example_of(BOX, "box")  # type: ignore[arg-type]


def test_distances_are_those_of_what_is_seen_from_outside() -> None:
    within = (((0.0, 0.0, 0.0), (0.1, 0.1, 0.1)),)
    vertices, faces = mesh_of((*BOX, *within))
    points = torch.rand(2000, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    found, true = distances(vertices, faces, points, 0.1), distance_to(BOX, points)
    far = true.abs() > 0.02
    assert torch.equal(found[far] < 0, true[far] < 0), "what lies within changes nothing"
    near = far & (true < 0.09) & (true > 0)
    assert float((found - true)[near].abs().max()) < 0.012
    assert float(found.abs().max()) <= 0.1 + 0.004


def test_a_sheet_has_a_thickness() -> None:
    vertices = torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    found = distances(vertices, faces, torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.05], [0.0, 0.0, -0.05]]), 0.1)
    assert float(found[0]) < 0 and float(found[1:].min()) > 0.03


def test_changed_examples_are_the_same_object(example: Example) -> None:
    for seed in range(6):
        other = example.changed(random.Random(seed))
        assert sorted(other.true.shape) == sorted(example.true.shape)
        assert torch.equal(other.true.flatten().sort()[0], example.true.flatten().sort()[0])
        assert torch.allclose((other.true < 0).sum((0, 1)), (example.true < 0).sum((0, 1))), "z stays z"
        sights = other.sights
        assert len(sights.pictures) == ASKED and sights.grid.shape == (ASKED, len(sights.places), 2)
        # A place takes along where it is seen: how far behind the front it lies changes no more than its neighbours'.
        assert torch.equal((other.hull < 1).flatten().nonzero()[:, 0], sights.places)


def test_what_has_the_shape_of_another_is_left_out(example: Example) -> None:
    chair = example_of(CHAIR, "chair")  # type: ignore[arg-type]
    turned = replace(example, name="turned", true=example.true.transpose(0, 1))
    known = Shapes([example])
    assert [each.name for each in (example, turned, chair) if not known.has(each)] == ["chair"]


def test_it_learns_from_what_a_folder_holds(tmp_path: Path, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    write_torch(tmp_path / "set" / "one.pt", asdict(example))
    monkeypatch.setattr(program, "TOLD", 2)
    monkeypatch.setattr(program, "TESTED", 2**31)  # none is kept aside
    write_list(tmp_path / "models", [Entry("box", "box.obj", creator="Someone"), Entry("other", "other.obj")])
    with torch.no_grad():
        untrained = float(program.error(program.Prior(), example)[0])
    assert (
        program.main(
            ["train", str(tmp_path / "models"), str(tmp_path / "set"), str(tmp_path / "out"), "--minutes", "0.1"]
        )
        == 0
    )
    assert float(program.error(read_prior(tmp_path / "out"), example)[0]) < untrained
    named = (tmp_path / "out" / "ATTRIBUTION.md").read_text()
    assert "Someone" in named and "other" not in named
