"""All objects of a collection, in several processes: what is there stays, what is broken is told at the end."""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from models.writing import write_json
from training.objects.listing import Entry
from training.render.blender import Blender, Broken
from training.render.objects import PARTIAL, render_object
from training.render.settings import Settings, SettingsError

LOCK, LOG, SETTINGS = ".lock", ".blender-{}.log", "render.json"


@dataclass
class Report:
    """What has become of a run.

    Attributes:
        there: objects that were there before.
        done: objects that were rendered.
        broken: (name, sentence) of those that could not be.
        missing: name → textures that were missing.
    """

    there: int = 0
    done: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)


def render_all(
    program: str,
    settings: Settings,
    models: Path,
    entries: list[Entry],
    out: Path,
    processes: int,
    progress: Callable[[str], None],
    restart_every: int = 100,
) -> Report:
    """Renders what is not there yet.

    Args:
        program: see `find_blender`.
        processes: of Blender, at the same time. They share the processors.
        progress: is told the name of each object that is done or broken, one at a time.
        restart_every: objects after which a process is replaced by a fresh one, in which nothing has piled up.

    Raises:
        BlenderError: Blender does not start.
        SettingsError: another run is writing to the folder, or one before this had other settings.
        OSError: it cannot be written to.
    """
    if models.resolve().is_relative_to(out.resolve()):
        raise SettingsError(f"The models are in {out}, and so would their views be. Choose another folder.")
    if out.exists() and not out.is_dir():
        raise SettingsError(f"{out} is a file. Choose a folder.")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / LOCK, timeout=0):
            for left in out.glob(f".*{PARTIAL}"):
                shutil.rmtree(left)  # of a run that was killed: this one alone writes here
            _same_settings(out, settings)
            return _Run(program, settings, models, entries, out, processes, progress, restart_every).result()
    except Timeout as error:
        raise SettingsError(f"Another run is writing to {out}. Wait for it, or choose another folder.") from error


def _same_settings(out: Path, settings: Settings) -> None:
    """Half a set of one kind and half of another would look like one."""
    file, mine = out / SETTINGS, json.loads(json.dumps(asdict(settings)))
    if file.is_file():
        try:
            theirs = dict(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise SettingsError(
                f"{file} does not tell with which settings the folder was begun ({error}). Choose another folder."
            ) from error
        other = [f"{name} {theirs.get(name)}, not {value}" for name, value in mine.items() if theirs.get(name) != value]
        begun = any(path.is_dir() and not path.name.startswith(".") for path in out.iterdir())
        if other and begun:
            raise SettingsError(f"{out} was rendered with other settings ({'; '.join(other)}). Choose another folder.")
    write_json(file, mine)


class _Run:
    def __init__(
        self,
        program: str,
        settings: Settings,
        models: Path,
        entries: list[Entry],
        out: Path,
        processes: int,
        progress: Callable[[str], None],
        restart_every: int,
    ) -> None:
        self._program, self._settings, self._models, self._out = program, settings, models, out
        self._progress, self._restart_every = progress, restart_every
        waiting = [entry for entry in entries if not (out / entry.name).is_dir()]
        random.Random(settings.seed).shuffle(waiting)  # a part of a set is like the whole
        self._report = Report(there=len(entries) - len(waiting))
        self._queue: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        for entry in waiting:
            self._queue.put(entry)
        self._processes = max(1, min(processes, len(waiting)))
        self._threads = max(1, (os.cpu_count() or 1) // self._processes)
        self._stop, self._lock = threading.Event(), threading.Lock()

    def result(self) -> Report:
        if self._queue.empty():
            return self._report
        with ThreadPoolExecutor(self._processes) as pool:
            futures = [pool.submit(self._work, number) for number in range(self._processes)]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._stop.set()
                raise
        return self._report

    def _work(self, number: int) -> None:
        try:
            while not (self._stop.is_set() or self._queue.empty()):
                with (self._out / LOG.format(number)).open("ab") as log, Blender(self._program, log) as blender:
                    self._use(blender)
        except BaseException:
            self._stop.set()
            raise

    def _use(self, blender: Blender) -> None:
        for _ in range(self._restart_every):
            if self._stop.is_set() or not blender.alive:
                return
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return
            try:
                missing = render_object(blender, self._settings, self._threads, self._models, entry, self._out)
            except Broken as error:
                with self._lock:
                    self._report.broken.append((entry.name, str(error)))
                    self._progress(entry.name)
                continue
            with self._lock:
                self._report.done.append(entry.name)
                if missing:
                    self._report.missing[entry.name] = missing
                self._progress(entry.name)
