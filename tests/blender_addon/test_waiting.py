"""Waiting for a job has no limit of its own: it ends with the job, with the backend, or where the caller says."""

from __future__ import annotations

import inspect
import os
import time
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.api import waiting
from blender_addon.backend_process.server_process import ServerState
from blender_addon.ground import moments
from blender_addon.ground.messages import SetDresserError
from tests.blender_addon.conftest import script
from tests.blender_addon.pumping import pump_until, start

YEAR = 365 * 86400.0


def test_only_the_caller_sets_a_limit(addon: Any) -> None:
    calls = (addon.Job.wait, addon.generate, addon.again, addon.new_variant, addon.continue_job, addon.import_job)
    assert {inspect.signature(each).parameters["timeout"].default for each in calls} == {None}


def test_a_job_of_a_year_is_waited_for(addon: Any, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps on at each look; only the caller's limit would mind."""
    job = start(addon, picture)
    began = time.monotonic()
    looks = iter(range(10**9))

    class Clock:
        monotonic = staticmethod(lambda: began + next(looks) * YEAR)
        sleep = staticmethod(time.sleep)

    monkeypatch.setattr(waiting, "time", Clock)
    assert len(job.wait().objects) == 1
    monkeypatch.setattr(moments, "import_hindrance", lambda: "Leave Edit Mode")
    with pytest.raises(SetDresserError, match="props have not come after 1 seconds") as caught:
        addon.import_job(job, timeout=1)
    assert caught.value.code == "timeout"


def acting(monkeypatch: pytest.MonkeyPatch, when: Any, act: Any) -> None:
    """Have something happen while somebody waits: once, as soon as it can."""
    pump, done = session.pump, []

    def pumped() -> float:
        if not done and when():
            done.append(True)
            act()
        return pump()

    monkeypatch.setattr(session, "pump", pumped)


@pytest.mark.parametrize("call", ["generate", "again"])
def test_waiting_ends_when_the_backend_is_stopped(
    addon: Any, picture: Path, current: Any, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (prop,) = addon.generate(source=picture, pipeline="test-box").objects
    running = lambda: any(job.state == "running" for job in current.desk.jobs.values())  # noqa: E731
    acting(monkeypatch, running, addon.shutdown)
    with pytest.raises(SetDresserError) as caught:
        if call == "generate":
            addon.generate(source=picture, pipeline="test-box", parameters={"seconds": 600})
        else:
            addon.again(prop, parameters={"seconds": 600})
    assert caught.value.code == "stopped"


def test_waiting_ends_when_the_backend_is_gone_for_good(
    addon: Any, picture: Path, current: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is killed, and what should replace it does not start."""
    job = start(addon, picture, seconds=600)
    pump_until(lambda: job.state == "running", "the start")
    monkeypatch.setenv("SET_DRESSER_PYTHON", str(script(tmp_path / "python", "#!/bin/sh\nexit 1\n")))
    os.kill(current.desk.server.pid, 9)
    with pytest.raises(SetDresserError) as caught:
        job.wait()
    assert caught.value.code not in ("timeout", "cancelled") and job.state == "failed"
    assert current.desk.server.state is ServerState.CRASHED


def test_waiting_ends_at_the_limit_of_the_caller_and_the_job_goes_on(addon: Any, picture: Path) -> None:
    long = {"seconds": 600}
    (prop,) = addon.generate(source=picture, pipeline="test-box").objects
    bpy.context.view_layer.objects.active = prop
    calls = (
        lambda: addon.generate(source=picture, pipeline="test-box", parameters=long, timeout=0.1),
        lambda: addon.again(prop, parameters=long, timeout=0.1),
        lambda: addon.new_variant(prop, seed=5, timeout=0.0),
    )
    for call in calls:
        with pytest.raises(SetDresserError) as caught:
            call()
        assert caught.value.code == "timeout"
    assert [job.state in ("preparing", "sending", "queued", "running") for job in addon.jobs()[:3]] == [True] * 3
