"""The backend's own environment, from Blender's side: its state, the program that makes it, and its progress.

The program (`installer/`) is a child: `poll()` reads what it tells, and nothing here waits.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import IO, Any

from ..ground import package
from ..ground.messages import SetDresserError
from ..installer import records
from ..installer.builds import AUTOMATIC, NONE, platform_name
from ..installer.events import NO_WINDOW
from ..installer.plan import Plan, all_locks, blenders_python
from ..installer.records import Disk, Found, Lock

GRACE_SECONDS = 3.0
LOOK_SECONDS = 0.1
ELSEWHERE_SECONDS = 2.0
PROGRAM = package.ROOT / "installer"


class InstallationState(Enum):
    """What the panel says and offers, and what `api.installation()` tells."""

    NOT_INSTALLED = "The backend is not installed yet."
    INTERRUPTED = "The installation was interrupted."
    INSTALLING = "The backend is being installed."
    COMPLETE = "The backend is installed."
    OUTDATED = "The backend's installation needs an update."
    BROKEN = "The backend's installation is broken."


_OF_DISK = {
    Disk.NOTHING: InstallationState.NOT_INSTALLED,
    Disk.INTERRUPTED: InstallationState.INTERRUPTED,
    Disk.COMPLETE: InstallationState.COMPLETE,
    Disk.OUTDATED: InstallationState.OUTDATED,
    Disk.BROKEN: InstallationState.BROKEN,
}


@dataclass(frozen=True)
class Progress:
    """What the program told last: bytes written, about how many there will be, and bytes a second."""

    step: str = ""
    text: str = ""
    written: int = 0
    total: int = 0
    rate: float = 0.0

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1; bytes are the measure, and the end is never promised."""
        if self.step == "check":
            return 0.97
        return min(0.95, self.written / self.total) if self.total else 0.0


class Program:
    """The installer as this Blender's child. It ends when its standard input closes, so it ends with Blender."""

    def __init__(self, request: dict[str, Any], python: str, folder: Path, working: Path) -> None:
        """Start it. folder: for what it tells, in a file that only this one reads; working: its current folder.

        Raises OSError.
        """
        folder.mkdir(parents=True, exist_ok=True)
        working.mkdir(parents=True, exist_ok=True)
        self._told = folder / f"{uuid.uuid4().hex}.jsonl"
        self._rest = b""
        self._stopping = 0.0
        self._pressed = 0
        self.noise: list[str] = []
        with self._told.open("wb") as output:
            self._process = subprocess.Popen(
                [python, "-I", "-S", "-B", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                bufsize=0,
                cwd=working,
                creationflags=NO_WINDOW,
            )
        self.pid = self._process.pid
        self._reader: IO[bytes] = self._told.open("rb", buffering=0)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # gone already: `running` tells
            # A pipe takes four thousand bytes without waiting; a request is a tenth of that.
            self._process.stdin.write(json.dumps(request).encode() + b"\n")

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def read(self) -> list[dict[str, Any]]:
        """What it has told since the last time. Lines that are no documents go to `noise`."""
        *lines, self._rest = (self._rest + self._reader.read()).split(b"\n")
        documents = []
        for line in lines:
            try:
                document = json.loads(line)
                documents.append({**document, "event": str(document["event"])})
            except (ValueError, TypeError, KeyError):
                self.noise.append(line.decode("utf-8", "replace"))
        return documents

    def stop(self) -> None:
        """Ask it to end; `press` does the rest."""
        self._close_input()
        if not self._stopping:
            self._stopping = time.monotonic()

    def press(self) -> None:
        """After `stop`: terminate it after 3 s, kill it after 6."""
        waited = time.monotonic() - self._stopping if self._stopping else 0.0
        if waited > GRACE_SECONDS * (self._pressed + 1) and self._pressed < 2:
            (self._process.terminate, self._process.kill)[self._pressed]()
            self._pressed += 1

    def close(self, seconds: float = 0.0) -> None:
        """Let go of it; if it still runs, wait `seconds` for its end and kill it then."""
        self._close_input()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(1.0)
        self._reader.close()
        with contextlib.suppress(OSError):  # in a folder that Blender removes anyway
            self._told.unlink(missing_ok=True)

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()


class Installation:
    """The environment of this user, and what happens to it.

    After `look()`: `state`, `reason`, `folder` (the environment that may be started; None if none may) and `plan`.
    After `poll()`: `progress`, and `problem` if something failed.
    """

    def __init__(self, temporary: Callable[[], Path]) -> None:
        self.state = InstallationState.NOT_INSTALLED
        self.reason = ""
        self.folder: Path | None = None
        self.record: records.Record | None = None
        self.plan: Plan | None = None
        self.progress = Progress()
        self.problem: SetDresserError | None = None
        self.machine: dict[str, str] = {}
        self.cancelling = False
        self._temporary = temporary
        self._wanted = AUTOMATIC
        self._program: Program | None = None
        self._doing = ""
        self._held: tuple[Path, Lock] | None = None
        self._next = 0.0

    @property
    def busy(self) -> bool:
        """Whether `poll` must be called."""
        return self._program is not None or self._elsewhere

    @property
    def _elsewhere(self) -> bool:
        return self.state is InstallationState.INSTALLING and self._program is None

    @property
    def installing(self) -> bool:
        """Whether this Blender is installing it."""
        return self._doing == "install"

    @property
    def pid(self) -> int | None:
        return self._program.pid if self._program else None

    def look(self, plan: Plan) -> None:
        """See what lies on disk, for the build that `plan` wants; reads some small files."""
        self._wanted = plan.build
        if plan.build == AUTOMATIC and self.machine:
            plan = replace(plan, build=self.machine["build"])
        self.plan = plan
        found = self._find()
        self.folder, self.record, self.reason = found.folder, found.record, found.reason
        if self.installing or records.is_locked(plan.environments / records.LOCK):
            self.state = InstallationState.INSTALLING
        else:
            self.state = _OF_DISK[found.state]

    def _find(self) -> Found:
        assert self.plan is not None
        return records.look(self.plan.environments, all_locks(Path(self.plan.requirements)), self._wanted)

    def look_at_machine(self) -> None:
        """Begin to find out which build suits this machine."""
        if not self.machine and self._program is None and self.plan is not None:
            self._start("look", self.plan)

    def start(self, plan: Plan) -> None:
        """Begin to install, to finish or to repair. Raises SetDresserError."""
        if self.installing:
            return
        if self._program is not None:
            self._drop()
        self.problem, self.cancelling, self.progress = None, False, Progress(text="Starting")
        self._start("install", plan)
        self.state = InstallationState.INSTALLING

    def tidy(self) -> None:
        """Remove what an earlier installation has left, if there is anything."""
        plan, folder = self.plan, self.folder
        if plan is None or folder is None or self._program is not None or self.state is not InstallationState.COMPLETE:
            return
        if records.folders(plan.environments) != [folder]:
            self._start("tidy", plan)

    def cancel(self) -> None:
        """End the installation; what has arrived is kept."""
        if self._program is not None and self.installing:
            self.cancelling = True
            self._program.stop()

    def hold(self) -> None:
        """The environment is in use by a server of this Blender: no other Blender may remove it meanwhile."""
        if self.folder is not None and (self._held is None or self._held[0] != self.folder):
            self.release()
            with contextlib.suppress(OSError):  # just being removed: the server will tell
                self._held = (self.folder, Lock(self.folder / records.HELD, shared=True))

    def release(self) -> None:
        if self._held is not None:
            self._held[1].release()
            self._held = None

    def poll(self, server_running: bool) -> bool:
        """Move on; whether something is different."""
        if not server_running:
            self.release()
        if time.monotonic() < self._next or not self.busy:
            return False
        self._next = time.monotonic() + (ELSEWHERE_SECONDS if self._elsewhere else LOOK_SECONDS)
        if self._program is None:
            assert self.plan is not None
            self.look(replace(self.plan, build=self._wanted))
            return not self._elsewhere
        code = self._program.code
        documents = self._program.read()
        for document in documents:
            self._take(document)
        if code is not None:
            self._ended(code)
            return True
        self._program.press()
        return bool(documents)

    def end_now(self, seconds: float = 1.0) -> None:
        """End the program before Blender does: waits for `seconds` at most."""
        if self._program is not None:
            self._drop(seconds)
        self.release()

    def _start(self, what: str, plan: Plan) -> None:
        python = blenders_python()
        try:
            if not python:
                raise FileNotFoundError("Blender's own Python program")
            request = {"do": what, "plan": plan.as_json()}
            self._program = Program(request, python, self._temporary() / "installation", Path(plan.user))
        except OSError as error:
            hint = "Check that the folder exists and is writable, or choose a Python in the add-on's preferences."
            raise self._fail(
                SetDresserError(f"The installer cannot be started: {error}.", hint, "install-failed")
            ) from error
        self._doing, self._next = what, 0.0

    def _take(self, document: dict[str, Any]) -> None:
        event = document.pop("event")
        if event == "machine":
            self.machine = document
        elif event == "step":
            self.progress = Progress(**document)
        elif event == "failed":
            self._fail(SetDresserError(document["message"], document["hint"], document["code"], document["details"]))

    def _ended(self, code: int) -> None:
        assert self._program is not None
        doing, noise = self._doing, "\n".join(self._program.noise[-20:])
        self._drop()
        if code and doing == "install" and self.problem is None and not self.cancelling:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            message = f"The installer ended unexpectedly ({how})."
            self._fail(
                SetDresserError(message, "Press Install again; what has arrived is kept.", "install-ended", noise)
            )
        self.cancelling = False
        if self.plan is not None:
            self.look(replace(self.plan, build=self._wanted))

    def _drop(self, seconds: float = 0.0) -> None:
        assert self._program is not None
        self._program.close(seconds)
        self._program, self._doing = None, ""

    def _fail(self, problem: SetDresserError) -> SetDresserError:
        self.problem = problem
        return problem


def build_items() -> list[tuple[str, str, str]]:
    """The choices of the preference, those that exist for this system."""
    from ..installer.builds import builds_for

    found = builds_for(platform_name()).items()
    return [
        (AUTOMATIC, "Automatic", "The build of PyTorch that suits this machine"),
        *((name, build.title, f"PyTorch for {build.title}") for name, build in found),
        (NONE, "Inflate Only", "Small and quick: inflate only, no PyTorch. The rest can be added later"),
    ]
