"""A studio's server in place of a backend of one's own: a real one, over TLS, over lines that break."""

from __future__ import annotations

import os
import random
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import session
from blender_addon.backend_process import setting_up, tokens
from blender_addon.backend_process.greeting import Studio
from blender_addon.backend_process.server_process import ServerState
from blender_addon.capture.pictures import png
from blender_addon.ground import folders, package, preferences
from blender_addon.ground.messages import SetDresserError
from blender_addon.state.condition import Condition, condition, why_jobs_wait
from blender_addon.ui.panels import SET_DRESSER_PT_main, SET_DRESSER_PT_models
from blender_addon.ui.panels.hindrances import generate_hindrance
from blender_addon.ui.preferences import MASK
from blender_addon.wire.address import parse
from blender_addon.wire.http_framing import ConnectionProblem
from blender_addon.work import following, results, server_life, uploading
from tests.backend.server.certificates import OPENSSL
from tests.backend.server.relay import CutLine
from tests.blender_addon.pumping import pump_until
from tests.blender_addon.recorder import Recorder
from tests.blender_addon.studio import StudioServer

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the program openssl makes the certificates and is missing")

LINE = 2_000_000
"""Bytes after which a line is cut."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioServer]:
    """Its names count with any port, as those of a relay are."""
    options = ("--behind-proxy", "127.0.0.1", "--host-name", "localhost")
    made = StudioServer(tmp_path_factory.mktemp("studio"), *options)
    yield made
    made.stop()


@pytest.fixture
def preferred(addon: Any) -> Iterator[Any]:
    """The preferences as Blender keeps them, of an add-on that is switched on."""
    entry = bpy.context.preferences.addons.new()
    entry.module = package.NAME
    assert isinstance(preferences.get(), bpy.types.AddonPreferences)
    yield preferences.get()
    bpy.context.preferences.addons.remove(entry)


def go_online(monkeypatch: pytest.MonkeyPatch, allowed: bool) -> None:
    """As the preference of Blender's, which cannot be set everywhere."""
    app = SimpleNamespace(online_access=allowed)
    monkeypatch.setattr(setting_up, "bpy", SimpleNamespace(app=app, path=bpy.path))


def desk() -> Any:
    return session.current.desk


def state() -> ServerState:
    return desk().server.state


def make(addon: Any, picture: Path, **parameters: Any) -> Any:
    return addon.generate(source=picture, pipeline="test-box", parameters=parameters, wait=False)


def drawn(panel: Any = SET_DRESSER_PT_main) -> Recorder:
    layout = Recorder()
    panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def noise(path: Path, side: int) -> Path:
    """A picture that cannot be made smaller, of one object."""
    pixels = np.random.default_rng(3).integers(0, 255, (side, side, 4), np.uint8)
    pixels[..., 3] = 0
    pixels[side // 8 : -side // 8, side // 8 : -side // 8, 3] = 255
    path.write_bytes(png(pixels))
    return path


# it works, and nothing is told to anybody else


def test_a_prop_comes_and_the_token_is_nowhere_else(
    studio: Any, server: StudioServer, preferred: Any, tmp_path: Path
) -> None:
    token = server.tokens["anna"]
    preferred.backend, preferred.server_address = setting_up.SERVER, f" https://{server.address}/ "
    preferred.server_certificate = str(server.certificate)
    preferred.server_token = "x" * 20
    preferred.server_token = token
    session.pump()
    assert preferred.server_token == MASK, "nobody reads it there"
    preferred.server_token = MASK
    assert tokens.token_of(parse(server.address)) == token, "a field that was left as it was changes nothing"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    job = studio.generate(objects=[bpy.data.objects["Cube"]], pipeline="test-box", wait=True)
    assert [prop.name for prop in job.objects] == ["Cube_prop"]
    told = studio.server_status()
    assert (told["state"], told["address"], told["user"], told["pid"]) == ("ready", server.address, "anna", None)
    said = studio.test_connection(wait=True)["message"]
    assert said.startswith(f"Connected to Set Dresser 0.1.0 at {server.address} as anna.")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.save_userpref()
    report = Path(studio.support_bundle(tmp_path / "report.zip"))
    with zipfile.ZipFile(report) as archive:
        texts = b"\n".join(archive.read(name) for name in archive.namelist())
    assert token.encode() not in texts and b"a studio's server" in texts
    places = [Path(os.environ["BLENDER_USER_RESOURCES"]), tmp_path, server.folder, Path(bpy.app.tempdir)]
    files = {path for place in places for path in place.rglob("*") if path.is_file()}
    holding = [path for path in files if token.encode() in path.read_bytes()]
    assert holding == [folders.place() / tokens.FILE]
    assert stat.S_IMODE(holding[0].stat().st_mode) == 0o600 or sys.platform == "win32"
    (saved,) = [path for path in files if path.name == "userpref.blend"]
    assert server.address.encode() in saved.read_bytes(), "the rest of the preferences is kept"
    assert token not in repr(desk().wanted) and token not in server.log


def test_what_is_missing_is_said(addon: Any, preferred: Any) -> None:
    def hindrance() -> tuple[str, str]:
        session.pump()
        problem = desk().set_up_problem
        assert condition(desk()) is Condition.NOT_INSTALLED
        assert generate_hindrance(bpy.context) == "The studio's server is not set up"
        assert problem.message.replace(" ", "") in "".join(drawn().texts.split()), "lines break anywhere"
        return problem.code, problem.message

    preferred.backend = setting_up.SERVER
    assert hindrance() == ("address-invalid", "No server is named.")
    assert not desk().addressed
    preferred.server_address = "localhost:8443"
    assert hindrance() == ("token-missing", "There is no token for localhost:8443.")
    assert desk().addressed and not desk().trusted
    preferred.server_token = "too short"
    assert desk().problem.code == "token-invalid" and not desk().trusted
    preferred.server_token = "0123456789abcdef"
    session.pump()
    assert desk().set_up_problem is None and condition(desk()) is Condition.LEFT
    preferred.server_address = "localhost:8444"
    assert hindrance()[0] == "token-missing", "another address never hears the token of this one"
    (folders.place() / tokens.FILE).write_text("{")
    desk().set_up_stale = True
    assert hindrance()[0] == "tokens-unusable"
    preferred.backend = setting_up.THIS_COMPUTER
    session.pump()
    assert desk().set_up_problem is None and not desk().studio


def test_a_server_elsewhere_is_asked_only_if_blender_may_go_online(
    studio: Any, server: StudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_online(monkeypatch, False)
    assert isinstance(setting_up.studio(), Studio), "this machine is no network"
    studio.use_server("farm.studio.lan", token="0123456789abcdef")
    assert desk().set_up_problem.code == "online-access"
    assert "set_dresser.allow_online" in drawn().buttons


def test_what_is_wrong_is_said_by_the_test_of_the_connection(
    studio: Any, server: StudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_online(monkeypatch, True)

    def code(address: str = server.address, **more: Any) -> str:
        studio.use_server(address, **more)
        told = studio.test_connection(wait=True)
        assert told["good"] is False and told["message"].endswith(".") and told["hint"].endswith(".")
        return str(told["code"])

    assert code(token="n" * 43) == "token-wrong"
    assert code(token=server.tokens["anna"], certificate="") == "certificate-unknown"
    assert code(certificate=server.folder / "nothing.pem") == "certificate-file"
    numbers = f"127.0.0.2:{server.port}"
    assert code(numbers, token=server.tokens["anna"], certificate=server.certificate) == "refused"
    assert code(f"http://127.0.0.1:{server.port}", token=server.tokens["anna"]) == "tls-wanted"
    assert code("no-such-machine.invalid", token=server.tokens["anna"]) == "name-unknown"
    with pytest.raises(SetDresserError) as caught:
        studio.generate(objects=[bpy.data.objects["Cube"]], pipeline="test-box", wait=True)
    assert caught.value.code == "name-unknown", "a server that was never reached is not waited for"
    assert condition(desk()) is Condition.AWAY and "set_dresser.restart_server" in drawn().buttons


# rights


def test_what_is_for_administrators_is_offered_to_them_alone(studio: Any, server: StudioServer, picture: Path) -> None:
    job = make(studio, picture)
    pump_until(lambda: job.objects and desk().models.known, "Anna's prop, and her lists")
    assert {"verify", "download", "remove"} & {
        button.removeprefix("set_dresser.").removesuffix("_model") for button in drawn(SET_DRESSER_PT_models).buttons
    } == set()
    assert "for its administrators" in drawn(SET_DRESSER_PT_models).texts.replace("\n", " ")
    assert not server_life.can_rest(desk())
    with pytest.raises(SetDresserError) as caught:
        studio.download_model("midi", accept_licence=True, wait=True)
    assert caught.value.code == "not-allowed"
    studio.use_server(server.address, token=server.tokens["farm"])
    pump_until(lambda: desk().server.user == "farm", "the administrator's connection")
    pump_until(lambda: job.id not in desk().jobs, "a list of the administrator's own jobs")
    desk().storage = {}
    desk().storage_stale = True
    pump_until(lambda: desk().storage, "what the jobs hold")
    assert "set_dresser.download_model" in drawn(SET_DRESSER_PT_models).buttons
    assert desk().storage["keep_bytes"] is None, "how much everybody may keep is not for a Blender to say"


# lines that break


def test_over_a_line_that_is_slow_and_cut_every_two_megabytes_all_comes(
    studio: Any, server: StudioServer, tmp_path: Path
) -> None:
    picture = noise(tmp_path / "noise.png", 1300)
    assert picture.stat().st_size > 2 * LINE
    with CutLine(server.port, LINE, rate=20e6) as line:
        studio.use_server(f"localhost:{line.port}", token=server.tokens["anna"])
        job = studio.generate(source=picture, pipeline="test-box", wait=False, import_result=False)
        pump_until(lambda: job.state == "done", "the end")
        assert line.cuts >= 2
        kept = server.folder / "data" / "jobs" / job.id
        assert (kept / "inputs" / "image-0.bin").read_bytes() == picture.read_bytes()
        large = random.Random(7).randbytes(5_000_000)
        (kept / "output" / "scene.glb").write_bytes(large)
        before = line.cuts
        record = desk().jobs[job.id]
        task = session.current.line.tasks.start(results.fetch(session.current.line, record), desk().report)
        pump_until(lambda: not session.current.line.tasks.runs(task), "the result")
        assert job.glb.read_bytes() == large and line.cuts >= before + 2
        assert not list(job.glb.parent.glob("*.part"))
        session.current.life.close()
        studio.shutdown()


def test_an_upload_that_was_swept_is_sent_once_more_and_a_small_one_goes_inside(
    studio: Any, server: StudioServer, tmp_path: Path
) -> None:
    large = noise(tmp_path / "noise.png", 400)
    assert large.stat().st_size > uploading.LARGE
    folder = server.folder / "data" / "uploads"
    first = make(studio, large)
    pump_until(lambda: first.objects, "the first")
    kept = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size == large.stat().st_size]
    assert len(kept) == 1, "sent before, by its hash"
    real, dropped = uploading._send, []

    def send(*values: Any) -> Any:
        yield from real(*values)
        if not dropped:
            dropped.append(kept[0].unlink())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploading, "_send", send)
        second = make(studio, large)
        pump_until(lambda: second.objects, "the second")
    assert dropped and kept[0].is_file()


def test_a_job_whose_answer_was_lost_is_made_once(
    studio: Any, server: StudioServer, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.start_server(wait=True)
    line, lost = session.current.line, []
    real = line.finish

    def finish(exchange: Any) -> Any:
        found = yield from real(exchange)
        if exchange.status == 201 and not lost:
            lost.append(found["id"])
            raise ConnectionProblem("The connection was cut.", "It goes on.", "lost")
        return found

    monkeypatch.setattr(line, "finish", finish)
    job = studio.generate(source=picture, pipeline="test-box", name="Once", wait=False)
    pump_until(lambda: job.objects, "the prop")
    assert [job.id] == lost
    assert [each.id for each in studio.jobs() if each.name == "Once"] == lost


def test_jobs_stay_listed_while_the_server_is_away_and_go_on_when_it_is_back(
    studio: Any, server: StudioServer, picture: Path
) -> None:
    running = make(studio, picture, seconds=2.0)
    pump_until(lambda: running.state == "running", "the start")
    server.stop()
    try:
        pump_until(lambda: state() is ServerState.UNREACHABLE, "the notice")
        assert running.state == "running" and running.problem is None
        assert condition(desk()) is Condition.AWAY and "is away" in why_jobs_wait(desk())
        told = drawn().texts.replace("\n", " ")
        assert f"Nothing listens at {server.address}." in told and "Jobs that it has go on there" in told
        waiting = make(studio, picture)
        for _ in range(20):
            session.pump()
        assert waiting.state == "preparing" and "Waiting for the server" in drawn().texts
        with pytest.raises(SetDresserError, match="Nothing listens"):
            studio.models(refresh=True)
    finally:
        server.start()
    pump_until(lambda: running.objects and waiting.objects, "both props")
    assert state() is ServerState.READY and desk().server.problem is None


# afterwards


def test_a_result_is_fetched_by_a_blender_that_was_started_anew(
    studio: Any, server: StudioServer, picture: Path, tmp_path: Path
) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    job = make(studio, picture, seconds=1.0)
    pump_until(lambda: job.state == "running", "the start")
    studio.unregister()
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    studio.register()
    assert not desk().jobs
    studio.use_server(server.address, certificate=server.certificate)  # the token was kept
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "set.blend"))
    (found,) = [each for each in studio.jobs() if each.id == job.id]
    pump_until(lambda: found.objects, "its prop in the file that it was made in")


def test_of_many_jobs_some_are_followed_and_all_come_to_their_end(
    studio: Any, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_STREAMS", 1)
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.1)
    most = []
    jobs = [make(studio, picture, seconds=0.3) for _ in range(3)]

    def done() -> bool:
        most.append(session.current.line.streams)
        return all(job.state == "done" for job in jobs)

    pump_until(done, "the end of all")
    assert max(most) == 1


def test_the_pages_of_a_long_list_are_one(studio: Any, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from blender_addon.wire import client
    from blender_addon.work import lists

    made = [make(studio, picture) for _ in range(3)]
    pump_until(lambda: all(job.objects for job in made), "three props")
    for module in (client, lists):
        monkeypatch.setattr(module, "PAGE", 2)
    desk().jobs.clear()
    assert {job.id for job in made} <= {job.id for job in studio.jobs()}


# changes while jobs run


def test_a_new_token_while_a_job_runs(studio: Any, server: StudioServer, picture: Path) -> None:
    job = make(studio, picture, seconds=2.0)
    pump_until(lambda: job.state == "running", "the start")
    server.tokens["anna"] = server.users("renew", "anna")
    desk().health_stale = True
    pump_until(lambda: state() is ServerState.UNREACHABLE, "the refusal")
    assert condition(desk()) is Condition.REFUSED and desk().server.problem.code == "token-wrong"
    assert job.problem is None and desk().jobs[job.id].state != "failed"
    studio.use_server(server.address, token=server.tokens["anna"])
    pump_until(lambda: job.objects, "the prop")


def test_to_this_computer_and_back_while_a_job_runs(
    studio: Any, server: StudioServer, picture: Path, python_with_plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_DRESSER_PYTHON", str(python_with_plugin))
    far = make(studio, picture, seconds=3.0)
    pump_until(lambda: far.state == "running", "the start there")
    studio.use_this_computer()
    near = make(studio, picture, seconds=1.0)
    pump_until(lambda: near.state == "running", "the start here")
    process = desk().server.pid
    assert process is not None
    studio.use_server(server.address)
    session.pump()
    assert desk().server.pid == process, "a job runs here"
    pump_until(lambda: near.objects, "the prop from here")
    pump_until(lambda: desk().server.remote and far.id in desk().jobs, "the other one's list")
    found = next(job for job in studio.jobs() if job.id == far.id)
    pump_until(lambda: found.state == "done", "the end there")
    assert not [record for record in desk().jobs.values() if record.state == "failed"]


def test_what_was_not_sent_is_told_when_the_token_is_taken_away(
    studio: Any, server: StudioServer, picture: Path
) -> None:
    studio.start_server(wait=True)
    server.stop()
    try:
        pump_until(lambda: state() is ServerState.UNREACHABLE, "the notice")
        job = make(studio, picture)
        session.pump()
        tokens.keep(parse(server.address), "")
        desk().set_up_stale = True
        pump_until(lambda: job.state == "failed", "the end of the wait")
        assert job.problem.code == "stopped" and state() is ServerState.STOPPED
    finally:
        server.start()


def test_an_id_that_is_no_name_of_a_folder_is_refused() -> None:
    for identifier in ("../../etc", "a/b", "", "x" * 65):
        with pytest.raises(SetDresserError):
            results.folder_of(identifier)
