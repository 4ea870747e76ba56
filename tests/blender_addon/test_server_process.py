"""The backend as a child process: the real one, and programs that are anything but it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blender_addon.backend_process import server_process
from blender_addon.backend_process.environment import Environment
from blender_addon.backend_process.server_process import ServerProcess, ServerState
from blender_addon.ground.messages import SetDresserError
from blender_addon.wire.client import answer
from tests.backend.waiting import is_gone, until
from tests.blender_addon.conftest import ROOT, script
from tests.blender_addon.peer import finish

Make = Callable[[str], Environment]


class Clock:
    """A clock that a test can put forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[ServerProcess]:
    made = ServerProcess(clock)
    yield made
    made.end_now()
    assert not made.running


@pytest.fixture
def pretending(tmp_path: Path) -> Make:
    """An environment whose Python runs this program instead of the backend."""

    def make(program: str) -> Environment:
        python = script(tmp_path / "python", f"#!{sys.executable}\nimport sys, time, os, signal, json\n{program}\n")
        return Environment(python, ROOT, tmp_path / "data", tmp_path / "user")

    return make


@pytest.fixture
def real(tmp_path: Path, python_with_plugin: Path) -> Environment:
    return Environment(python_with_plugin, ROOT, tmp_path / "data", tmp_path / "user")


def reaches(server: ServerProcess, *states: ServerState) -> None:
    until(lambda: server.poll() in states, f"one of {[state.name for state in states]}", 30.0)


def test_the_backend_starts_answers_and_ends(server: ServerProcess, real: Environment) -> None:
    assert server.poll() is ServerState.STOPPED
    server.start(real)
    assert server.state is ServerState.STARTING
    reaches(server, ServerState.READY)
    exchange = server.client.get("/health")
    finish(exchange)
    assert answer(exchange)["pid"] == server.pid
    assert server.version
    pid = server.pid
    server.stop()
    assert server.state is ServerState.STOPPING
    assert server.client is None
    reaches(server, ServerState.STOPPED)
    assert is_gone(pid)


def test_it_can_be_started_again(server: ServerProcess, real: Environment) -> None:
    for _ in range(2):
        server.start(real)
        reaches(server, ServerState.READY)
        server.stop()
        reaches(server, ServerState.STOPPED)


def test_starting_twice_starts_once(server: ServerProcess, real: Environment) -> None:
    server.start(real)
    pid = server.pid
    server.start(real)
    assert server.pid == pid


def test_nothing_is_written_beside_the_backend(
    server: ServerProcess, real: Environment, compiling_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The add-on's folder may be read-only, and Blender removes it on updates."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    backend = tmp_path / "bundle"
    backend.mkdir()
    for package in ("backend", "models"):
        source = [path for path in (ROOT / package).rglob("*.py") if "__pycache__" not in path.parts]
        for path in source:
            target = backend / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    before = sorted(backend.rglob("*"))
    server.start(Environment(compiling_python, backend, real.data, real.user))
    reaches(server, ServerState.READY)
    assert sorted(backend.rglob("*")) == before
    assert list((real.user / "pycache").rglob("*.pyc"))


def test_its_token_is_in_no_list_of_processes(server: ServerProcess, real: Environment) -> None:
    server.start(real)
    for shown in ("cmdline", "environ"):
        path = Path(f"/proc/{server.pid}/{shown}")
        if not path.exists():
            pytest.skip("this system has no /proc")
        assert server._token.encode() not in path.read_bytes()


def test_an_unexpected_end_is_told_with_its_last_words(server: ServerProcess, pretending: Make, tmp_path: Path) -> None:
    go = tmp_path / "go"
    server.start(
        pretending(f"""
print(json.dumps(dict(port=1, protocol=1, version="1")), flush=True)
while not os.path.exists({str(go)!r}):
    time.sleep(0.01)
print("No more strength.", file=sys.stderr)
sys.exit(3)""")
    )
    reaches(server, ServerState.READY)
    go.touch()
    reaches(server, ServerState.CRASHED)
    assert server.problem.message == "The backend ended (exit code 3). Its last words: No more strength."


def test_killed_it_has_no_last_words_and_starts_again(server: ServerProcess, real: Environment) -> None:
    server.start(real)
    reaches(server, ServerState.READY)
    os.kill(server.pid, 9)
    reaches(server, ServerState.CRASHED)
    assert server.problem.code == "backend-ended"
    assert server.problem.message == "The backend ended (signal 9)."
    server.start(real)
    reaches(server, ServerState.READY)
    assert server.problem is None


def test_a_python_without_the_requirements_is_told(server: ServerProcess, pretending: Make) -> None:
    server.start(pretending("sys.exit(\"No module named 'fastapi'\")"))
    reaches(server, ServerState.CRASHED)
    assert server.problem.message == "The backend's Python lacks the package 'fastapi'."
    assert "exit code 1" in server.problem.details
    assert server.last_log_lines() == ["No module named 'fastapi'"]


@pytest.mark.parametrize("line", ["Hello!", "{}", '{"port": "x", "protocol": 1}', "[1]", "null"])
def test_a_program_that_is_not_the_backend_is_told(server: ServerProcess, pretending: Make, line: str) -> None:
    server.start(pretending(f"print({line!r}, flush=True); sys.stdin.read()"))
    reaches(server, ServerState.CRASHED)
    assert server.problem.code == "handshake-invalid"
    assert not server.running


def test_a_backend_of_another_version_is_told(server: ServerProcess, pretending: Make) -> None:
    hands = json.dumps({"port": 1, "pid": 1, "version": "9.9", "protocol": 99})
    server.start(pretending(f"print({hands!r}, flush=True); sys.stdin.read()"))
    reaches(server, ServerState.INCOMPATIBLE)
    assert server.problem.code == "protocol-mismatch"
    assert "99" in server.problem.message
    assert "9.9" in server.problem.message
    assert "same version" in server.problem.hint


def test_a_handshake_may_come_in_pieces(server: ServerProcess, pretending: Make, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = f"""
w = lambda text: os.write(1, text)
w(b'{{"port": 5, "proto')
while not os.path.exists({str(go)!r}): time.sleep(0.01)
w(b'col": 1, "version": "1"}}\\n')
sys.stdin.read()
"""
    server.start(pretending(program))
    until(lambda: server.poll() and os.fstat(server._output.fileno()).st_size, "the first piece")
    assert server.poll() is ServerState.STARTING
    go.touch()
    reaches(server, ServerState.READY)
    assert server.client.endpoint.host == "127.0.0.1:5"


def test_silence_at_the_start_is_told_after_its_time(server: ServerProcess, pretending: Make, clock: Clock) -> None:
    server.start(pretending("sys.stdin.read()"))
    clock.now += server_process.START_SECONDS
    assert server.poll() is ServerState.STARTING
    clock.now += 1.0
    reaches(server, ServerState.CRASHED)
    assert server.problem.code == "start-timeout"


def test_who_does_not_listen_is_terminated_and_then_killed(
    server: ServerProcess, pretending: Make, clock: Clock, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    program = f"""
signal.signal(signal.SIGTERM, lambda *_: open({str(said)!r}, "w").close())
print(json.dumps(dict(port=1, protocol=1, version="1")), flush=True)
while True: time.sleep(0.01)
"""
    server.start(pretending(program))
    reaches(server, ServerState.READY)
    pid = server.pid
    server.stop()
    assert server.poll() is ServerState.STOPPING
    assert not said.exists()
    clock.now += server_process.GRACE_SECONDS + 0.1
    until(lambda: server.poll() and said.exists(), "the polite request")
    assert not is_gone(pid)
    clock.now += server_process.GRACE_SECONDS
    reaches(server, ServerState.STOPPED)
    assert is_gone(pid)


def test_it_is_not_started_more_than_three_times_a_minute(
    server: ServerProcess, pretending: Make, clock: Clock
) -> None:
    broken = pretending("sys.exit(3)")
    for _ in range(3):
        server.start(broken)
        reaches(server, ServerState.CRASHED)
        clock.now += 1.0
    with pytest.raises(SetDresserError, match="3 times") as caught:
        server.start(broken)
    assert caught.value.code == "breaker"
    assert not server.running
    clock.now += 58.0
    server.start(broken)
    reaches(server, ServerState.CRASHED)


def test_a_python_that_cannot_run_is_told(server: ServerProcess, tmp_path: Path) -> None:
    nothing = tmp_path / "python"
    nothing.write_bytes(b"not a program")
    with pytest.raises(SetDresserError, match="cannot be started"):
        server.start(Environment(nothing, ROOT, tmp_path / "data", tmp_path / "user"))
    assert server.poll() is ServerState.CRASHED


def test_a_data_folder_that_cannot_be_made_is_told(server: ServerProcess, tmp_path: Path, real: Environment) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetDresserError, match="cannot be started"):
        server.start(Environment(real.python, ROOT, tmp_path / "file" / "data", tmp_path / "user"))
    assert not server.running


def test_only_the_newest_logs_are_kept(server: ServerProcess, pretending: Make, tmp_path: Path) -> None:
    logs = tmp_path / "user" / "logs"
    logs.mkdir(parents=True)
    for number in range(8):
        path = logs / f"backend-{number}.log"
        path.touch()
        os.utime(path, (number, number))
    server.start(pretending("sys.exit(0)"))
    kept = {path.name for path in logs.iterdir()}
    assert kept == {f"backend-{number}.log" for number in (4, 5, 6, 7)} | {f"backend-{os.getpid()}.log"}
