"""The add-on at work: one server, the jobs, and the one tick that moves everything on.

`pump()` does a slice of whatever is to be done and says when it wants to be called again. With a window a persistent
timer calls it; in background mode, where timers never fire, whoever waits does.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .answers import asking, thumbnails
from .answers.questions import Question
from .backend_process import environment, leftovers, setting_up
from .backend_process.installation import Installation
from .backend_process.server_process import ServerProcess, ServerState
from .ground import folders, moments, redrawing
from .ground.messages import SetDresserError, as_error
from .ground.privacy import private_folder
from .ground.references import Place
from .ground.slices import Slices
from .settings import parameters
from .state.telling import SERVER, Telling
from .wire.client import Client
from .wire.tasks import Steps, Tasks
from .work import going_on, job_list, jobs, results, sending
from .work.jobs import JobRecord
from .work.keeping import Keeping
from .work.lists import Lists
from .work.models import Models
from .work.preview_fetching import PreviewFetching
from .work.server_life import ServerLife

BUDGET = 0.004
MOVING, FOLLOWING, INSTALLING, WATCHING = 0.01, 0.05, 0.1, 1.0
"""Seconds until the next slice: while bytes move, while a job runs, while the backend is being installed, while the
server merely lives."""


class Session(Telling):
    """Everything that is true only while this Blender runs. Nothing of it is saved in a file."""

    def __init__(self) -> None:
        super().__init__()
        self.server = ServerProcess()
        self.life = ServerLife()
        self.models = Models()
        self.installation = Installation(folders.temporary)
        self.tasks = Tasks()
        self.jobs: dict[str, JobRecord] = {}
        self.pressed: JobRecord | None = None  # see `results.of_the_last_press`
        self.pipelines: list[dict[str, Any]] = []
        self.preparations: list[dict[str, Any]] = []
        self.storage: dict[str, Any] = {}
        self.lists, self.keeping, self.previews = Lists(), Keeping(), PreviewFetching()
        self.set_up_problem: SetDresserError | None = None
        self.slices, self.imports, self.captures = Slices(), Slices(), Slices()
        self._seen = self.server.state
        self._changed = False
        self._held = 0.0
        self._made = 0
        self.former_file = ""

    # the tick

    def pump(self, budget: float = BUDGET) -> float:
        """Do what can be done now, for about `budget` seconds; returns the seconds until it should be done again.

        Taking a photo and importing a finished job are done here too; they take as long as they take and are counted in
        `captures` and `imports`.
        """
        began, self._held = time.perf_counter(), 0.0
        asking.save(self.report)
        state = self.server.poll()
        if state is not self._seen:
            self._seen = state
            self.changed()
            if state is ServerState.READY:
                self.settle(SERVER)
                self.refresh()
                self.keeping.wished()
            elif state in (ServerState.CRASHED, ServerState.INCOMPATIBLE) and self.server.problem is not None:
                self.report(self.server.problem, SERVER)
        self.life.poll(self)
        if self.installation.poll(self.server.running):
            self.changed() if self.installation.busy else self.check_set_up()
        self.keeping.poll(self)
        self.tasks.advance(budget)
        if self._changed:
            self._changed = False
            jobs.show_questions(self)
            results.show_thumbnails(self)
            self.previews.show(self)
            job_list.sync(self)
            redrawing.redraw()
        self.slices.seconds.append(time.perf_counter() - began - self._held)
        return self._delay()

    def busy(self) -> bool:
        """Whether the tick is needed."""
        return bool(self.tasks) or self.server.running or self.installation.busy

    def _delay(self) -> float:
        if not self.tasks:
            if self.installation.busy:
                return INSTALLING
            return MOVING if self.server.state is ServerState.STOPPING else WATCHING
        followed = [job for job in self.jobs.values() if job.busy and job.state in ("queued", "running", "needs_input")]
        idle = len(followed) + self.models.pausing + self.previews.pausing
        return FOLLOWING if idle == len(self.tasks) and self.server.state is ServerState.READY else MOVING

    def changed(self) -> None:
        """Something that the panel shows is different now."""
        self._changed = True

    @contextmanager
    def holding(self, counted: Slices) -> Iterator[None]:
        """What is done in here takes as long as it takes, and is counted by itself."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            self._held += seconds
            counted.seconds.append(seconds)

    # the server

    def environment(self) -> environment.Environment:
        """What the server is started with. Raises NotSetUp."""
        return setting_up.server_environment(self.installation)

    def check_set_up(self) -> None:
        """Look whether the server could be started, for the panel, which must not touch the disk."""
        setting_up.look(self.installation)
        try:
            self.life.wanted = self.environment()
            self.set_up_problem = None
        except SetDresserError as error:
            self.set_up_problem, self.life.wanted = error, None
        self.changed()

    def begin_set_up(self) -> None:
        """In a window: find out what the panel will offer, or remove what an earlier installation has left."""
        if not setting_up.uses_another_python():
            setting_up.begin(self.installation)
            wake()

    def start_server(self) -> None:
        """Start the server if it does not run. Raises SetDresserError."""
        self.check_set_up()
        self.server.start(self.environment())
        self.installation.hold()
        self._seen = self.server.state
        self.changed()
        wake()

    def stop_server(self) -> None:
        """End the server. What was not sent fails; what the server has goes on when it starts again."""
        self.tasks.stop_all()
        for record in self.jobs.values():
            record.task, record.arrival = None, "imported" if record.imported else ""
            if record.state in jobs.UNSENT:
                hint = "Generate it again."
                record.fail(SetDresserError("The backend was stopped before it had the job.", hint, "stopped"))
            elif not record.ended:
                record.put_back()
        self.server.stop()
        self.changed()
        wake()

    def ready_client(self) -> Steps:
        """Wait until the server answers, starting it first if need be; returns the client.

        Raises SetDresserError if it does not start. A server that has crashed is started anew for whoever asks
        next, but not more than three times a minute.
        """
        if self.server.state is ServerState.INCOMPATIBLE and self.server.problem is not None:
            raise self.server.problem
        while self.server.state is ServerState.STOPPING:
            yield
        if not self.server.running:
            self.start_server()
        while (client := self._client()) is None:
            yield
        return client

    def _client(self) -> Client | None:
        if self.server.state in (ServerState.READY, ServerState.STARTING, ServerState.UNREACHABLE):
            return self.server.client
        if self.server.problem is not None:
            raise self.server.problem
        raise SetDresserError("The backend was stopped.", "Start it again.", "stopped")

    # what the server tells

    def take_pipelines(self, views: list[dict[str, Any]]) -> None:
        """The list of GET /pipelines."""
        if views != self.pipelines:
            parameters.pipelines.register(_schemas(views))
            self.pipelines = views
            folders.keep_views("pipelines", views)

    def take_preparations(self, views: list[dict[str, Any]]) -> None:
        """The list of GET /preparations."""
        if views != self.preparations:
            parameters.preparations.register(_schemas(views))
            self.preparations = views
            folders.keep_views("preparations", views)

    def take_storage(self, view: dict[str, Any]) -> None:
        """What GET /storage tells: how many jobs there are, and how many bytes they hold."""
        self.storage = {"jobs": int(view["jobs"]), "bytes": int(view["bytes"]), "keep_bytes": view.get("keep_bytes")}

    def take_jobs(self, views: list[dict[str, Any]]) -> None:
        """The list of GET /jobs, newest first. Jobs that have not ended are followed."""
        listed: dict[str, JobRecord] = {}
        for view in views:
            record = self.jobs.get(str(view["id"])) or JobRecord(id=str(view["id"]))
            if record.last_event and record.busy:  # its events tell more, and sooner
                record.position = view.get("position")
            else:
                record.take_view(view)
            listed[record.id] = record
        # What was sent while the list was on its way is not on it.
        newer = {key: record for key, record in self.jobs.items() if not record.sent or record.busy}
        self.jobs = {**{key: record for key, record in newer.items() if key not in listed}, **listed}
        for record in listed.values():
            if record.task is None and (not record.ended or record.awaited):
                self.attend(record)

    # jobs

    def new_job(self, **values: Any) -> JobRecord:
        """A job that the server does not have yet."""
        self._made += 1
        self.settle()
        record = JobRecord(id=f"{jobs.PROVISIONAL}{self._made}", **values)
        self.jobs, self.pressed = {record.id: record, **self.jobs}, record
        self.changed()
        return record

    def older_unsent(self, record: JobRecord) -> bool:
        """Whether a job that was made before this one still has to be sent."""
        older = itertools.takewhile(lambda job: job is not record, reversed(self.jobs.values()))
        return any(not job.sent and not job.ended for job in older)

    def submit(self, record: JobRecord, request: dict[str, Any], taking: Steps, folder: Path) -> None:
        """Take a new job's pictures, send it as soon as the server is ready, and see it through; see `sending.run`."""
        record.request = request
        self._run(record, sending.run(self, record, request, taking, folder))

    def again(self, record: JobRecord, former: str, changes: dict[str, Any]) -> None:
        """As `submit`, with the inputs of a former job."""
        self._run(record, sending.run_again(self, record, former, changes))

    def attend(self, record: JobRecord) -> None:
        """See a job through that the server has."""
        if not record.ended:
            going_on.begin_again(self, record)
        self._run(record, jobs.attend(self, record))

    def adopt(self, record: JobRecord, view: dict[str, Any]) -> None:
        """The server has the job now, and has given it an id."""
        twin = self.jobs.pop(str(view["id"]), None)
        if twin is not None:  # the list came in between
            self._stop(twin)
        record.take_view(view)
        self.jobs = {job.id: job for job in self.jobs.values()}
        self.changed()

    def cancel(self, record: JobRecord) -> None:
        """Cancel a job wherever it is."""
        if record.state == "sending" or record.continuing:  # the server may have it: it is told once it has answered
            record.cancelling = True
        elif record.state in jobs.UNSENT:
            self._stop(record)
            record.state = "cancelled"
        elif not record.ended:
            record.cancelling = True
            self.tasks.start(jobs.cancel(self, record), self.report)
        elif record.arrival in ("fetching", "waiting"):
            self._stop(record)
            record.arrival = "imported" if record.imported else ""
        self.changed()
        wake()

    def forget(self, record: JobRecord) -> None:
        """Remove an ended job from the list and from the disk; the objects in the scene stay."""
        if not record.sent:
            self.drop(record)
        else:
            self._stop(record)
            self.tasks.start(jobs.forget(self, record), self.report)
            wake()

    def drop(self, record: JobRecord) -> None:
        """Take a job off the list here."""
        self.jobs.pop(record.id, None)
        shutil.rmtree(self.result_folder(record.id, create=False), ignore_errors=True)
        self.changed()

    def bring_in(self, record: JobRecord) -> None:
        """Import a finished job, again if need be."""
        if record.task is None:
            record.problem, self.pressed = None, record
            record.place = Place.of(bpy.context.scene, bpy.context.view_layer)
            self._run(record, jobs.bring_in(self, record))

    def answer(self, record: JobRecord, given: dict[str, Any]) -> None:
        """Answer what a job asks."""
        question = record.question
        if question is not None and not question.sending:
            self.tasks.start(jobs.send_answer(self, record, question, given), question.fail)
            self.changed()
            wake()

    def refresh(self) -> None:
        self.lists.refresh(self)

    def begin(self, steps: Steps, failed: Callable[[Exception], None]) -> Steps:
        """Start a task, and have the tick called; `failed` gets the exception that ends it, if one does."""
        self.tasks.start(steps, failed)
        self.changed()
        wake()
        return steps

    def _run(self, record: JobRecord, steps: Steps) -> None:
        def whole() -> Steps:
            try:
                yield from steps
            finally:
                record.task = None
                self.changed()

        def failed(error: Exception) -> None:
            if record.has_result:
                record.problem, record.arrival = as_error(error), ""
            else:
                record.fail(error)
            self.report(record.problem, record.id)

        record.task = whole()
        self.tasks.start(record.task, failed)
        self.changed()
        wake()

    def _stop(self, record: JobRecord) -> None:
        if record.task is not None:
            self.tasks.stop(record.task)
            record.task = None

    # importing

    def result_folder(self, identifier: str, create: bool = True) -> Path:
        """Where a job's fetched result lies, for as long as this Blender runs."""
        folder = folders.temporary() / "results" / identifier
        if create:
            private_folder(folders.temporary())
            private_folder(folder)
        return folder

    def picture_path(self, question: Question, name: str) -> Path:
        """Where a picture of a question lies, once it has been fetched."""
        return self.result_folder(question.job, create=False) / question.digest / name

    def import_hindrance(self) -> str:
        """Why an import must wait; "" if it need not."""
        return moments.import_hindrance()

    def place(self, record: JobRecord) -> None:
        """Import a fetched job as one undo step. Raises SetDresserError."""
        record.arrival, record.problem = "waiting", None
        with self.holding(self.imports):
            bpy.ops.set_dresser.place_result("EXEC_DEFAULT", True, job=record.id)
        if record.problem is not None:
            raise record.problem
        self.settle(record.id)
        if record.arrival != "imported":  # only if the operator's poll or the list stood in the way
            raise SetDresserError("The props could not be imported.", "Press Import in the list of jobs.", "import")

    def file_loaded(self) -> None:
        """Another file is open, or the same one again."""
        same = bpy.data.filepath != "" and bpy.data.filepath == self.former_file
        for record in self.jobs.values():
            if record.arrival in ("fetching", "waiting"):
                self._stop(record)
            record.file_opened(same)
        parameters.carry_over()
        jobs.show_questions(self)  # what was set so far went with the former file
        self.changed()

    def close(self) -> None:
        """End everything. Waits two seconds at most, for the server to leave."""
        self.tasks.stop_all()
        asking.keep({})
        thumbnails.keep({})
        thumbnails.keep_results({})
        self.life.close()
        self.installation.end_now()
        self.server.end_now()
        shutil.rmtree(folders.temporary(), ignore_errors=True)


current = Session()


def pump(budget: float = BUDGET) -> float:
    """`current.pump`: see there."""
    return current.pump(budget)


def wake() -> None:
    """Have the tick called soon. In background mode timers never fire, and one that is left at the end of the process
    crashes some versions: there, whoever waits pumps."""
    if not _timers_fire():
        return
    timers = bpy.app.timers
    if timers.is_registered(_tick):
        timers.unregister(_tick)
    timers.register(_tick, first_interval=0.0, persistent=True)


def _timers_fire() -> bool:
    return not bpy.app.background


def _tick() -> float | None:
    """The timer's function; a module's function, because timers are told apart by their function object."""
    try:
        delay = current.pump()
    except Exception as error:  # noqa: BLE001 - a timer that raises is dropped, and everything would stand still
        current.report(error)
        delay = WATCHING
    return delay if current.busy() else None


@persistent
def _file_leaves(*_: object) -> None:
    current.former_file = bpy.data.filepath


@persistent
def _file_loaded(*_: object) -> None:
    current.file_loaded()


def register() -> None:
    """Begin: an empty session, and what it needs to hear of."""
    global current
    current = Session()
    bpy.app.handlers.load_pre.append(_file_leaves)
    bpy.app.handlers.load_post.append(_file_loaded)
    leftovers.sweep(folders.place())
    current.check_set_up()
    if _timers_fire():
        current.begin_set_up()
    current.pipelines, current.preparations = folders.read_views("pipelines"), folders.read_views("preparations")
    parameters.pipelines.register(_schemas(current.pipelines))
    parameters.preparations.register(_schemas(current.preparations))


def unregister() -> None:
    """End everything that `register` and the work since have begun."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.handlers.load_post.remove(_file_loaded)
    bpy.app.handlers.load_pre.remove(_file_leaves)
    current.close()
    parameters.pipelines.unregister()
    parameters.preparations.unregister()


def _schemas(views: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(view["id"], view["parameters"]) for view in views]
