"""A backend that hangs, that must be replaced, that gives memory back, and that outlived its Blender."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.backend_process import leftovers, server_process
from blender_addon.backend_process.installation import InstallationState
from blender_addon.backend_process.server_process import ServerState
from blender_addon.backend_process.studio_server import StudioServer
from blender_addon.ground import folders, preferences
from blender_addon.ground.messages import SetDresserError
from blender_addon.state.condition import Condition, condition, holds_memory
from blender_addon.state.job import JobRecord
from blender_addon.ui.panels import SET_DRESSER_PT_main
from blender_addon.wire import client
from blender_addon.wire.http_exchange import Timeouts
from blender_addon.wire.http_framing import ConnectionProblem
from blender_addon.work import resting, server_life
from tests.backend.waiting import is_gone, until
from tests.blender_addon.processes import listen
from tests.blender_addon.processes import start as start_blender
from tests.blender_addon.pumping import pump_until, start
from tests.blender_addon.recorder import Recorder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped with signals")


def draw() -> Recorder:
    layout = Recorder()
    SET_DRESSER_PT_main.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the backend answers is known in a second, and one that hangs is ended in two."""
    monkeypatch.setattr(client, "HEALTH_TIMEOUTS", Timeouts(1.0, 0.5))
    monkeypatch.setattr(server_life, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(server_process, "GRACE_SECONDS", 0.5)


@pytest.fixture
def hung(addon: Any, impatient: None) -> Iterator[int]:
    """The backend's process id; it is there and does nothing."""
    addon.start_server()
    pid = session.current.desk.server.pid
    os.kill(pid, signal.SIGSTOP)
    yield pid
    if not is_gone(pid):
        os.kill(pid, signal.SIGCONT)


def state() -> ServerState:
    return session.current.desk.server.state


def worker() -> str:
    return str(session.current.desk.health.get("worker"))


# whether it answers


def test_a_backend_that_hangs_is_told_and_forgiven(hung: int) -> None:
    pump_until(lambda: state() is ServerState.UNREACHABLE, "the notice")
    assert session.current.desk.server.problem.code == "unreachable"
    layout = draw()
    told = layout.texts.replace("\n", " ")
    assert "No answer" in told and "The backend runs but does not answer" in told and "press Restart" in told
    assert {"set_dresser.restart_server", "set_dresser.open_log"} <= set(layout.buttons)
    os.kill(hung, signal.SIGCONT)
    pump_until(lambda: state() is ServerState.READY, "the answer")
    assert session.current.desk.server.problem is None
    assert session.current.desk.server.pid == hung


def test_restart_ends_one_that_hangs_and_jobs_go_on(addon: Any, picture: Path, impatient: None) -> None:
    job = start(addon, picture, seconds=1.5)
    pump_until(lambda: job.state == "running", "the start")
    before = session.current.desk.server.pid
    os.kill(before, signal.SIGSTOP)
    pump_until(lambda: state() is ServerState.UNREACHABLE, "the notice")
    assert job.state == "running", "nobody gives it up before the user does"
    bpy.ops.set_dresser.restart_server()
    pump_until(lambda: state() is ServerState.READY, "another backend")
    assert is_gone(before) and session.current.desk.server.pid != before
    pump_until(lambda: job.objects, "the props")


# whether it is wanted


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The preferences, to be changed."""
    values = preferences.get()
    monkeypatch.setattr(preferences, "get", lambda: values)
    return values


def test_other_preferences_replace_the_backend_when_nothing_runs(
    addon: Any, picture: Path, chosen: Any, tmp_path: Path
) -> None:
    job = start(addon, picture, seconds=1.0)
    pump_until(lambda: job.state == "running", "the start")
    before = session.current.desk.server.pid
    chosen.idle_minutes = 2
    chosen.models_folder = str(tmp_path)
    session.current.line.check_set_up()
    with pytest.raises(SetDresserError, match="other settings") as caught:
        server_life.catch_up(session.current.line)
    assert caught.value.code == "restart-needed"
    job.wait()
    assert session.current.desk.server.pid == before and len(job.objects) == 1
    pump_until(lambda: state() is ServerState.READY and session.current.desk.server.pid != before, "another backend")
    folder = Path(f"/proc/{session.current.desk.server.pid}")
    if folder.exists():
        assert b"--idle-seconds\x00120\x00" in (folder / "cmdline").read_bytes()
        assert f"SET_DRESSER_MODELS={tmp_path}".encode() in (folder / "environ").read_bytes().split(b"\0")
    settled = session.current.desk.server.pid
    for _ in range(5):
        session.pump()
    assert session.current.desk.server.pid == settled


# its memory


def render(device: str) -> None:
    bpy.context.scene.cycles.device = device
    bpy.ops.render.render()


def ask_health() -> None:
    session.current.desk.health_stale = True
    session.current.desk.health = {}
    pump_until(lambda: session.current.desk.health, "the answer")


def test_a_render_on_the_graphics_card_gets_the_memory_of_an_idle_backend(addon: Any, picture: Path) -> None:
    addon.generate(source=picture, pipeline="test-box")
    ask_health()
    assert holds_memory(session.current.desk)
    render("CPU")
    ask_health()
    assert worker() == "ready", "a render on the processor takes nothing away"
    render("GPU")
    pump_until(lambda: ask_health() or worker() == "asleep", "the worker's end")
    assert addon.generate(source=picture, pipeline="test-box").state == "done"


def test_a_render_does_not_disturb_a_job(addon: Any, picture: Path) -> None:
    job = start(addon, picture, seconds=1.0)
    pump_until(lambda: job.state == "running", "the start")
    render("GPU")
    pump_until(lambda: ask_health() or worker() == "busy", "the worker at work")
    assert job.wait().state == "done"


def test_with_a_window_the_handler_only_leaves_word(addon: Any, current: Any) -> None:
    """It is called in the render's thread; the tick asks."""
    asked: list[str] = []
    scene = bpy.context.scene
    scene.cycles.device = "GPU"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resting, "bpy", SimpleNamespace(app=SimpleNamespace(background=False)))
        patch.setattr(server_life, "can_rest", lambda *_: asked.append("can_rest"))
        resting._render_begins(scene)
        assert (current.desk.rest_wanted, asked) == (True, [])
        session.pump()
        assert (current.desk.rest_wanted, asked) == (False, ["can_rest"])


def test_our_own_captures_do_not_send_the_worker_away(addon: Any, current: Any) -> None:
    """The job that needs it follows at once."""
    addon.start_server()
    pump_until(lambda: ask_health() or worker() == "ready", "the warm worker")
    bpy.context.scene.cycles.device = "GPU"
    job = addon.generate(objects=[bpy.data.objects["Cube"]], pipeline="test-box", wait=False)
    ask_health()
    assert worker() in ("ready", "busy")
    assert job.wait().state == "done"


def test_memory_is_given_back_at_the_press_of_a_button(addon: Any) -> None:
    assert not bpy.ops.set_dresser.rest.poll()
    addon.start_server()
    pump_until(lambda: ask_health() or worker() == "ready", "the warm worker")
    assert "set_dresser.rest" in draw().buttons
    bpy.ops.set_dresser.rest()
    pump_until(lambda: worker() == "asleep", "the worker's end")
    assert "set_dresser.rest" not in draw().buttons


# what outlived its Blender


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def note_of(user: Path, server: int, **other: Any) -> Path:
    """A note of a server whose Blender has gone, but for what is said otherwise."""
    leftovers.note(user, server)
    path = user / leftovers.FOLDER / f"{server}.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "blender_began": "an earlier process", **other}))
    return path


def test_a_server_without_its_blender_is_ended(tmp_path: Path, sleeper: Any) -> None:
    path = note_of(tmp_path, sleeper.pid)
    assert leftovers.sweep(tmp_path) == [sleeper.pid]
    assert sleeper.wait(5) == -signal.SIGKILL
    assert not path.exists()
    assert leftovers.sweep(tmp_path) == []


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        ({"began": "another process"}, False),
        ({"began": ""}, False),
        ({"blender": os.getpid(), "blender_began": leftovers.began(os.getpid())}, True),
        ({"blender_began": ""}, True),
        ({"pid": 1}, False),
        ({"pid": "x"}, False),
    ],
    ids=["its number was given to another", "unknown", "its Blender lives", "its Blender is unknown", "1", "no note"],
)
def test_what_is_not_proven_is_left_alone(tmp_path: Path, sleeper: Any, other: dict[str, Any], kept: bool) -> None:
    path = note_of(tmp_path, sleeper.pid, **other)
    assert leftovers.sweep(tmp_path) == []
    assert sleeper.poll() is None
    assert path.exists() == kept


def test_a_process_is_told_from_others(sleeper: Any) -> None:
    mine = leftovers.began(os.getpid())
    assert mine and mine == leftovers.began(os.getpid())
    assert leftovers.began(sleeper.pid) not in ("", mine)
    sleeper.kill()
    until(lambda: leftovers.began(sleeper.pid) == "", "its end")  # a zombie until it is waited for


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="this system has no ps")
def test_ps_tells_a_process_from_others(sleeper: Any) -> None:
    """As on macOS."""
    assert leftovers._by_ps(os.getpid()) == leftovers._by_ps(os.getpid()) != ""
    sleeper.kill()
    sleeper.wait()
    assert leftovers._by_ps(sleeper.pid) == ""


def test_a_running_backend_is_noted_without_its_token(addon: Any, current: Any) -> None:
    addon.start_server()
    path = folders.user() / leftovers.FOLDER / f"{current.desk.server.pid}.json"
    assert json.loads(path.read_bytes())["blender"] == os.getpid()
    assert current.desk.server.token not in path.read_text()
    addon.shutdown()
    assert not path.exists()


def test_a_backend_that_hangs_when_its_blender_is_killed_is_ended_by_the_next(
    addon: Any, picture: Path, tmp_path: Path, python_with_plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "user"
    with start_blender("wait_to_be_killed", "running", picture, python=python_with_plugin, user=user) as blender:
        pid = listen(blender)["pid"]
        (notes,) = user.rglob(leftovers.FOLDER)
        os.kill(pid, signal.SIGSTOP)
        blender.kill()
        blender.wait()
        assert not is_gone(pid)
        assert leftovers.sweep(notes.parent) == [pid]
        until(lambda: is_gone(pid), "the end of the backend")


# how it is shown


def ready(current: Any) -> None:
    current.desk.server.state = ServerState.READY


def busy(current: Any) -> None:
    ready(current)
    current.desk.jobs["a"] = JobRecord(id="a", state="running")


def installing(current: Any) -> None:
    current.desk.set_up_problem = SetDresserError("No Python.", "Press Install.")
    current.desk.installation.state = InstallationState.INSTALLING


def not_installed(current: Any) -> None:
    current.desk.set_up_problem = SetDresserError("No Python.", "Press Install.")


def in_state(wanted: ServerState) -> Callable[[Any], None]:
    def make(current: Any) -> None:
        current.desk.server.state, current.desk.server.problem = wanted, SetDresserError("It is so.", "Do this.")

    return make


def left(current: Any) -> None:
    current.desk.studio = True


def at_studio(wanted: ServerState, code: str = "") -> Callable[[Any], None]:
    def make(current: Any) -> None:
        current.desk.server = server = StudioServer()
        server.state, server.problem = wanted, ConnectionProblem("It is so.", "Do this.", code)

    return make


MAKE: dict[Condition, Callable[[Any], None]] = {
    Condition.NOT_INSTALLED: not_installed,
    Condition.INSTALLING: installing,
    Condition.READY: ready,
    Condition.BUSY: busy,
    Condition.STOPPED: in_state(ServerState.STOPPED),
    Condition.STARTING: in_state(ServerState.STARTING),
    Condition.STOPPING: in_state(ServerState.STOPPING),
    Condition.UNREACHABLE: in_state(ServerState.UNREACHABLE),
    Condition.INCOMPATIBLE: in_state(ServerState.INCOMPATIBLE),
    Condition.CRASHED: in_state(ServerState.CRASHED),
    Condition.LEFT: left,
    Condition.CONNECTING: at_studio(ServerState.STARTING),
    Condition.CONNECTED: at_studio(ServerState.READY),
    Condition.AWAY: at_studio(ServerState.UNREACHABLE, "refused"),
    Condition.REFUSED: at_studio(ServerState.UNREACHABLE, "invalid"),
}


@pytest.mark.parametrize("wanted", list(Condition), ids=lambda each: each.name.lower())
def test_every_condition_is_shown_with_what_can_be_done(
    addon: Any, current: Any, monkeypatch: pytest.MonkeyPatch, wanted: Condition
) -> None:
    monkeypatch.delenv("SET_DRESSER_PYTHON")
    MAKE[wanted](current)
    assert condition(current.desk) is wanted
    layout = draw()
    told = layout.texts.replace("\n", " ")
    if wanted in (Condition.NOT_INSTALLED, Condition.INSTALLING):  # the installation has its own box
        assert "install" in told
    else:
        assert wanted.value.text in told
    offered = {action.operator for action in (*wanted.value.small, *wanted.value.large)}
    assert offered <= set(layout.buttons)
    if wanted.value.large:
        assert "It is so. Do this." in told
    current.desk.server.state = ServerState.STOPPED


def test_memory_and_restart_are_python_calls_too(addon: Any, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline,asking_pipeline")
    with pytest.raises(SetDresserError, match="does not run") as caught:
        addon.free_memory()
    assert caught.value.code == "server-busy"
    job = addon.generate(source=picture, pipeline="test-asking", parameters={"candidates": 3})
    assert job.question is not None
    addon.free_memory()  # a job that asks something needs none
    pump_until(lambda: ask_health() or worker() == "asleep", "the worker leaving")
    assert job.question is not None, "and it still asks"

    before = addon.server_status()["pid"]
    assert addon.restart_server()["pid"] not in (None, before)
    pump_until(lambda: job.question is not None, "the question in the new backend")
    job.answer({"chosen": [1]})
    job.wait()
    assert job.state == "done"
