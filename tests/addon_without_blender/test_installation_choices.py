"""Which build suits which machine, what the words of tools mean, and what a folder without a network is filled with."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

import build_addon
import build_offline
from blender_addon.installer import machine, uv
from blender_addon.installer.builds import BUILDS, NONE, Machine, builds_for, choose, platform_name
from blender_addon.installer.commands import size_of
from blender_addon.installer.events import Failure
from blender_addon.installer.failures import RULES, explain, without_credentials
from blender_addon.installer.plan import Plan
from blender_addon.installer.run import heard, variables
from tests.blender_addon.conftest import ROOT, script


@pytest.mark.parametrize(
    ("found", "build", "note"),
    [
        (Machine("linux-x64", "RTX 4090", (13, 0), (8, 9)), "cu130", ""),
        (Machine("linux-x64", "A100", (12, 2), (8, 0)), "cu126", ""),
        (Machine("windows-x64", "GTX 1080", (13, 0), (6, 1)), "cu126", ""),
        (Machine("linux-x64", "RTX 5090", (12, 8), (12, 0)), "cpu", "Update it"),
        (Machine("linux-x64", "GTX 980", (11, 4), (5, 2)), "cpu", "Update it"),
        (Machine("linux-x64", "Tesla K40", (12, 0), (3, 5)), "cpu", "as old as"),
        (Machine("linux-x64", "Radeon", rocm=True), "rocm7.2", ""),
        (Machine("windows-x64", "Radeon", rocm=True), "cpu", "No graphics card"),
        (Machine("macos-arm64", metal=True), "mps", ""),
        (Machine("linux-arm64", "GH200", (13, 0), (9, 0)), "cu130", ""),
        (Machine("macos-x64"), NONE, "not published"),
    ],
)
def test_the_build_suits_the_machine(found: Machine, build: str, note: str) -> None:
    chosen, told = choose(found)
    assert chosen == build
    assert note in told
    assert bool(note) == bool(told)
    assert build == NONE or found.platform in BUILDS[build].platforms


@pytest.mark.parametrize(
    ("system", "processor", "name"),
    [
        ("linux", "x86_64", "linux-x64"),
        ("linux", "aarch64", "linux-arm64"),
        ("win32", "AMD64", "windows-x64"),
        ("darwin", "arm64", "macos-arm64"),
        ("darwin", "x86_64", "macos-x64"),
    ],
)
def test_platforms_are_called_as_blender_calls_them(system: str, processor: str, name: str) -> None:
    assert platform_name(system, processor) == name


def test_nvidia_is_found_by_its_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_by_driver", lambda: None)
    monkeypatch.setattr(machine, "platform_name", lambda: "linux-x64")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    answer = "| NVIDIA-SMI 580.82    Driver Version: 580.82    CUDA Version: 13.0  |"
    devices = "6.1, Quadro P4000\n8.9, NVIDIA RTX 4090"
    script(tmp_path / "nvidia-smi", f'#!/bin/sh\n[ -n "$1" ] && printf "{devices}\\n" || echo "{answer}"\n')
    assert machine.find_machine() == Machine("linux-x64", "NVIDIA RTX 4090", (13, 0), (8, 9))
    script(tmp_path / "nvidia-smi", "#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert machine.find_machine().cuda == (0, 0)


SAID = {
    "disk-full": "error: failed to copy file: No space left on device (os error 28)",
    "hash-mismatch": "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
    "certificate": "client error (Connect)\n  invalid peer certificate: UnknownIssuer",
    "proxy": "tunnel error: 407 Proxy Authentication Required",
    "locked": "failed to rename: Access is denied. (os error 5)",
    "not-permitted": "failed to create directory: Permission denied (os error 13)",
    "no-python": "error: No interpreter found for Python 3.11 in search path",
    "download-broken": "Because little-a==1.0 has an invalid package format and you require little-a==1.0",
    "index-down": "HTTP status server error (503 Service Unavailable) for url (https://example.org/simple/)",
    "no-wheel": "hint: You're on Linux, but `x` has no wheels with a matching Python ABI tag",
    "no-network": "error sending request for url\n  dns error: failed to lookup address information",
    "install-failed": "a tool says what nobody has foreseen",
}


@pytest.mark.parametrize("code", [rule[0] for rule in RULES] + ["install-failed"])
def test_every_failure_is_a_sentence_with_a_next_step(code: str) -> None:
    failure = explain(SAID[code], "Installing the packages", "exit code 2")
    assert failure.code == code
    assert failure.message.endswith(".")
    assert failure.hint.endswith(".")
    assert SAID[code].splitlines()[-1] in failure.details


def test_no_credentials_are_kept() -> None:
    text = "GET https://__token__:hf_abc@example.org/simple/x?token=abc&y=1 via http://me:pw@proxy:3128"
    clean = without_credentials(text)
    assert clean == "GET https://***@example.org/simple/x?token=***&y=1 via http://***@proxy:3128"


def test_the_tools_get_proxies_and_indexes_but_nothing_of_another_python(tmp_path: Path) -> None:
    given = {
        "HTTPS_PROXY": "http://proxy:1",
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "VIRTUAL_ENV": "/x",
        "PYTHONPATH": "/x",
        "PIP_TARGET": "/x",
        "PIP_FIND_LINKS": "/x",
        "PIP_CONFIG_FILE": "/x",
        "UV_TARGET": "/x",
        "UV_CONFIG_FILE": "/x",
        "UV_FIND_LINKS": "/x",
        "UV_PYTHON_INSTALL_MIRROR": "https://x.example",
        "UV_INSECURE_HOST": "x.example",
        "UV_OVERRIDE": "/x",
        "UV_HTTP_TIMEOUT": "7",
        "PATH": "/bin",
    }
    made = variables(Plan("r", "b", str(tmp_path)), given)
    assert made["HTTPS_PROXY"] == "http://proxy:1"
    assert made["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert made["UV_HTTP_TIMEOUT"] == "7"
    assert not {"VIRTUAL_ENV", "PYTHONPATH"} & set(made)
    assert not [name for name, value in made.items() if value == "/x" or "x.example" in value]
    assert made["UV_NO_CONFIG"] == "1" and made["PIP_CONFIG_FILE"] == os.devnull
    assert all(Path(made[name]).is_relative_to(tmp_path) for name in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Downloading torch (821.4MiB)", "Downloading torch (821.4MiB)"),
        ("  Downloading scipy-1.17.1-cp311-cp311-manylinux_2_27_x86_64.whl (35.3 MB)", "Downloading scipy (35.3 MB)"),
        ("Prepared 28 packages in 2.30s", "Unpacking"),
        ("Resolved 28 packages in 620ms", ""),
    ],
)
def test_what_is_being_fetched_is_shown(line: str, shown: str) -> None:
    assert heard(line) == shown


def test_a_uv_that_is_not_the_one_of_the_lock_is_refused(tmp_path: Path) -> None:
    tag = uv.WHEEL_TAGS[platform_name()]
    wheel = tmp_path / "wheels" / f"uv-9.9-py3-none-{tag}.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"uv-9.9.data/scripts/{uv.PROGRAM}", "#!/bin/sh\necho uv 9.9.0\n")
    lock = tmp_path / "uv.txt"
    lock.write_text(f"uv==9.9 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(Failure) as caught:
        uv.find_here(tmp_path / "tools", [wheel.parent], lock)
    assert caught.value.code == "hash-mismatch"
    assert size_of(tmp_path / "tools") == 0
    lock.write_text(f"uv==9.9 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    assert uv.find_here(tmp_path / "tools", [wheel.parent], lock) == tmp_path / "tools/uv-9.9" / uv.PROGRAM


def test_a_uv_that_happens_to_be_on_this_machine_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "bin", tmp_path / ".local" / "bin", tmp_path / ".cargo" / "bin"):
        folder.mkdir(parents=True)
        (folder / uv.PROGRAM).write_text("#!/bin/sh\necho uv 9.9.0\n")
        (folder / uv.PROGRAM).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    lock = tmp_path / "uv.txt"
    lock.write_text(f"uv==9.9 --hash=sha256:{'0' * 64}\n")
    assert uv.find_here(tmp_path / "tools", [tmp_path / "wheels"], lock) is None


def test_the_index_of_every_build_is_pytorchs_own() -> None:
    assert all(build.index.startswith("https://download.pytorch.org/whl/") for build in BUILDS.values() if build.index)
    assert {name for name, build in BUILDS.items() if not build.index} == {"mps"}
    assert set(builds_for("windows-x64")) == {"cpu", "cu126", "cu130"}


LOCK = """# made by a tool
anyio==4.16.0 ; sys_platform != 'emscripten' \\
    --hash=sha256:aa
    # via starlette
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:bb
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:cc \\
    --hash=sha256:dd
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:ee
xet==1.8.0 ; platform_machine == 'AMD64' or platform_machine == 'arm64' \\
    --hash=sha256:ff
"""


@pytest.mark.parametrize(
    ("platform", "python", "names"),
    [
        ("windows-x64", "3.11", {"anyio==4.16.0", "colorama==0.4.6", "numpy==2.4.6", "xet==1.8.0"}),
        ("linux-x64", "3.13", {"anyio==4.16.0", "numpy==2.5.5"}),
        ("macos-arm64", "3.11", {"anyio==4.16.0", "numpy==2.4.6", "xet==1.8.0"}),
    ],
)
def test_a_lock_for_all_systems_becomes_one_for_the_wanted(platform: str, python: str, names: set[str]) -> None:
    text = build_offline.locked_for(LOCK, platform, python)
    assert {line.split(" ")[0] for line in text.splitlines() if "==" in line} == names
    assert ";" not in text
    assert ("--hash=sha256:dd" in text) == ("numpy==2.4.6" in names)


def test_the_real_locks_are_understood_for_every_platform() -> None:
    for name in ("server.txt", "learned.txt"):
        text = (ROOT / "requirements" / name).read_text()
        for platform in build_offline.TAGS:
            kept = build_offline.locked_for(text, platform, "3.11")
            names = [line.split("==")[0] for line in kept.splitlines() if line[:1].isalpha()]
            assert len(names) == len(set(names)) > 20


def test_a_condition_that_is_not_understood_stops_it() -> None:
    with pytest.raises(SystemExit, match="not understood"):
        build_offline.holds("implementation_name == 'cpython'", "linux-x64", "3.11")


def test_torch_of_another_system_is_refused(tmp_path: Path) -> None:
    other = "windows-x64" if not platform_name().startswith("windows") else "linux-x64"
    with pytest.raises(SystemExit, match="on that system only"):
        build_offline.collect(ROOT, tmp_path, other, "cpu", "3.11")
    with pytest.raises(SystemExit, match="no torch build 'mps'"):
        build_offline.collect(ROOT, tmp_path, "linux-x64", "mps", "3.11")
    assert list(tmp_path.iterdir()) == []


def test_a_zip_for_one_platform_says_so_and_carries_uv(tmp_path: Path) -> None:
    wheel = tmp_path / "uv-1.0-py3-none-win_amd64.whl"
    wheel.write_bytes(b"wheel")
    path = build_addon.build(ROOT, tmp_path / "dist", "windows-x64", [wheel])
    assert path.name.endswith("-windows-x64.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.read(f"bundle/wheels/{wheel.name}") == b"wheel"
        assert 'platforms = ["windows-x64"]' in archive.read("blender_manifest.toml").decode()
