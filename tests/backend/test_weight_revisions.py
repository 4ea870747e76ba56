"""Which revision of a model a job used is known, written into its result, and told when it has changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.camera import default_camera
from backend.contract import GenerateRequest, Progress, Warning
from backend.downloads.folder import HubFile, ModelFolder
from backend.jobs.models_used import models_used
from backend.jobs.run import run_job
from backend.pipelines import PIPELINES
from backend.pipelines.context import Context
from backend.pipelines.instantmesh import INSTANTMESH
from backend.pipelines.midi import MIDI
from backend.preparations import preparations
from backend.shot import InstanceMap, Shot
from backend.weights import WEIGHTS, models_kept_in
from backend.weights.revisions import revision_of, used
from tests.backend.imaging.pictures import png
from tests.backend.imaging.test_background import scene

FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models of a data folder; the hub's cache is an empty one."""
    monkeypatch.delenv("SET_DRESSER_MODELS", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "models"


def put(folder: Path, identifier: str) -> Path:
    """Files of the names that a model needs."""
    for name in WEIGHTS[identifier].required:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"weights")
    return folder


def downloaded(models: Path, identifier: str, commit: str) -> None:
    row = WEIGHTS[identifier]
    put(models / row.home, identifier)
    ModelFolder(models, row).begin(commit, [HubFile(row.required[0], 7, "git:0")])


UNKNOWN = [
    "midi",
    "openlrm-mix-small-1.1",
    "openlrm-obj-small-1.1",
    "openlrm-obj-base-1.1",
    "openlrm-obj-large-1.1",
    "openlrm-base-obj-1.0",
    "hi3d-orbit",
    "hi3d-refine",
    "zero123-105000-original",
]
"""Models whose commits no public page that was read names in full."""


def shot(**background: Any) -> Shot:
    nothing = np.zeros((4, 4, 4), np.uint8)
    return Shot(
        (nothing,), InstanceMap(nothing[..., 0].astype(np.uint16), {}), default_camera(4, 4), background=background
    )


def test_every_repository_is_pinned_to_a_commit_but_those_of_which_none_is_known() -> None:
    hub = {row.id: row.revision for row in WEIGHTS.values() if row.source == "hub"}
    assert [name for name, revision in hub.items() if revision is None] == UNKNOWN
    assert all(re.fullmatch("[0-9a-f]{40}", revision) for revision in hub.values() if revision)


def test_the_revision_is_read_from_wherever_a_download_leaves_it(tmp_path: Path, models: Path) -> None:
    identifier, row = "instantmesh-base", WEIGHTS["instantmesh-base"]
    with models_kept_in(tmp_path):
        assert revision_of(identifier) is None
        snapshot = tmp_path / "hub" / "models--TencentARC--InstantMesh" / "snapshots" / FIRST
        put(snapshot, identifier)
        assert revision_of(identifier) == FIRST
        by_hand = put(models / row.home, identifier)
        assert revision_of(identifier) is None, "nobody has noted it"
        noted = by_hand / ".cache" / "huggingface" / "download" / f"{row.required[0]}.metadata"
        noted.parent.mkdir(parents=True)
        noted.write_text(f"{SECOND}\netag\n1.0\n")
        assert revision_of(identifier) == SECOND
        downloaded(models, identifier, FIRST)
        assert revision_of(identifier) == FIRST
        assert revision_of("u2netp") is None and [each.source for each in used(["u2netp", "u2netp"])] == ["local"]


def test_another_revision_than_that_of_the_job_before_is_told_once(tmp_path: Path, models: Path) -> None:
    said: list[Any] = []

    def job() -> list[Any]:
        said.clear()
        models_used([(MIDI, MIDI.check({}))], shot(), Context(MIDI, 0, said.append))
        return [warning.code for warning in said]

    with models_kept_in(tmp_path):
        put(models / "VAST-AI" / "MIDI-3D", "midi")
        assert job() == [], "of a folder made by hand nothing is known"
        downloaded(models, "midi", FIRST)
        make_whole(models / "VAST-AI" / "MIDI-3D")
        assert job() == [] and job() == []
        downloaded(models, "midi", SECOND)
        make_whole(models / "VAST-AI" / "MIDI-3D")
        assert job() == ["weights-changed"]
        assert FIRST[:8] in said[0].message and SECOND[:8] in said[0].message and "MIDI-3D" in said[0].message
        assert job() == []


SAFE = (2).to_bytes(8, "little") + b"{}"


def make_whole(folder: Path) -> None:
    """Empty files of safetensors that have the length they say."""
    for file in folder.rglob("*.safetensors"):
        file.write_bytes(SAFE)


def test_another_revision_than_the_pinned_one_is_told_every_time(tmp_path: Path, models: Path) -> None:
    parameters = INSTANTMESH.check({"model": "base"})
    pinned = WEIGHTS["instantmesh-base"].revision
    assert pinned is not None
    with models_kept_in(tmp_path):
        for commit, times in ((FIRST, 2), (pinned, 1)):
            downloaded(models, "instantmesh-base", commit)
            said: list[Any] = []
            for _ in range(2):
                found = models_used([(INSTANTMESH, parameters)], shot(), Context(INSTANTMESH, 0, said.append))
            assert len(said) == times and all(pinned[:8] in warning.message for warning in said)
            assert {each.id: each.revision for each in found}["instantmesh-base"] == commit


def test_what_a_job_has_used_is_in_its_result(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="requirements/server.txt is not installed as it is")
    request = GenerateRequest(pipeline="inflate", parameters={"background": "network"})
    (tmp_path / "inputs").mkdir()
    (tmp_path / "request.json").write_text(request.model_dump_json())
    (tmp_path / "inputs" / "image-0.bin").write_bytes(png(scene()[0][..., :3], kind=2))
    said: list[Progress | Warning] = []

    def nobody(question: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError(question)

    run_job("job", tmp_path, said.append, lambda: False, nobody)  # type: ignore[arg-type]
    result = json.loads((tmp_path / "output" / "result.json").read_bytes())
    assert result["background"]["way"] == "network" and "onnxruntime" in result["versions"]
    assert result["weights"] == [
        {"id": "u2netp", "repository": "xuebinqin/U-2-Net", "source": "local", "revision": None}
    ]


def test_a_method_says_what_it_needs_with_these_parameters() -> None:
    imagine = preparations()["imagine"]
    assert imagine.needs(imagine.check({"model": "sd15"})).memory_bytes < imagine.needs(imagine.check({})).memory_bytes
    inflate = PIPELINES["inflate"]
    assert not inflate.learned and imagine.learned and MIDI.learned
    needs = inflate.needs(inflate.check({}))
    assert needs.memory_bytes == 0 and needs.minutes and needs.on
    assert MIDI.needs(MIDI.check({})).memory_bytes == MIDI.memory_bytes
