"""The add-on at work: what is known, the line to the backend, and the one tick that moves everything on.

`pump()` does a slice of whatever is to be done and says when it wants to be called again. With a window a persistent
timer calls it; in background mode, where timers never fire, whoever waits does.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .answers import asking, thumbnails
from .backend_process import leftovers, setting_up
from .backend_process.server_process import ServerState
from .ground import folders, preferences, references, tick
from .ground.tick import FOLLOWING, INSTALLING, MOVING, WATCHING
from .settings import parameters
from .state import desk as state
from .state.desk import Desk
from .state.job import JobRecord
from .work import batch_files, batches, job_list, job_pictures, origins, questions
from .work.keeping import Keeping
from .work.line import Line
from .work.lists import Lists
from .work.preview_fetching import PreviewFetching
from .work.server_life import ServerLife

BUDGET = 0.004


class Session:
    """Everything that is true only while this Blender runs, and who looks after which part of it.

    place: imports a fetched job as one undo step.
    """

    def __init__(self, desk: Desk, place: Callable[[JobRecord], None]) -> None:
        self.desk = desk
        self.line = Line(desk, place)
        self.life, self.lists, self.keeping, self.previews = ServerLife(desk), Lists(), Keeping(), PreviewFetching()
        self.former_file = ""
        self._at_home = False
        self._shown = desk.version
        self._catalogue = desk.catalogue

    def pump(self, budget: float = BUDGET) -> float:
        """Do what can be done now, for about `budget` seconds; returns the seconds until it should be done again.

        Taking a photo and importing a finished job are done here too; they take as long as they take and are counted in
        `line.captures` and `line.imports`.
        """
        desk, line = self.desk, self.line
        began, line.held = time.perf_counter(), 0.0
        if not self._at_home:
            self._at_home = True
            batches.find_home(desk)
        asking.save(line.report)
        self.life.poll(line)
        if desk.installation.poll(desk.server.running and not desk.server.remote):
            desk.changed() if desk.installation.busy else line.check_set_up()
        self.lists.poll(line)
        self.keeping.poll(line)
        line.tasks.advance(budget)
        if self._catalogue != desk.catalogue:
            self._catalogue = desk.catalogue
            register_parameters(desk)
        if self._shown != desk.version:
            self._shown = desk.version
            batches.look(line)
            questions.show(line)
            job_pictures.show(line)
            self.previews.show(line)
            job_list.sync(desk)
            tick.redraw()
        line.slices.seconds.append(time.perf_counter() - began - line.held)
        return self._delay()

    def busy(self) -> bool:
        """Whether the tick is needed."""
        desk = self.desk
        return bool(self.line.tasks) or desk.server.running or desk.installation.busy or self._shown != desk.version

    def _delay(self) -> float:
        desk, tasks = self.desk, self.line.tasks
        if desk.server.asking or (desk.server.remote and self.life.asking):
            return MOVING  # a handshake takes several turns
        if not tasks:
            if desk.installation.busy:
                return INSTALLING
            return MOVING if desk.server.state is ServerState.STOPPING else WATCHING
        followed = [job for job in desk.jobs.values() if job.busy and job.state in ("queued", "running", "needs_input")]
        if desk.server.remote and desk.server.state is ServerState.UNREACHABLE and not state.captures(desk):
            return INSTALLING  # whoever has something to ask waits
        idle = len(followed) + desk.models.pausing + self.previews.pausing
        return FOLLOWING if idle == len(tasks) and desk.server.state is ServerState.READY else MOVING

    def file_loaded(self) -> None:
        """Another file is open, or the same one again."""
        same = self.former_file in (references.this_file(), bpy.data.filepath) and bpy.data.filepath != ""
        origins.file_loaded(self.line, same)
        batches.file_loaded(self.line, same)
        if self.desk.server.state is ServerState.READY:
            self.line.refresh()  # jobs that were made in this file may be done
        parameters.carry_over()
        questions.show(self.line)  # what was set so far went with the former file

    def close(self) -> None:
        """End everything. Waits two seconds at most, for the server to leave."""
        self.line.tasks.stop_all()
        batches.close(self.desk)
        asking.keep({})
        thumbnails.keep({})
        thumbnails.keep_results({})
        self.life.close()
        self.desk.installation.end_now()
        self.desk.server.end_now()
        shutil.rmtree(folders.temporary(), ignore_errors=True)


def _place(record: JobRecord) -> None:
    raise NotImplementedError("nothing that places props was handed in")


place: Callable[[JobRecord], None] = _place
"""What a new session imports jobs with; set by whoever has the operator for that, before `register`."""

current = Session(state.current, _place)


def pump(budget: float = BUDGET) -> float:
    """`current.pump`: see there."""
    return current.pump(budget)


def register_parameters(desk: Desk) -> None:
    """Have property groups for the pipelines and preparations that are known."""
    parameters.pipelines.register(_schemas(desk.pipelines))
    parameters.preparations.register(_schemas(desk.preparations))


def _schemas(descriptions: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(each["id"], each["parameters"]) for each in descriptions]


def _tick() -> float | None:
    """One turn of the timer; None when it is not needed any more."""
    try:
        delay = current.pump()
    except Exception as error:  # noqa: BLE001 - a timer that raises is dropped, and everything would stand still
        current.desk.report(error)
        delay = WATCHING
    return delay if current.busy() else None


@persistent
def _file_leaves(*_: object) -> None:
    current.former_file = references.this_file() or bpy.data.filepath


@persistent
def _file_loaded(*_: object) -> None:
    current.file_loaded()


def register() -> None:
    """Begin: an empty session, and what it needs to hear of."""
    global current
    preferences.forget()
    state.current = desk = Desk()
    current = Session(desk, place)
    tick.drive(_tick)
    bpy.app.handlers.load_pre.append(_file_leaves)
    bpy.app.handlers.load_post.append(_file_loaded)
    leftovers.sweep(folders.place())
    current.line.check_set_up()
    if tick.timers_fire() and (desk.studio or not setting_up.uses_another_python()):
        if not desk.studio:
            setting_up.begin(desk.installation)
        tick.wake()
    desk.pipelines, desk.preparations = (
        folders.read_descriptions("pipelines"),
        folders.read_descriptions("preparations"),
    )
    register_parameters(desk)
    batch_files.read_all(desk)
    if desk.batches:
        tick.wake()


def unregister() -> None:
    """End everything that `register` and the work since have begun."""
    tick.stop()
    bpy.app.handlers.load_post.remove(_file_loaded)
    bpy.app.handlers.load_pre.remove(_file_leaves)
    current.close()
    parameters.pipelines.unregister()
    parameters.preparations.unregister()
