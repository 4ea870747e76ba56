"""A second job of the same method opens no file of weights; the system counts."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend import devices  # noqa: E402
from backend import residency as residency_module  # noqa: E402
from backend.camera import default_camera  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.hi3d import HI3D  # noqa: E402
from backend.pipelines.instantmesh import INSTANTMESH  # noqa: E402
from backend.pipelines.instantmesh import run as instantmesh_run  # noqa: E402
from backend.pipelines.magic123 import MAGIC123  # noqa: E402
from backend.pipelines.midi import MIDI, MidiParameters  # noqa: E402
from backend.pipelines.midi import run as midi_run  # noqa: E402
from backend.pipelines.mira import MIRA  # noqa: E402
from backend.pipelines.mira.tiny import write_tiny_mira_checkpoints  # noqa: E402
from backend.preparations.imagine import IMAGINE, ImagineParameters  # noqa: E402
from backend.preparations.painting.tiny import write_tiny_painting_checkpoints  # noqa: E402
from backend.preparations.segment import SEGMENT, SegmentParameters  # noqa: E402
from backend.preparations.segment.tiny import write_tiny_segmentation_checkpoints  # noqa: E402
from backend.residency import residency  # noqa: E402
from models import parts  # noqa: E402
from models.midi.tiny import write_tiny_checkpoint  # noqa: E402
from tests.backend.hi3d_shots import FAST  # noqa: E402
from tests.backend.instantmesh_shots import ONE, PLAIN  # noqa: E402
from tests.backend.magic123_shots import FAST as FAST_MAGIC123  # noqa: E402
from tests.backend.mira_shots import PLAIN as PLAIN_MIRA  # noqa: E402
from tests.backend.pipelines.test_midi import shot_of  # noqa: E402
from tests.backend.preparations.imagine.room import room  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who opens a file")

OPENED, READ, NO_WAIT = 0x20, 0x1, os.O_NONBLOCK
WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pth", ".pt")


@contextmanager
def opened(folder: Path) -> Iterator[list[str]]:
    """Which files of weights below a folder anybody opens or reads, by any library: the kernel notes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(NO_WAIT)
    assert watch >= 0, os.strerror(ctypes.get_errno())
    found: list[str] = []
    try:
        for each in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            assert libc.inotify_add_watch(watch, os.fsencode(each), OPENED | READ) >= 0
        yield found
        try:
            while data := os.read(watch, 1 << 20):
                while data:
                    *_, length = struct.unpack_from("iIII", data)
                    name = data[16 : 16 + length].rstrip(b"\0").decode()
                    found += [name] if name.endswith(WEIGHTS) else []
                    data = data[16 + length :]
        except BlockingIOError:
            return  # no more events
    finally:
        os.close(watch)


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terabyte is free, whatever else runs on this machine: the most generous plan of Hi3D wants 21 GB, and the next
    one lets its networks go."""
    measured = devices._cpu
    monkeypatch.setattr(
        devices, "_cpu", lambda *given: replace(measured(*given), total_bytes=10**12, free_bytes=10**12)
    )


@pytest.fixture
def models(instantmesh_models: Path) -> Path:
    """The checkpoints of all methods in one folder."""
    if not (instantmesh_models / "VAST-AI").exists():
        write_tiny_checkpoint(instantmesh_models / "VAST-AI" / "MIDI-3D")
        write_tiny_segmentation_checkpoints(instantmesh_models)
        write_tiny_painting_checkpoints(instantmesh_models)
        write_tiny_mira_checkpoints(instantmesh_models, ["obj-small-1.0"])
    return instantmesh_models


def context(info: Any, seed: int) -> Context:
    return Context(info, seed, lambda said: None, save=lambda name, data: None)


def midi(seed: int) -> None:
    parameters = MidiParameters(steps=1, faces=500, colour="none").model_copy(update={"resolution": 32})
    MIDI.load()(shot_of((80, 80, 40)), parameters, context(MIDI, seed))


def instantmesh(seed: int) -> None:
    INSTANTMESH.load()(ONE, PLAIN.model_copy(update={"resolution": 32, "faces": 500}), context(INSTANTMESH, seed))


def mira(seed: int) -> None:
    parameters = PLAIN_MIRA.model_copy(update={"model": "obj-small-1.0"})
    MIRA.load()(ONE, parameters, context(MIRA, seed))


def hi3d(seed: int) -> None:
    HI3D.load()(ONE, FAST.model_copy(update={"colour": "none"}), context(HI3D, seed))


def magic123(seed: int) -> None:
    parameters = FAST_MAGIC123.model_copy(update={"steps": 1, "prompt": f"a cup, {seed}", "colour": "none"})
    MAGIC123.load()(ONE, parameters, context(MAGIC123, seed))


def imagine(seed: int) -> None:
    parameters = ImagineParameters(prompt=f"a room, {seed}", model="sd15", steps=1, candidates=1)
    IMAGINE.load()(room(64), parameters, context(IMAGINE, seed))


def segment(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (64, 96, 4), dtype=np.uint8)
    empty = replace(ONE.instances, labels=np.zeros((64, 96), np.uint16), names={})
    shot = replace(ONE, images=(picture,), instances=empty, camera=default_camera(96, 64), instance_source="found")
    boxes = [{"left": 10, "top": 10, "right": 60, "bottom": 60, "name": "cup"}]
    parameters = SegmentParameters.model_validate({"labels": "chair", "boxes": boxes, "review": False})
    SEGMENT.load()(shot, parameters, context(SEGMENT, seed))


METHODS = {"midi": midi, "instantmesh": instantmesh, "mira": mira, "imagine": imagine, "segment": segment}


@pytest.mark.usefixtures("hi3d_models")
def test_a_second_job_of_hi3d_reads_no_weights_of_either_stage(hi3d_checkpoints: Path) -> None:
    residency.clear()  # of the tests before
    for seed in (1, 2):
        with opened(hi3d_checkpoints) as files:
            hi3d(seed)
        assert bool(files) == (seed == 1), f"job {seed}: {files}"


@pytest.mark.usefixtures("magic123_models")
def test_a_second_job_of_magic123_with_another_text_reads_no_weights_in_either_stage(
    magic123_checkpoints: Path,
) -> None:
    residency.clear()  # of the tests before
    for seed in (1, 2):
        with opened(magic123_checkpoints) as files:
            magic123(seed)
        assert bool(files) == (seed == 1), f"job {seed}: {files}"


def test_a_second_job_reads_no_weights_although_jobs_of_other_methods_came_between(models: Path) -> None:
    for seed in (1, 2):
        for name, run in METHODS.items():
            with opened(models) as files:
                run(seed)
            assert bool(files) == (seed == 1), f"{name}, job {seed}: {files}"
    with opened(models) as files:
        residency.clear()
        midi(3)
    assert files, "what was let go is read again"


@pytest.mark.parametrize("name", ["midi", "instantmesh"])
def test_networks_that_do_not_fit_side_by_side_wait_in_main_memory_for_the_second_job(
    name: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor stands in for a card with a memory of its own."""
    module, ladder = {"midi": (midi_run, "midi_plans"), "instantmesh": (instantmesh_run, "view_plans")}[name]
    plans = getattr(module, ladder)
    monkeypatch.setattr(module, ladder, lambda *given, **options: plans(*given, **options)[1:2])
    monkeypatch.setattr(parts, "MEMORIES_OF_THEIR_OWN", {"cpu"})
    monkeypatch.setattr(residency_module, "SHARE_FOR_OTHERS", 0.0)
    residency.clear()
    for seed in (1, 2):
        with opened(models) as files:
            METHODS[name](seed)
        assert bool(files) == (seed == 1), files
    held = residency.held_by({"midi": "midi", "instantmesh": "instantmesh views"}[name])
    assert held.loaded_bytes == 0 < held.bytes_aside


def test_where_memory_is_short_the_method_that_was_not_used_for_the_longest_time_is_read_again(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment(1)
    midi(1)
    there = residency.bytes_on("cpu")
    measured = devices.choose

    def scarce(wanted: str = "auto") -> devices.Device:
        """Room for all but the first that goes; what was let go is room."""
        free = 10**13 if residency.bytes_on("cpu") < there else 10**3
        return replace(measured(wanted), free_bytes=free)

    with monkeypatch.context() as patch:
        patch.setattr(devices, "choose", scarce)
        residency.make_room(devices.choose(), 10**9)
    assert residency.held_by("segment detector") is None and residency.held_by("segment segmenter") is not None
    with opened(models) as files:
        midi(2)
    assert files == [], "of the one used last everything is there"
    with opened(models) as files:
        segment(2)
    assert files
