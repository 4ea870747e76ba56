"""The benchmark of surfaces from views measures what it says, and looks at its bars."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from bench import multiview, multiview_ceiling  # noqa: E402
from bench.multiview import Figures, table, verdict  # noqa: E402
from bench.multiview_data import HELD_OUT, TRIED, Task, elevations_of  # noqa: E402
from bench.multiview_measures import Sampled, f_scores, is_watertight, picture_noise, seen_from_outside  # noqa: E402
from models.multiview import Prior, orbit  # noqa: E402
from tests import documented  # noqa: E402
from tests.models.multiview.shapes import BOX, mesh_of, shot  # noqa: E402
from training.surface.disturbing import disturbed  # noqa: E402


def test_every_way_is_measured_at_the_smallest_size() -> None:
    vertices, faces = mesh_of(BOX)
    orbits = [shot(vertices, faces, orbit(16, elevation, size=64)) for elevation in (0.0, 15.0)]
    found = Task("box", 0.0, *orbits, vertices, faces)
    figures = [
        multiview.measured(found, Sampled.of(vertices, faces, 4000), way, 64, Prior(), 1)[0] for way in multiview.WAYS
    ]
    assert [each.way for each in figures] == list(multiview.WAYS)
    for each in figures:
        assert each.watertight and 0 < each.f1 <= each.f2 <= 1 and each.seconds > 0 and each.orbit > 10
    assert figures[0].told is None and figures[2].told is not None
    rows = documented.table(table(figures))
    assert [row[0] for row in rows] == list(multiview.TITLES.values())


def test_perfect_depth_is_nearer_to_the_truth_than_the_hull(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vertices, faces = mesh_of(BOX)
    orbits = [shot(vertices, faces, orbit(16, elevation, size=64)) for elevation in (0.0, 15.0)]
    monkeypatch.setattr(multiview_ceiling, "tasks", lambda *given: [("box", 0.0)])
    monkeypatch.setattr(multiview_ceiling, "task", lambda *given: Task("box", 0.0, *orbits, vertices, faces))
    monkeypatch.setattr(multiview_ceiling, "CELLS", 32)
    monkeypatch.setattr(multiview_ceiling, "POINTS", 2000)
    multiview_ceiling.main(["models", "views"])
    means = dict(line.split(": ") for line in capsys.readouterr().out.splitlines() if " at 2 %" in line)
    found = {way: float(told.split(", ")[1].split()[0]) for way, told in means.items()}
    assert list(found) == ["hull", "depth", "top, bottom"] and found["depth"] >= found["hull"] > 0.3


def test_the_measures_know_right_from_wrong() -> None:
    vertices, faces = mesh_of(BOX)
    truth = Sampled.of(vertices, faces, 4000)
    near, plain = f_scores(truth, truth)
    assert near[1].f > 0.98 and plain[1].f > 0.98
    moved, _ = f_scores(Sampled.of(vertices + torch.tensor([0.0, 0.0, 0.05]), faces, 4000), truth)
    assert moved[1].f < 0.7
    within, others = mesh_of((((0.0, 0.0, 0.0), (0.1, 0.1, 0.1)),))
    both = torch.cat([vertices, within]), torch.cat([faces, others + len(vertices)])
    points = torch.tensor([[0.3, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, -0.15]])
    assert seen_from_outside(*both, points).tolist() == [True, False, True]
    assert is_watertight(faces) and not is_watertight(faces[1:])
    assert not is_watertight(torch.cat([faces[1:], faces[:1].flip(1)]))


def test_views_are_disturbed_by_as_much_as_is_said() -> None:
    views = shot(*mesh_of(BOX), orbit(8, 10.0, size=128))
    other, wrong = disturbed(views, 3)
    assert 1 <= wrong < 8
    apart = (other.alpha - views.alpha).abs().mean((1, 2))
    assert int(apart.argmax()) == wrong or float(apart[wrong]) > 0
    assert float(apart.max()) < 0.2 and float(apart.min()) > 0
    again, same = disturbed(views, 3)
    assert same == wrong and torch.equal(again.pictures, other.pictures)
    half = views.at_most(64)
    assert half.cameras.width == 64 and float((half.alpha.mean() - views.alpha.mean()).abs()) < 1e-4


def test_the_bars_are_looked_at() -> None:
    one = Figures("a", 0.0, "learned", 0.76, 0.91, 0.7, 0.8, 28.0, 23.0, True, 100.0, None)
    hull = replace(one, way="hull", f1=0.5, f2=0.6)
    bad = replace(one, way="disturbed", f2=0.86, told=True)
    assert not [said for said in verdict([one, hull, bad]) if "NOT held" in said]
    worse = replace(one, f1=0.1, f2=0.1, orbit=20.0, unseen=20.0, watertight=False, seconds=300.0)
    said = verdict([worse, hull, replace(bad, f2=0.1, told=False)])
    assert len([each for each in said if "NOT held" in each]) == 8


def test_nothing_is_measured_that_settings_were_chosen_on() -> None:
    assert len(set(HELD_OUT)) == 20 and not set(HELD_OUT) & set(TRIED)
    assert {each for index in range(3) for each in elevations_of(index, every=False)} == {0.0, 10.0, 20.0}


def test_the_document_has_the_rows_that_are_printed() -> None:
    assert [row[0] for row in documented.rows("multiview.md", "Figures")] == list(multiview.TITLES.values())


def test_pictures_of_the_surface_are_held_against_the_views() -> None:
    vertices, faces = mesh_of(BOX)
    views = shot(vertices, faces, orbit(4, 0.0, size=64), lambda points: torch.full_like(points, 0.4))
    surface = multiview.Surface(vertices, faces, torch.full((8, 3), 0.4), torch.ones(8, dtype=torch.bool), {})
    assert picture_noise(surface, views) > 40
    assert picture_noise(replace(surface, colours=torch.ones(8, 3)), views) < 20
