"""Where a model is found, when it counts as complete, and what is said of every bad folder."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import weights
from backend.errors import Problem
from backend.weights import VARIABLE, WEIGHTS, State, download_command, locate, looking, present, problem_of, variant
from models.loading import CheckpointDamaged, CheckpointError, CheckpointForeign, CheckpointMissing
from models.midi.pipeline import MidiPipeline
from models.midi.tiny import write_tiny_checkpoint

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 3363800000\n"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def tiny_in_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("shards") / "checkpoint", shard_bytes=100_000)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that SET_DRESSER_MODELS names; the hub's cache is an empty one."""
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def hub_layout(cache: Path, source: Path, revision: str = "194c4af", reference: bool = True) -> Path:
    """A cache as huggingface_hub makes it: content in blobs, links to it in a snapshot, the branch in refs."""
    root = cache / "models--VAST-AI--MIDI-3D"
    snapshot = root / "snapshots" / revision
    (root / "blobs").mkdir(parents=True)
    for file in (path for path in source.rglob("*") if path.is_file()):
        link = snapshot / file.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob = root / "blobs" / link.relative_to(snapshot).as_posix().replace("/", "-")
        shutil.copy(file, blob)
        if sys.platform == "win32":  # where the hub copies as well, unless links are permitted
            shutil.copy(file, link)
        else:
            link.symlink_to(os.path.relpath(blob, link.parent))
    if reference:
        (root / "refs").mkdir()
        (root / "refs" / "main").write_text(revision)
    return snapshot


def told(action: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as raised:
        action()
    return raised.value


@pytest.mark.parametrize("name", ["VAST-AI/MIDI-3D", "VAST-AI--MIDI-3D", "MIDI-3D"])
def test_a_folder_made_by_hand_is_found(own: Path, tiny: Path, name: str) -> None:
    shutil.copytree(tiny, own / name)
    assert present("midi") is State.ready and locate("midi") == own / name
    MidiPipeline.from_pretrained(locate("midi"))


def test_a_cache_of_the_hub_is_found_through_its_branch(own: Path, tiny: Path) -> None:
    hub_layout(own, tiny, "older", reference=False)
    assert locate("midi").name == "older", "a snapshot that no branch points to is better than none"
    shutil.rmtree(own / "models--VAST-AI--MIDI-3D")
    snapshot = hub_layout(own, tiny)
    shutil.copytree(snapshot, snapshot.with_name("000000"))
    assert present("midi") is State.ready and locate("midi") == snapshot
    MidiPipeline.from_pretrained(locate("midi"))


def test_the_usual_cache_is_looked_at_last(own: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = hub_layout(own.parent / "hub", tiny)
    assert locate("midi") == usual
    shutil.copytree(tiny, own / "MIDI-3D")
    assert locate("midi") == own / "MIDI-3D"
    (own / "MIDI-3D" / TRANSFORMER).unlink()
    assert locate("midi") == usual, "a complete copy elsewhere is better than an incomplete one"
    monkeypatch.delenv(VARIABLE)
    assert locate("midi") == usual


@pytest.mark.parametrize(
    ("variable", "value", "cache"),
    [("HF_HUB_CACHE", "a", "a"), ("HF_HOME", "b", "b/hub"), ("XDG_CACHE_HOME", "c", "c/huggingface/hub")],
)
def test_the_usual_cache_is_where_the_hub_has_it(
    own: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, cache: str
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv(variable, str(own.parent / value))
    snapshot = hub_layout(own.parent / cache, tiny)
    assert locate("midi") == snapshot
    script = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert Path(done.stdout.strip()) == own.parent / cache


def test_shards_are_as_good_as_one_file(own: Path, tiny_in_shards: Path) -> None:
    shutil.copytree(tiny_in_shards, own / "MIDI-3D")
    assert present("midi") is State.ready and locate("midi") == own / "MIDI-3D"


def test_what_is_nowhere_is_missing_and_the_hint_says_how_to_get_it(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "MIDI-3D").mkdir()
    assert present("midi") is State.absent, "an empty folder is nothing"
    problem = told(lambda: locate("midi"))
    assert problem.code == "weights-missing" and problem.document()["weights"] == "midi"
    assert 'hf download VAST-AI/MIDI-3D --include "*.json"' in problem.hint and "5.1 GB" in problem.hint
    assert str(own / "VAST-AI" / "MIDI-3D") in problem.hint
    monkeypatch.setenv(VARIABLE, str(own / "nowhere"))
    assert f"{own / 'nowhere'}, which is no folder" in told(lambda: locate("midi")).detail
    monkeypatch.delenv(VARIABLE)
    assert VARIABLE in told(lambda: locate("midi")).hint
    with pytest.raises(KeyError):
        present("no-such-model")


def cut_shard(folder: Path) -> Path:
    shard = sorted((folder / "transformer").glob("*-of-*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-100])
    return shard


def half_downloaded(folder: Path) -> Path:
    shard = cut_shard(folder)
    shard.rename(shard.with_name(f"{shard.name}.incomplete"))
    return shard


def truncated(folder: Path) -> Path:
    file = folder / TRANSFORMER
    file.write_bytes(file.read_bytes()[:-1])
    return file


def header_cut_off(folder: Path) -> Path:
    file = folder / TRANSFORMER
    file.write_bytes(file.read_bytes()[:500])
    return file


def pointer(folder: Path) -> Path:
    (folder / TRANSFORMER).write_bytes(POINTER)
    return folder / TRANSFORMER


def web_page(folder: Path) -> Path:
    (folder / TRANSFORMER).write_bytes(b"<!DOCTYPE html><html>Access to this model is restricted.</html>")
    return folder / TRANSFORMER


def empty(folder: Path) -> Path:
    (folder / "vae" / "config.json").write_bytes(b"")
    return folder / "vae" / "config.json"


def bad_index(folder: Path) -> Path:
    file = folder / f"{TRANSFORMER}.index.json"
    file.write_text('{"weight_map": {"proj_in.weight": "../../elsewhere.safetensors"}}')
    return file


@pytest.mark.parametrize(
    ("shards", "spoil", "code", "says"),
    [
        (True, half_downloaded, "weights-missing", "is missing"),
        (True, cut_shard, "weights-damaged", "the download is incomplete"),
        (False, truncated, "weights-damaged", "the download is incomplete"),
        (False, header_cut_off, "weights-damaged", "the download is incomplete"),
        (False, pointer, "weights-damaged", "Git LFS pointer"),
        (False, web_page, "weights-damaged", "no safetensors file"),
        (False, empty, "weights-damaged", "is empty"),
        (True, bad_index, "weights-damaged", "not a readable index"),
    ],
)
def test_a_spoilt_folder_is_partial_and_the_file_is_named(
    own: Path,
    tiny: Path,
    tiny_in_shards: Path,
    shards: bool,
    spoil: Callable[[Path], Path],
    code: str,
    says: str,
) -> None:
    folder = own / "MIDI-3D"
    shutil.copytree(tiny_in_shards if shards else tiny, folder)
    file = spoil(folder)
    assert present("midi") is State.partial
    problem = told(lambda: locate("midi"))
    assert (problem.code, says in problem.detail, str(file) in problem.detail) == (code, True, True), problem.detail
    assert "hf download VAST-AI/MIDI-3D" in problem.hint and f'--local-dir "{folder}"' in problem.hint
    with pytest.raises(CheckpointError):
        MidiPipeline.from_pretrained(folder)


def test_a_download_that_has_only_begun_is_partial(own: Path, tiny: Path) -> None:
    root = own / "models--VAST-AI--MIDI-3D"
    (root / "blobs").mkdir(parents=True)
    assert present("midi") is State.absent
    (root / "blobs" / "4d7a2146.incomplete").write_bytes(b"x")
    assert present("midi") is State.partial
    assert told(lambda: locate("midi")).hint.endswith(f'--cache-dir "{own}"')
    shutil.rmtree(root)
    snapshot = hub_layout(own, tiny)
    (root / "blobs" / "of-another-file.incomplete").write_bytes(b"x")
    assert present("midi") is State.ready and locate("midi") == snapshot


def test_a_folder_that_is_repaired_is_ready_at_once(own: Path, tiny: Path) -> None:
    folder = own / "MIDI-3D"
    shutil.copytree(tiny, folder)
    whole = (folder / TRANSFORMER).read_bytes()
    truncated(folder)
    assert present("midi") is State.partial
    (folder / TRANSFORMER).write_bytes(whole)
    assert present("midi") is State.ready


def test_what_the_thorough_check_finds_is_told_in_the_same_voice(own: Path, tiny: Path) -> None:
    folder = own / "MIDI-3D"
    shutil.copytree(tiny, folder)
    config = folder / "transformer" / "config.json"
    config.write_text(config.read_text().replace("TripoSGDiTModel", "UNet2DConditionModel"))
    with pytest.raises(CheckpointForeign) as raised:
        MidiPipeline.from_pretrained(locate("midi"))
    problem = problem_of(raised.value, "midi")
    assert problem.code == "weights-foreign" and str(config) in problem.detail
    assert "should hold VAST-AI/MIDI-3D" in problem.hint
    assert problem_of(CheckpointMissing("x is missing."), "midi").code == "weights-missing"
    damaged = problem_of(CheckpointDamaged("x is cut off."), "sdxl")
    assert damaged.code == "weights-damaged" and damaged.hint.startswith("Delete that file")
    assert damaged.document()["weights"] == "sdxl"
    assert problem_of(OSError("disk"), "midi").code == "internal"
    assert problem_of(damaged, "midi") is damaged


def test_either_precision_will_do_where_the_repository_has_both(own: Path, tiny: Path) -> None:
    folder = own / "lllyasviel" / "control_v11f1p_sd15_depth"
    folder.mkdir(parents=True)
    shutil.copy(tiny / TRANSFORMER, folder / "diffusion_pytorch_model.fp16.safetensors")
    assert present("controlnet-depth-sd15") is State.partial
    (folder / "config.json").write_text("{}")
    assert present("controlnet-depth-sd15") is State.ready
    assert variant("controlnet-depth-sd15", locate("controlnet-depth-sd15")) == "fp16"
    (folder / "diffusion_pytorch_model.fp16.safetensors").rename(folder / "diffusion_pytorch_model.safetensors")
    assert present("controlnet-depth-sd15") is State.ready
    assert variant("controlnet-depth-sd15", locate("controlnet-depth-sd15")) is None


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk-full"), (errno.EACCES, "output-not-writable")])
def test_a_converted_form_that_cannot_be_written_is_no_fault_of_the_download(number: int, code: str) -> None:
    from models.loading import CheckpointUnwritable

    error = CheckpointUnwritable("the form cannot be written")
    error.__cause__ = OSError(number, "why")
    assert weights.problem_of(error, "instantmesh-large").code == code


def test_files_of_one_repository_that_are_got_one_by_one_do_not_count_for_each_other(own: Path) -> None:
    (own / "TencentARC" / "InstantMesh.base").mkdir(parents=True)
    (own / "TencentARC" / "InstantMesh.base" / "instant_mesh_base.ckpt").write_bytes(b"weights")
    assert present("instantmesh-base") is State.ready
    assert present("instantmesh-large") is present("instantmesh-views") is State.absent
    by_hand = own / "TencentARC" / "InstantMesh"
    by_hand.mkdir()
    (by_hand / "instant_mesh_large.ckpt").write_bytes(b"weights")
    assert locate("instantmesh-large") == by_hand and locate("instantmesh-base") != by_hand
    titles = [row.title for row in WEIGHTS.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("identifier", WEIGHTS)
def test_every_row_can_be_shown_downloaded_and_recognised(identifier: str, own: Path) -> None:
    from fnmatch import fnmatch

    row = WEIGHTS[identifier]
    assert row.id == identifier and row.repository.count("/") == 1 and row.licence and row.bytes > 0
    assert row.licence in ("Apache-2.0", "MIT") or row.licence_note, "a licence that is not a usual one is explained"
    for name in row.required:
        options = looking._options(name)
        assert any(fnmatch(option, pattern) for option in options for pattern in row.files), f"{name} is not downloaded"
    if row.source == "local":
        assert present(identifier) is State.ready, "it comes along"
        return
    command = download_command(identifier)
    assert command.startswith(f"hf download {row.repository} ") and command.endswith(f'"{own / row.home}"')


def test_the_server_can_ask_without_loading_anything() -> None:
    script = "import sys, backend.weights; backend.weights.present('midi'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"torch", "models", "huggingface_hub", "safetensors", "transformers", "numpy", "pydantic"}
    assert {name.partition(".")[0] for name in done.stdout.split()} & heavy == set()
