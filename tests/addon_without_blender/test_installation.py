"""The backend's own environment: made, finished after any interruption, and never started half."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from blender_addon.backend_process.environment import NotSetUp, find_python
from blender_addon.backend_process.installation import Installation, InstallationState, Program
from blender_addon.installer import records
from blender_addon.installer.plan import Plan
from blender_addon.installer.records import Disk
from tests.backend.waiting import is_gone, until
from tests.blender_addon.conftest import ROOT
from tests.blender_addon.little_index import Bundle, Index, find_uv, make_wheel, serving
from tests.blender_addon.test_endings import descendants

SECONDS = 90.0


@pytest.fixture(scope="session")
def uv() -> Path:
    found = find_uv(ROOT / "build" / "tools", ROOT / "requirements" / "uv.txt")
    if found is None:
        pytest.skip("there is no uv on this machine and no network to fetch it")
    return found


@pytest.fixture
def bundle(tmp_path: Path, uv: Path) -> Bundle:
    return Bundle(tmp_path / "bundle", tmp_path / "user", uv)


@pytest.fixture
def index(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serving(bundle.wheels) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.setenv("UV_HTTP_TIMEOUT", "2")
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        yield index


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(lambda: tmp_path / "temporary")
    yield made
    made.end_now()


def press(installation: Installation, plan: Plan) -> None:
    installation.look(plan)
    installation.start(plan)
    assert installation.state is InstallationState.INSTALLING


def wait(installation: Installation) -> None:
    until(lambda: installation.poll(False) and not installation.busy, "the end of the installation", SECONDS)


def install(installation: Installation, plan: Plan) -> None:
    press(installation, plan)
    wait(installation)
    assert installation.problem is None, installation.problem.report()
    assert installation.state is InstallationState.COMPLETE


def fails(installation: Installation, plan: Plan, code: str) -> None:
    """It ends with this code, says what to do, and leaves nothing that could be started."""
    press(installation, plan)
    wait(installation)
    assert installation.problem is not None
    assert installation.problem.code == code, installation.problem.report()
    assert installation.problem.hint
    never_half(installation)


def never_half(installation: Installation) -> None:
    assert installation.folder is None
    assert installation.state in (InstallationState.INTERRUPTED, InstallationState.NOT_INSTALLED)
    for folder in records.folders(installation.plan.environments):
        with pytest.raises(NotSetUp):
            find_python("", folder, {})


def run(installation: Installation, code: str) -> int:
    command = [find_python("", installation.folder, {}), "-c", code]
    return subprocess.run(command, timeout=60, check=False).returncode


def test_a_fresh_one_is_complete_and_blenders_python_is_as_it_was(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    places = [Path(entry) for entry in sys.path if entry.endswith("site-packages")]
    before = {place: sorted(place.iterdir()) for place in places}
    installation.look(bundle.plan())
    assert installation.state is InstallationState.NOT_INSTALLED
    install(installation, bundle.plan())
    assert run(installation, "import little_a, sys; sys.exit(little_a.value + 40)") == 41
    assert run(installation, "import little_torch") == 1
    assert {place: sorted(place.iterdir()) for place in places} == before
    assert not installation.folder.is_relative_to(ROOT)
    assert installation.record.facts["python"].startswith(installation.record.python)
    assert not (bundle.user / "environments" / records.BEGUN).exists()


def test_the_learned_part_is_added_later_and_the_small_one_serves_until_then(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    install(installation, bundle.plan())
    small = installation.folder
    plan = bundle.plan("cpu", torch_index=index.url)
    installation.look(plan)
    assert (installation.state, installation.folder) == (InstallationState.OUTDATED, small)
    assert "no learned pipelines" in installation.reason
    install(installation, plan)
    assert run(installation, "import little_a, little_b, little_torch") == 0
    assert records.folders(plan.environments) == [installation.folder]
    assert installation.folder != small
    installation.look(bundle.plan("auto"))
    assert installation.state is InstallationState.COMPLETE


def test_another_lock_is_an_update_and_the_old_one_goes_after_the_new_one_works(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    install(installation, bundle.plan())
    old = installation.folder
    (bundle.wheels / "little_a-1.0-py3-none-any.whl").unlink()
    make_wheel(bundle.wheels, "little-a", "value = 2\n", version="2.0")
    bundle.lock("server.txt", "little-a")
    installation.look(bundle.plan())
    assert (installation.state, installation.folder) == (InstallationState.OUTDATED, None)
    index.status = 503
    press(installation, bundle.plan())
    wait(installation)
    assert installation.problem.code == "index-down"
    assert old.is_dir()
    index.status = 200
    install(installation, bundle.plan())
    assert run(installation, "import little_a, sys; sys.exit(little_a.value)") == 2
    assert not old.exists()


POINTS = ("before-python", "before-venv", "after-venv", "before-pip", "download", "after-pip", "check")


def hold_at(bundle: Bundle, index: Index, point: str) -> None:
    if point == "download":
        index.hang_in = "little_a"
    elif point == "check":
        waiting = f"import os, time\nopen({str(bundle.hold / 'check.reached')!r}, 'w').close()\n"
        waiting += f"while os.path.exists({str(bundle.hold / 'check')!r}): time.sleep(0.05)\nvalue = 1\n"
        make_wheel(bundle.wheels, "little-a", waiting)
        bundle.lock("server.txt", "little-a")
        bundle.stop_at("check")
    else:
        bundle.stop_at(point)


def reached(bundle: Bundle, index: Index, point: str) -> bool:
    return index.hanging.is_set() if point == "download" else (bundle.hold / f"{point}.reached").exists()


def let_go(bundle: Bundle, index: Index) -> None:
    index.hang_in = ""
    index.go_on.set()
    for path in bundle.hold.iterdir():
        path.unlink()


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_installer_leaves_nobody_behind_and_the_next_press_finishes(
    point: str, installation: Installation, bundle: Bundle, index: Index
) -> None:
    hold_at(bundle, index, point)
    press(installation, bundle.plan())
    until(lambda: installation.poll(False) is None or reached(bundle, index, point), point, SECONDS)
    family = descendants(installation.pid)
    assert len(family) > 1
    os.kill(installation.pid, signal.SIGKILL)
    wait(installation)
    assert installation.problem.code == "install-ended"
    assert "signal 9" in installation.problem.message
    assert installation.state is InstallationState.INTERRUPTED
    never_half(installation)
    until(lambda: all(is_gone(pid) for pid in family[:2]), "the end of the tool", 5.0)
    let_go(bundle, index)
    install(installation, bundle.plan())
    assert run(installation, "import little_a") == 0


def test_a_cancelled_one_leaves_nobody_behind_and_goes_on_from_the_cache(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    bundle.stop_at("after-pip")
    press(installation, bundle.plan())
    until(lambda: installation.poll(False) is None or reached(bundle, index, "after-pip"), "the packages", SECONDS)
    family = descendants(installation.pid)
    installation.cancel()
    wait(installation)
    assert installation.problem is None
    never_half(installation)
    assert installation.state is InstallationState.INTERRUPTED
    assert all(is_gone(pid) for pid in family)
    let_go(bundle, index)
    index.served.clear()
    install(installation, bundle.plan())
    assert index.served == [], "what had arrived was fetched again"


def test_a_cut_network_is_told_and_the_next_press_finishes(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    index.hang_in = "little_a"
    fails(installation, bundle.plan(), "download-broken")
    let_go(bundle, index)
    install(installation, bundle.plan())


def test_a_tool_that_is_silent_for_too_long_is_ended(installation: Installation, bundle: Bundle, index: Index) -> None:
    bundle.stop_at("before-pip")
    fails(installation, bundle.plan(silence=1.0), "no-network")
    assert "1 seconds" in installation.problem.message


@pytest.mark.parametrize(("status", "code"), [(503, "index-down"), (403, "index-down")])
def test_an_index_that_refuses_is_told(
    installation: Installation, bundle: Bundle, index: Index, status: int, code: str
) -> None:
    index.status = status
    fails(installation, bundle.plan(), code)


def test_nobody_there_is_told(installation: Installation, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    fails(installation, bundle.plan(), "no-network")
    assert "secret" not in installation.plan.log.read_text() + installation.problem.report()


def test_another_package_than_the_lock_names_is_refused(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    bundle.lock("server.txt", "little-a", digest=64 * "a")
    fails(installation, bundle.plan(), "hash-mismatch")


def test_a_package_that_does_not_exist_for_this_system_is_told(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    wheel = bundle.wheels / "little_a-1.0-py3-none-any.whl"
    wheel.rename(wheel.with_name("little_a-1.0-cp35-cp35m-win32.whl"))
    fails(installation, bundle.plan(), "no-wheel")


def test_what_installs_but_does_not_import_is_not_complete(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    make_wheel(bundle.wheels, "little-a", "raise ImportError('DLL load failed')\n")
    bundle.lock("server.txt", "little-a")
    fails(installation, bundle.plan(), "install-check")
    assert "DLL load failed" in installation.problem.message


def test_a_build_that_the_disk_cannot_take_is_not_begun(
    installation: Installation, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blender_addon.installer.events import Failure
    from blender_addon.installer.run import check_space

    plan = bundle.plan("cpu")
    plan.environments.mkdir(parents=True)
    usage = shutil.disk_usage(plan.environments)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**9))
    with pytest.raises(Failure, match=r"1\.0 GB left; about 1\.\d GB") as caught:
        check_space(plan)
    assert caught.value.code == "disk-full"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**10))
    check_space(plan)


def test_a_folder_of_packages_is_enough(
    installation: Installation, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_DEFAULT_INDEX", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    install(installation, bundle.plan("cpu", offline=True))
    assert run(installation, "import little_a, little_b, little_torch") == 0


@pytest.mark.parametrize("change", ["torch", "added", "no sums"])
def test_a_package_that_was_not_collected_is_refused(change: str, installation: Installation, bundle: Bundle) -> None:
    plan = bundle.plan("cpu", offline=True)
    (torch,) = bundle.wheels.glob("little_torch-*.whl")
    if change == "torch":
        torch.write_bytes(torch.read_bytes() + b"and more")
    elif change == "added":
        shutil.copy(torch, bundle.wheels / torch.name.replace("1.0", "1.1"))
    else:
        (bundle.wheels.parent / "contents.json").write_text("{}")
    press(installation, plan)
    wait(installation)
    assert installation.problem is not None and installation.problem.code == "hash-mismatch"
    assert str(bundle.wheels.parent) in installation.problem.message
    assert installation.state is not InstallationState.COMPLETE


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_settings_of_the_tools_do_not_lead_an_installation_elsewhere(
    tool: str, installation: Installation, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "uv").mkdir()
    (tmp_path / "pip").mkdir()
    (tmp_path / "uv" / "uv.toml").write_text(f'[pip]\ntarget = "{elsewhere}"\n')
    (tmp_path / "pip" / "pip.conf").write_text(f"[install]\ntarget = {elsewhere}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip" / "pip.conf"))
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv" / "uv.toml"))
    monkeypatch.setenv("PIP_TARGET", str(elsewhere))
    used = bundle if tool == "uv" else Bundle(tmp_path / "other", tmp_path / "other-user", None)
    install(installation, used.plan("cpu", offline=True))
    assert run(installation, "import little_a, little_b, little_torch") == 0
    assert not elsewhere.exists()


def test_without_uv_venv_and_pip_do_it(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And Blender's own Python is what the environment is made from, if there is no other; nothing goes into it."""
    bundle = Bundle(tmp_path / "bundle", tmp_path / "user", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    place = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    before = sorted(place.iterdir())
    install(installation, bundle.plan("cpu", offline=True, base_python=sys.executable))
    log = installation.plan.log.read_text()
    assert "-m pip --isolated install" in log
    assert f"{sys.executable} -I -B -m venv" in log
    assert run(installation, "import little_torch") == 0
    assert sorted(place.iterdir()) == before


def test_a_python_that_has_gone_is_noticed_and_one_press_repairs(
    installation: Installation, bundle: Bundle, index: Index
) -> None:
    install(installation, bundle.plan())
    python = records.python_of(installation.folder)
    python.unlink()
    installation.look(bundle.plan())
    assert (installation.state, installation.folder) == (InstallationState.BROKEN, None)
    install(installation, bundle.plan())
    index.served.clear()
    install(installation, bundle.plan(repair=True))
    assert index.served, "a repair does not trust what it has"


def test_two_blenders_do_not_install_at_once(
    installation: Installation, bundle: Bundle, index: Index, tmp_path: Path
) -> None:
    bundle.stop_at("before-pip")
    press(installation, bundle.plan())
    until(lambda: installation.poll(False) is None or reached(bundle, index, "before-pip"), "the packages", SECONDS)
    other = Installation(lambda: tmp_path / "other")
    other.look(bundle.plan())
    assert (other.state, other.installing) == (InstallationState.INSTALLING, False)
    let_go(bundle, index)
    wait(installation)
    until(lambda: other.poll(False) and not other.busy, "the other one's notice", 10.0)
    assert other.state is InstallationState.COMPLETE
    other.end_now()


def test_an_environment_in_use_is_not_removed(installation: Installation, bundle: Bundle, index: Index) -> None:
    install(installation, bundle.plan())
    used = installation.folder
    installation.hold()
    press(installation, bundle.plan("cpu", torch_index=index.url))
    until(lambda: installation.poll(True) and not installation.busy, "the end", SECONDS)
    assert installation.state is InstallationState.COMPLETE
    assert used.is_dir()
    assert run(installation, "import little_b") == 0
    installation.poll(False)
    installation.tidy()
    until(lambda: installation.poll(False) is None or not installation.busy, "the end", SECONDS)
    assert not used.exists()


def test_states_on_disk(tmp_path: Path) -> None:
    """Every kind of half-made folder is no environment."""
    locks = {"server.txt": "a", "learned.txt": "b"}
    small = records.Record("none", "3.11", {"server.txt": "a"}, made=1.0)
    assert records.look(tmp_path, locks, "auto").state is Disk.NOTHING
    folder = tmp_path / "one"
    python = records.python_of(folder)
    python.parent.mkdir(parents=True)
    python.touch()
    (folder / "pyvenv.cfg").write_text(f"home = {tmp_path}\n")
    assert records.look(tmp_path, locks, "auto").state is Disk.INTERRUPTED
    for text in ("", "{", "[]", '{"build": 1}', json.dumps({"build": "none", "python": "3.11", "locks": 3})):
        (folder / records.MARKER).write_text(text)
        assert records.look(tmp_path, locks, "auto").state is Disk.INTERRUPTED, text
    records.write_marker(folder, small)
    assert records.look(tmp_path, locks, "auto").folder == folder
    assert records.look(tmp_path, locks, "cpu").state is Disk.OUTDATED
    assert records.look(tmp_path, {**locks, "learned.txt": "c"}, "none").state is Disk.COMPLETE
    assert records.look(tmp_path, {**locks, "server.txt": "c"}, "none").folder is None
    records.write_marker(folder, replace(small, format=99))
    assert records.look(tmp_path, locks, "none").state is Disk.INTERRUPTED
    records.write_marker(folder, small)
    records.begin(tmp_path, {"build": "cpu"})
    assert records.look(tmp_path, locks, "cpu").state is Disk.INTERRUPTED
    assert records.look(tmp_path, locks, "none").state is Disk.COMPLETE


def test_a_program_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    deaf.write_text(f"#!{sys.executable}\nimport signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)\n")
    deaf.chmod(0o755)
    program = Program({"do": "look"}, str(deaf), tmp_path / "told", tmp_path)
    assert program.code is None
    program.close(0.1)
    assert is_gone(program.pid)
    assert list((tmp_path / "told").iterdir()) == []
