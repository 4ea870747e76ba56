"""The small model that comes along is whole, is known by its content, and makes a closed prop without a download."""

from __future__ import annotations

import hashlib

import pytest
import trimesh

torch = pytest.importorskip("torch")

from backend.weights import locate  # noqa: E402
from backend.weights.mira import ROWS  # noqa: E402
from models.lrm.single_view_files import claims  # noqa: E402
from tests.backend.mira_shots import PLAIN, around, made, shape, shot_of  # noqa: E402

(ROW,) = (row for row in ROWS if row.id == "mira-small")
FILE = ROW.required[-1]


def test_it_is_the_file_that_its_origin_and_the_catalogue_name() -> None:
    folder = locate(ROW.id)
    digest = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()
    assert digest == ROW.digests[FILE] and digest in (folder / "ORIGIN.md").read_text(encoding="utf-8")
    assert sum((folder / name).stat().st_size for name in ROW.required) == ROW.bytes < 16_000_000
    claimed = claims(folder)
    assert claimed.generation == "mira" and ROW.memory_bytes == 4 * claimed.parameters
    models = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("| ") for line in models) == 731 + 2


def test_it_makes_a_closed_prop_with_nothing_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SET_DRESSER_MODELS", raising=False)
    solid = shape()
    parameters = PLAIN.model_copy(update={"model": "mira-small", "resolution": 64})
    scene, _ = made(shot_of(solid.vertices, solid.faces, around(-60, 15)), parameters)
    (prop,) = scene.props
    mesh = trimesh.Trimesh(prop.mesh.vertices, prop.mesh.faces, process=False)
    assert mesh.is_watertight and mesh.volume > 0
    assert prop.quality["mask_iou"] > 0.6
