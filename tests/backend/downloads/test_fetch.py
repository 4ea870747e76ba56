"""A download against a hub that does everything wrong: complete and correct afterwards, or a clear error."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from backend import weights
from backend.downloads import fetch
from backend.downloads.fetch import Fetcher, Progress, Retries
from backend.downloads.hub import Hub
from backend.errors import Problem
from backend.jobs.folders import storage_problem
from backend.weights import WEIGHTS
from models.midi.pipeline import MidiPipeline
from tests.backend.downloads.hostile_hub import COMMIT, Fault, HostileHub
from tests.backend.server.test_full_disk import small_disk  # noqa: F401

LARGEST = "transformer/diffusion_pytorch_model.safetensors"
SMALL = "transformer/config.json"
QUICK = Retries(listing=3, file=4, first=0.001, longest=0.01)
MIDI = WEIGHTS["midi"]


def fetcher(hub: HostileHub, models: Path, told: list[Progress] | None = None, silence: float = 1.0) -> Fetcher:
    def tell(progress: Progress) -> None:
        if told is not None:
            told.append(replace(progress))

    return Fetcher(MIDI, models, lambda: Hub(MIDI, hub.endpoint, silence), tell, QUICK)


def problem_of(action: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as raised:
        action()
    return raised.value


def root(models: Path) -> Path:
    return models / "VAST-AI" / "MIDI-3D"


def is_complete(hub: HostileHub, models: Path) -> bool:
    """Every file that is needed is there, to the last byte, and nothing unfinished or superfluous beside."""
    found = {path.relative_to(root(models)).as_posix(): path for path in root(models).rglob("*") if path.is_file()}
    found.pop(".download/record.json")
    wanted = {path: content for path, content in hub.files.items() if path not in hub.extra}
    return {path: file.read_bytes() for path, file in found.items()} == wanted


def kept(models: Path) -> int:
    return sum(path.stat().st_size for path in root(models).rglob("*.incomplete"))


def test_a_model_is_downloaded_once_and_can_be_opened(hub: HostileHub, models: Path) -> None:
    told: list[Progress] = []
    fetcher(hub, models, told).get()
    assert is_complete(hub, models) and weights.locate("midi") == root(models)
    MidiPipeline.from_pretrained(weights.locate("midi"))
    whole = sum(len(content) for path, content in hub.files.items() if path not in hub.extra)
    assert (told[-1].bytes, told[-1].total, told[-1].received) == (whole, whole, whole)
    assert all(later.bytes >= earlier.bytes for earlier, later in itertools.pairwise(told))
    assert hub.sent_twice() == 0 and not any(hub.ranges(path) for path in hub.extra)
    before = len(hub.requests())
    fetcher(hub, models).get()
    assert [seen.path for seen in hub.requests()[before:]] == ["listing"], "what is there is not asked for again"


def test_a_file_that_is_not_the_known_one_is_not_fetched(hub: HostileHub, models: Path) -> None:
    known = replace(MIDI, digests={LARGEST: "0" * 64})
    told = problem_of(Fetcher(known, models, lambda: Hub(known, hub.endpoint, 1.0), lambda progress: None, QUICK).get)
    assert told.code == "download-damaged" and LARGEST in told.detail and told.hint
    assert [seen.path for seen in hub.requests()] == ["listing"] and not root(models).exists()


PASSING = {
    "cut four times": [Fault(after=n) for n in (1, 100_000, 65_536, 1_000_000)],
    "cut at once": [Fault(after=0), Fault(after=0)],
    "cut without a word": [Fault(after=70_000, unannounced=True)],
    "stalled": [Fault(after=300_000, stalls=True)],
    "failing": [Fault(after=200_000), Fault(status=500), Fault(status=502)],
    "busy": [Fault(after=200_000), Fault(status=429, headers=(("Retry-After", "0"),)), Fault(status=503)],
    "an address that has aged": [Fault(after=200_000), Fault(status=403)],
    "a range that was not asked for": [Fault(after=200_000), Fault(wrong_range=True)],
    "a file too short": [Fault(short=1000)],
    "a file too short, unannounced": [Fault(short=1000, unannounced=True)],
}


@pytest.mark.parametrize("name", PASSING)
def test_after_a_passing_fault_the_model_is_right_and_no_byte_came_twice(
    name: str, hub: HostileHub, models: Path
) -> None:
    hub.faults[LARGEST] = list(PASSING[name])
    fetcher(hub, models, silence=0.3).get()
    assert is_complete(hub, models) and hub.faults[LARGEST] == []
    if name not in ("a range that was not asked for", "a file too short"):  # bytes that were sent and not taken
        assert hub.sent_twice() == 0


@pytest.mark.parametrize("path", [LARGEST, SMALL])
def test_a_corrupt_byte_costs_that_file_once_more_and_nothing_else(path: str, hub: HostileHub, models: Path) -> None:
    hub.faults[path] = [Fault(after=100), Fault(corrupt=True)]
    fetcher(hub, models).get()
    size = len(hub.files[path])
    assert is_complete(hub, models)
    assert hub.ranges(path) == [(0, 100), (100, size), (0, size)] and hub.sent_twice() == size


def test_a_server_without_ranges_is_endured_and_what_is_there_is_kept(hub: HostileHub, models: Path) -> None:
    hub.faults[LARGEST] = [Fault(after=500_000), Fault(ignore_range=True)]
    told: list[Progress] = []
    fetcher(hub, models, told).get()
    assert is_complete(hub, models) and hub.sent_twice() == 500_000
    assert all(later.bytes >= earlier.bytes for earlier, later in itertools.pairwise(told))


HEALTHY: dict[str, Fault] = {}
LASTING = {
    "gated": ({"": Fault(status=403, headers=(("X-Error-Code", "GatedRepo"),))}, "hub-access-denied", "hf auth login"),
    "private": ({"": Fault(status=401)}, "hub-access-denied", "accept the terms"),
    "gone": ({"": Fault(status=404, headers=(("X-Error-Code", "RepoNotFound"),))}, "hub-not-found", "withdrawn"),
    "gated file": ({f"hub:{LARGEST}": Fault(status=403)}, "hub-access-denied", "hf auth login"),
    "busy for an hour": ({LARGEST: Fault(status=429, headers=(("Retry-After", "3600"),))}, "hub-busy", "60 minutes"),
    "busy": ({"": Fault(status=429)}, "hub-busy", "kept"),
    "failing": ({LARGEST: Fault(status=500)}, "hub-failed", "kept"),
    "failing at once": ({"": Fault(status=500)}, "hub-failed", "kept"),
    "a login page": ({"": Fault(body=b"<html>Welcome to the hotel</html>")}, "hub-failed", "login page"),
    "a list of nothing": ({"listing": Fault(body=b"[]")}, "hub-failed", "login page"),
    "wrong ranges": ({LARGEST: Fault(after=9, wrong_range=True)}, "hub-failed", "kept"),
    "corrupt": ({LARGEST: Fault(corrupt=True)}, "download-damaged", "another network"),
    "cut at once": ({LARGEST: Fault(after=0)}, "hub-unreachable", "network"),
    "stalled": ({LARGEST: Fault(after=0, stalls=True)}, "hub-unreachable", "network"),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_is_told_and_what_has_come_is_not_fetched_again(
    name: str, hub: HostileHub, models: Path
) -> None:
    faults, code, hint = LASTING[name]
    hub.faults[LARGEST] = [Fault(after=150_000)]
    hub.always = dict(faults)
    problem = problem_of(fetcher(hub, models, silence=0.3).get)
    assert (problem.code, hint in problem.hint) == (code, True), problem.document()
    assert weights.present("midi") is not weights.State.ready
    come = kept(models)
    if code not in ("download-damaged", "hub-access-denied", "hub-not-found") and LARGEST in faults:
        assert come >= 150_000
    hub.always = HEALTHY
    before = len(hub.ranges(LARGEST))
    fetcher(hub, models).get()
    assert is_complete(hub, models)
    if come:
        assert hub.ranges(LARGEST)[before] == (come, len(hub.files[LARGEST]))


def test_a_hub_that_is_not_there_is_told(hub: HostileHub, models: Path) -> None:
    hub.__exit__()
    problem = problem_of(fetcher(hub, models).get)
    assert problem.code == "hub-unreachable" and "127.0.0.1 cannot be reached" in problem.detail


def test_a_certificate_that_nobody_vouches_for_is_told(
    checkpoint: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    pem, key = tmp_path / "both.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", pem], check=True, capture_output=True, timeout=60)
    pem.write_bytes(pem.read_bytes() + key.read_bytes())
    with HostileHub(checkpoint, certificate=pem) as hub:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        problem = problem_of(fetcher(hub, models).get)
        assert problem.code == "certificate-refused" and "proxy" in problem.hint and "127.0.0.1" in problem.detail
        assert hub.requests() == []


def test_a_repository_that_lacks_a_file_is_told(hub: HostileHub, models: Path) -> None:
    del hub.files[SMALL]
    problem = problem_of(fetcher(hub, models).get)
    assert problem.code == "hub-not-found" and f"{SMALL} is missing" in problem.detail


@pytest.mark.parametrize("path", ["../outside.json", "/etc/outside.json", "a/../../outside.json", "C:\\outside.json"])
def test_a_list_that_leads_out_of_the_folder_is_refused(path: str, hub: HostileHub, models: Path) -> None:
    hub.files[path] = b"{}"
    problem = problem_of(fetcher(hub, models).get)
    assert problem.code == "hub-failed" and not list(models.parent.rglob("outside.json"))


def test_the_space_is_looked_at_before_anything_comes(
    hub: HostileHub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(models)._replace(free=50_000_000)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: usage)
    problem = problem_of(fetcher(hub, models).get)
    assert problem.code == "disk-full" and "0.05 GB left" in problem.detail
    assert not any(hub.ranges(path) for path in hub.files)


def test_on_a_disk_that_fills_up_meanwhile_what_has_come_is_kept(
    hub: HostileHub,
    small_disk: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = small_disk / "models"
    monkeypatch.setenv("SET_DRESSER_MODELS", str(models))
    monkeypatch.setattr(fetch, "SPARE_BYTES", -shutil.disk_usage(small_disk).free)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2_000_000))
    with pytest.raises(OSError) as raised:
        fetcher(hub, models).get()
    assert storage_problem(raised.value, "x").code == "disk-full"
    come = kept(models)
    ballast.unlink()
    asked = len(hub.ranges(LARGEST))
    fetcher(hub, models).get()
    assert is_complete(hub, models) and come > 0 and asked == 1
    assert hub.ranges(LARGEST)[-1] == (come, len(hub.files[LARGEST])), "nothing that was kept came again"


def test_what_somebody_put_there_is_taken_if_it_is_right_and_left_alone_if_not(hub: HostileHub, models: Path) -> None:
    mine = root(models) / LARGEST
    mine.parent.mkdir(parents=True)
    mine.write_bytes(hub.files[LARGEST])
    fetcher(hub, models).get()
    assert is_complete(hub, models) and hub.ranges(LARGEST) == []
    shutil.rmtree(root(models))
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"a network of my own")
    problem = problem_of(fetcher(hub, models).get)
    assert problem.code == "weights-foreign" and str(mine) in problem.detail
    assert mine.read_bytes() == b"a network of my own"


def test_a_new_revision_replaces_only_the_files_that_have_changed(hub: HostileHub, models: Path) -> None:
    hub.faults[LARGEST] = [Fault(after=1000)]
    hub.always = {LARGEST: Fault(status=500)}
    problem_of(fetcher(hub, models).get)
    done = [path for path in hub.files if (root(models) / path).exists()]
    hub.always = HEALTHY
    hub.files[done[0]] = b'{"changed": true}'
    hub.files[LARGEST] = hub.files[LARGEST][:-4] + b"new!"
    begun = len(hub.requests())
    fetcher(hub, models).get()
    assert is_complete(hub, models)
    asked = [
        seen.path for seen in hub.requests("storage")[:] + hub.requests("hub")[:] if seen in hub.requests()[begun:]
    ]
    assert done[0] in asked and not set(done[1:]) & set(asked)
    assert hub.ranges(LARGEST)[-1][0] == 0, "what had come belonged to another file"


def test_damage_on_the_disk_is_found_removed_and_only_that_comes_again(hub: HostileHub, models: Path) -> None:
    fetcher(hub, models).get()
    file = root(models) / LARGEST
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert weights.present("midi") is weights.State.ready, "no length tells it"
    problem = problem_of(fetcher(hub, models).verify)
    assert problem.code == "weights-damaged" and LARGEST in problem.detail and not file.exists()
    begun = len(hub.requests())
    fetcher(hub, models).get()
    assert is_complete(hub, models)
    assert {seen.path for seen in hub.requests()[begun:]} == {"listing", LARGEST}
    fetcher(hub, models).verify()


def test_damage_in_what_has_come_so_far_costs_that_file_only(hub: HostileHub, models: Path) -> None:
    hub.faults[LARGEST] = [Fault(after=100_000)]
    hub.always = {LARGEST: Fault(status=500)}
    problem_of(fetcher(hub, models).get)
    (partial,) = root(models).rglob("*.incomplete")
    partial.write_bytes(b"?" * partial.stat().st_size)
    hub.always = HEALTHY
    fetcher(hub, models).get()
    assert is_complete(hub, models) and hub.ranges(LARGEST)[-1] == (0, len(hub.files[LARGEST]))


def test_a_model_of_others_is_checked_against_the_hub_and_not_touched(hub: HostileHub, models: Path) -> None:
    snapshot = models / "models--VAST-AI--MIDI-3D" / "snapshots" / COMMIT
    shutil.copytree(hub.folder, snapshot)
    fetcher(hub, models).verify()
    assert [seen.path for seen in hub.requests()] == ["listing"]
    file = snapshot / LARGEST
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    problem = problem_of(fetcher(hub, models).verify)
    assert problem.code == "weights-damaged" and LARGEST in problem.detail and file.read_bytes() == content
