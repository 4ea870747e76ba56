"""`python -m backend.downloads.process <pid of the server> <get or verify> <id of the model> <folder of models>`.

Standard output: {"type": "progress", …} with what `fetch.Progress` has, and at last {"type": "done"} or
{"type": "failed", "problem"}. It ends the moment its input closes: it never outlives its server.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from backend.downloads.offline import demand_online
from backend.errors import Problem
from backend.jobs.channel import encode, messages
from backend.jobs.child import die_with, leave, take_pipes
from backend.jobs.folders import storage_problem
from backend.weights import WEIGHTS, Weights

if TYPE_CHECKING:
    from backend.downloads.fetch import Progress
    from backend.downloads.hub import Hub

PACE_SECONDS = 0.1
SECONDS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
logger = logging.getLogger(__name__)


class Teller:
    """Progress as messages, at most ten a second, but every new stage, file and message at once.

    Nothing is late for ever: what came too soon is sent by a thread if nothing follows, as when a connection stalls.
    """

    def __init__(self, replies: BinaryIO) -> None:
        self._replies = replies
        self._shown: tuple[str, str, str] | None = None
        self._said = 0.0
        self._held: dict[str, object] | None = None
        self._sending = threading.Lock()
        self._holds = threading.Event()
        threading.Thread(target=self._release, name="pace", daemon=True).start()

    def progress(self, progress: Progress) -> None:
        now, shown = time.monotonic(), (progress.stage, progress.file, progress.message)
        message: dict[str, object] = {"type": "progress", **asdict(progress)}
        if shown != self._shown or now - self._said >= PACE_SECONDS:
            self._said, self._shown = now, shown
            self.send(message)
            return
        with self._sending:
            self._held = message
        self._holds.set()

    def send(self, message: dict[str, object]) -> None:
        """Send a message at once; what was held is older than it and is dropped."""
        with self._sending:
            self._write(message)

    def _release(self) -> NoReturn:
        while True:
            self._holds.wait()
            self._holds.clear()
            time.sleep(PACE_SECONDS)
            with self._sending:
                if self._held is not None:
                    self._write(self._held)

    def _write(self, message: dict[str, object]) -> None:
        self._held = None
        self._replies.write(encode(message))
        self._replies.flush()


def demand_numbers() -> None:
    """Raises Problem: a variable that the hub's library reads as seconds holds none; it would not even load."""
    for name in SECONDS:
        value = os.environ.get(name, "").strip()
        if value and not (value.isascii() and value.isdigit() and int(value[:9]) > 0):
            detail = f"The environment variable {name} is '{value[:20]}', which is no whole number of seconds."
            raise Problem("hub-unreachable", detail, f"Correct or unset {name}.")


def work(kind: str, weights: Weights, models: Path, teller: Teller) -> None:
    """One task. Raises Problem, and whatever else goes wrong."""
    demand_numbers()
    try:
        from huggingface_hub import constants

        from backend.downloads.fetch import Fetcher
        from backend.downloads.hub import Hub
    except ImportError as error:
        detail = f"A library that downloads need is missing or broken ({error.name})."
        raise Problem("engine-missing", detail) from error

    def hub() -> Hub:
        demand_online()
        return Hub(weights, constants.ENDPOINT, constants.HF_HUB_DOWNLOAD_TIMEOUT)

    fetcher = Fetcher(weights, models, hub, teller.progress)
    fetcher.get() if kind == "get" else fetcher.verify()


def ending(kind: str, weights: Weights, models: Path, teller: Teller) -> dict[str, object]:
    """The last message of a task."""
    try:
        work(kind, weights, models, teller)
        return {"type": "done"}
    except Problem as error:
        problem = error
    except OSError as error:
        logger.exception("the folder of models is out of reach")
        problem = storage_problem(error, f"The folder {models} cannot be used")
    except Exception as error:  # told to the user and logged
        identity = secrets.token_hex(4)
        logger.exception("error %s", identity)
        detail = f"The download failed with an unexpected {type(error).__name__}; its log tells more under {identity}."
        problem = Problem("internal", detail, log=identity)
    return {"type": "failed", "problem": problem.document()}


def main() -> NoReturn:
    server, kind, identifier, models = sys.argv[1:5]
    die_with(int(server))
    commands, replies = take_pipes()
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # otherwise the library asks and tells more than a download needs
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

    def watch() -> NoReturn:
        for _ in messages(commands):  # there are no commands; the end of the input is all there is to hear
            logger.warning("a command came, and was not understood")
        leave()

    threading.Thread(target=watch, name="input", daemon=True).start()
    teller = Teller(replies)
    teller.send(ending(kind, WEIGHTS[identifier], Path(models), teller))
    leave()


if __name__ == "__main__":
    main()
