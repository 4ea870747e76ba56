"""What is known while this Blender runs: all that panels read, in one place. Nothing of it is saved in a file.

Whoever changes a thing here calls `changed`; the tick sees that the version is another one, and has the panel drawn
anew. The marks (`*_stale`, `*_wanted`, `limit_wished`) are left for the next tick by those who must not do the work
themselves: callbacks of preferences, handlers of Blender's, answers of the backend's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..backend_process.environment import Environment
from ..backend_process.greeting import Studio
from ..backend_process.installation import Installation
from ..backend_process.server_process import ServerProcess
from ..backend_process.studio_server import StudioServer
from ..ground import folders
from ..ground.messages import SetDresserError, as_error
from .batch import Batch
from .job import JobRecord
from .models import Models
from .storage import Surplus

LISTS, SERVER = "lists", "server"
"""What an error may be about, beside the id of a job: the backend's lists, the backend itself."""


@dataclass(frozen=True)
class Tested:
    """What a test of the connection to a studio's server has come to. good: None while it goes on."""

    good: bool | None
    message: str
    hint: str = ""
    code: str = ""


class Desk:
    """Plain values, and the two processes that the add-on owns.

    Attributes:
        server, installation: the backend's process, or a studio's server in its place, and the program that makes the
            backend's environment.
        studio: whether the preferences name a studio's server. addressed: whether its address is one; trusted: whether
            there is a token for it. tested: what the last test of the connection has come to.
        set_up_problem: why the backend could not be started as things are; None if it could.
        wanted: what a backend would be started with now; None if it could not.
        health: the last answer of GET /health, {} if there is none.
        jobs: by id, newest first. made: how many were made here. pressed: the job of the last press that was to bring
            props in.
        batches: by id, newest first.
        pipelines, preparations: as GET /pipelines and GET /preparations tell; their number, `catalogue`, grows with
            each that is another one than before.
        storage: how many jobs there are, and how many bytes they hold. surplus: what the wished limit would remove,
            while that waits for the user's word.
        models: see there.
        problem: the one error that the panel shows. It belongs to the press that it came of: it goes with the next
            one, and once the same thing succeeds.
        version: grows whenever something that the panel shows is different.
        set_up_stale: preferences have changed. limit_wished: that of the limit has. storage_stale: jobs have changed.
        lists_stale: the backend's lists are to be fetched. health_stale: it is to be asked how it is, now.
        left: the user has ended the server, which is not to be connected to before it is needed.
        rest_wanted: somebody else needs the graphics card's memory; may be set from any thread.
    """

    def __init__(self) -> None:
        self.server: ServerProcess | StudioServer = ServerProcess()
        self.studio = self.addressed = self.trusted = False
        self.tested: Tested | None = None
        self.installation = Installation(folders.temporary)
        self.set_up_problem: SetDresserError | None = None
        self.wanted: Environment | Studio | None = None
        self.health: dict[str, Any] = {}
        self.jobs: dict[str, JobRecord] = {}
        self.made = 0
        self.batches: dict[str, Batch] = {}
        self.pressed: JobRecord | None = None
        self.pipelines: list[dict[str, Any]] = []
        self.preparations: list[dict[str, Any]] = []
        self.catalogue = 0
        self.storage: dict[str, Any] = {}
        self.surplus: Surplus | None = None
        self.models = Models()
        self.problem: SetDresserError | None = None
        self.version = 0
        self.set_up_stale = self.limit_wished = self.storage_stale = self.lists_stale = self.health_stale = False
        self.rest_wanted = self.left = False
        self._about = ""

    def changed(self) -> None:
        """Something that the panel shows is different now."""
        self.version += 1

    def take_storage(self, description: Mapping[str, Any]) -> None:
        """What GET /storage tells."""
        keep = description.get("keep_bytes")
        self.storage = {"jobs": int(description["jobs"]), "bytes": int(description["bytes"]), "keep_bytes": keep}

    def report(self, error: Exception, about: str = "") -> None:
        """Show an error. about: what takes it off again when that succeeds."""
        self.problem, self._about = as_error(error), about
        self.changed()

    def settle(self, about: str | None = None) -> None:
        """Take the error off the panel: a button was pressed, or what it is about has succeeded."""
        if self.problem is not None and about in (None, self._about):
            self.problem, self._about = None, ""
            self.changed()


def captures(desk: Desk) -> bool:
    """Whether a picture is being taken."""
    return any(record.state == "capturing" for record in desk.jobs.values())


current = Desk()
"""The desk of this session: `session.register` puts an empty one here."""
