"""A learned method without its libraries is refused with a sentence, by the server, before anything is stored."""

from pathlib import Path

import pytest

from backend import engine
from backend.contract import GenerateRequest
from backend.errors import Problem
from backend.jobs.service import JobService
from backend.pipelines.inflate import INFLATE
from backend.pipelines.midi import MIDI
from backend.server.views import PipelineView
from tests.backend.small_pictures import cut_out


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PACKAGES", ("numpy", "no_such_engine"))
    assert engine.missing() == ["no_such_engine"]
    assert not PipelineView.of(MIDI).ready and PipelineView.of(INFLATE).ready
    with JobService(tmp_path) as service:
        with pytest.raises(Problem, match="engine-missing") as caught:
            service.submit(GenerateRequest(pipeline="midi"), [cut_out()])
        assert "no_such_engine" in caught.value.detail and caught.value.hint
        assert service.list() == []


def test_the_libraries_are_looked_for_without_importing_them() -> None:
    assert engine.missing() == [], "requirements/learned.in and engine.PACKAGES belong together"
