"""All that the buttons do, as Python calls; the same in a window, in `blender -b` and with bpy as a module.

    from bl_ext.user_default import set_dresser

    job = set_dresser.generate(objects=[box, cylinder], pipeline="inflate", wait=True)
    print(job.objects)

In a window, leave `wait` off: the job goes on while Blender is used, and its props come in when they are done. In
background mode nothing calls the add-on by itself, so a job only goes on while something waits for it: `wait=True`
(the default there) or `job.wait()`.

A job may ask something on its way. Waiting ends then as well, and `job.question` is no longer None:

    job = set_dresser.generate(prepare={"imagine": {"prompt": "a workshop"}}, wait=True)
    while job.question:
        job.answer({"chosen": [2]})
        job.wait()
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from .. import session
from ..backend_process import setting_up
from ..capture import photos as photo_steps
from ..capture import rendering, sentences, sources
from ..capture.capture import printable
from ..capture.intrinsics import CaptureError
from ..capture.photos import Source as Photo
from ..ground import folders, moments
from ..ground.messages import SetDresserError
from ..ground.privacy import private_folder
from ..ground.references import Place
from ..props import photo_places
from ..settings.properties import view_of
from ..work import going_on, sending
from ..work import jobs as job_steps
from ..work.jobs import JobRecord
from .waiting import SHORT_TIMEOUT, wait_until
from .waiting import refresh_lists as _refresh

__all__ = [
    "Job",
    "SetDresserError",
    "answer",
    "cancel",
    "continue_job",
    "delete_job",
    "finish_job",
    "generate",
    "import_job",
    "install",
    "installation",
    "jobs",
    "pipelines",
    "preparations",
    "question",
]


class Job:
    """A job: what is known of it, and what can be done with it."""

    def __init__(self, record: JobRecord) -> None:
        self._record = record

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """The server's id; a provisional one until the job has been sent."""
        return self._record.id

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def pipeline(self) -> str:
        return self._record.pipeline

    @property
    def state(self) -> str:
        """preparing, capturing, sending, queued, running, needs_input, done, failed or cancelled."""
        return self._record.state

    @property
    def stage(self) -> str:
        return self._record.stage

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1."""
        return self._record.fraction

    @property
    def eta(self) -> float | None:
        """Seconds left; None while unknown."""
        return self._record.eta

    @property
    def problem(self) -> SetDresserError | None:
        """Why it failed, or why its result could not be imported."""
        return self._record.problem

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What should be known although it went on: {"code", "message", "hint", "instance"}."""
        return list(self._record.warnings)

    @property
    def question(self) -> dict[str, Any] | None:
        """What it asks, as in docs/api.md; None if it asks nothing, or an answer is on its way."""
        return dict(self._record.question.document) if self._record.question and self._record.asks else None

    @property
    def objects(self) -> list[bpy.types.Object]:
        """The props of the last import that are still in the file."""
        found = (prop.find(bpy.data.objects) for prop in self._record.props)
        return [prop for prop in found if prop is not None]

    @property
    def result(self) -> dict[str, Any]:
        """result.json. Raises SetDresserError if it has not been fetched yet."""
        return job_steps.read_result(self._record)

    @property
    def glb(self) -> Path | None:
        """The fetched scene.glb, which stays until Blender ends; None before."""
        return self._record.folder / "scene.glb" if self._record.folder else None

    def wait(self, timeout: float = 600.0) -> Job:
        """Wait until the job has ended and its props are in the scene, or until it asks something: `question` is not
        None then. Blocks: for scripts, not for a window.

        Raises SetDresserError: if it fails, is cancelled, or takes longer than `timeout` seconds (it goes on then).
        """
        record = self._record
        wait_until(lambda: not record.busy or record.asks, timeout, f"The job is still {self.state}")
        if record.asks:
            return self
        if self._record.problem is not None:
            raise self._record.problem
        if self.state == "cancelled":
            raise SetDresserError("The job was cancelled.", "Start it again when you want it.", "cancelled")
        if self.state != "done":
            raise SetDresserError("The backend was stopped.", "Start it; the job goes on then.", "stopped")
        return self

    def answer(self, given: dict[str, Any] | None = None, *, wait: bool | None = None) -> None:
        """Answer its question; see `answer`."""
        answer(self, given, wait=wait)

    @property
    def can_finish(self) -> bool:
        """Whether it can end early with what it has: it runs, and its pipeline is one that can."""
        return self._record.can_finish

    @property
    def can_continue(self) -> bool:
        """Whether it can go on although it has ended: it failed, was cancelled or finished early, and has kept where
        it was."""
        return self._record.can_continue

    @property
    def finished_early(self) -> bool:
        return self._record.finished_early

    def cancel(self) -> None:
        session.current.cancel(self._record)

    def finish(self) -> None:
        """Have it end early with the best it has; see `finish_job`."""
        finish_job(self)

    def go_on(self, *, wait: bool | None = None) -> Job:
        """Have it go on from where it was; see `continue_job`."""
        return continue_job(self, wait=wait)


def generate(
    *,
    source: str | os.PathLike[str] | bpy.types.Image = "camera",
    objects: Iterable[bpy.types.Object] | bpy.types.Collection | None = None,
    labels: str | os.PathLike[str] | bpy.types.Image | None = None,
    text: str | None = None,
    photos: Iterable[Photo | tuple[Photo, float | None]] | None = None,
    match_camera: bool = False,
    pipeline: str = "inflate",
    parameters: dict[str, Any] | None = None,
    prepare: dict[str, dict[str, Any]] | None = None,
    seed: int = 0,
    name: str = "",
    import_result: bool = True,
    hide_block_outs: bool = True,
    picture_quality: str = "FAST",
    keep_moves: bool = True,
    height: float | None = None,
    place_at: str | None = None,
    wait: bool | None = None,
    timeout: float = 600.0,
) -> Job:
    """Make props: capture, start the server if need be, send, and import when done.

    Args:
        source: "camera" renders the active camera; else a picture file or an image of the blend file. "text" may stand
            beside `text`.
        objects: the block-out, if the source is the camera: objects or a collection; the selected ones if left out.
        labels: label image of a picture, of the same kind as the picture; without one it shows one object.
        text: instead of a source, a sentence: a picture is painted of it, and the prop is made of that. How it is
            painted stands in `prepare["text"]`. It comes without objects, labels, photos and match_camera.
        photos: instead of a source, several pictures of one object, for a pipeline that takes several: picture files,
            images, and cameras of the scene, which see the block-out alone, all of it as one object. Each may come
            with its azimuth, `(photo, degrees)`: from which side it was taken, counter-clockwise seen from above;
            only differences count, None is not known. Cameras know theirs: it is 0 for the first one. If a camera
            comes first, the prop takes the block-out's place. One picture is taken per turn: leave block-out and
            cameras where they are while the job's state is "capturing".
        match_camera: the picture, or the first photo, was taken with the scene's active camera.
        pipeline: identifier, one of `pipelines()`.
        parameters: the pipeline's own; its defaults count for those left out.
        prepare: what is done to the shot first: identifier, one of `preparations()`, and its parameters.
        seed: where chance starts from.
        name: what to call the job; after its source if left out.
        import_result: whether to import when it is done.
        hide_block_outs: whether each block-out is hidden when its prop has come.
        picture_quality: of what cameras see: "FAST", at most 1024 pixels long and in few samples, or "SCENE", as the
            scene renders.
        keep_moves: whether a prop takes the place to which you have moved the one made of the block-out before.
        height: of a picture without a camera: metres from the ground to the top of the tallest object; 0 as guessed.
        place_at: of a picture without a camera: "floor" before the active camera, 3D "cursor", or where the "picture"
            says. Height and place are the panel's if left out.
        wait: whether to return only when the props are there, or the job asks something (`job.question`); by default
            in background mode only.
        timeout: longest wait in seconds.

    Raises SetDresserError, with a sentence, a hint and a code.
    """
    if reason := moments.misplaced():
        raise CaptureError(reason, "Ask for it when that is over, for example in a timer.")
    session.current.pressed = None  # of a press that is refused nothing comes
    context = bpy.context
    if (sentence := sentences.asked(source, text, prepare or {})) is not None:
        if not (objects is None and labels is None and photos is None and not match_camera):
            message = "A text stands for itself: it comes without objects, labels, photos and a camera."
            raise SetDresserError(message, "Leave them out, or the text.", "request-invalid")
        photo_steps.check_number(view_of(session.current.pipelines, pipeline), 1)
        source, prepare = sentences.TEXT, sentences.prepared(sentence, prepare or {})
        name = name or sentences.name(sentence)
    request = {
        "pipeline": pipeline,
        "parameters": parameters or {},
        "prepare": prepare or {},
        "seed": seed,
    }
    check_can_be_sent(request)
    folder = private_folder(folders.temporary()) / "shots" / uuid.uuid4().hex
    values = {"pipeline": pipeline, "import_when_done": import_result, "hide_block_outs": hide_block_outs}
    values |= {"keep_moves": keep_moves, "height": height, "place_at": _checked_place(height, place_at)}
    values["place"] = Place.of(context.scene, context.view_layer)
    if photos is None:
        taken = sources.ask(context, folder, source, objects, labels, match_camera, picture_quality)
        if bpy.app.background:  # where what goes wrong is told to whoever called
            shot = rendering.finished(taken(rendering.untold))
            taken = lambda _: sources.taken(shot)  # noqa: E731
        record = session.current.new_job(name=printable(name or sources.name(context, source)), **values)
        taking = sending.take(session.current, record, taken)
    else:
        if source != "camera" or labels is not None:
            message = "Photos stand for themselves: they come without a source and a label image."
            raise CaptureError(message, "Leave source and labels out.")
        sitting = photo_steps.ask(context, photos, objects, match_camera, picture_quality)
        photo_steps.check_number(view_of(session.current.pipelines, pipeline), len(sitting.photos))
        record = session.current.new_job(name=printable(name or sitting.name), **values)
        taking = sending.take_photos(session.current, record, sitting, folder)
    session.current.submit(record, {**request, "name": record.name}, taking, folder)
    job = Job(record)
    if bpy.app.background if wait is None else wait:
        job.wait(timeout)
    return job


def _checked_place(height: float | None, place_at: str | None) -> str | None:
    if height is not None and not (isinstance(height, (int, float)) and 0 <= height <= photo_places.TALLEST):
        message = f"The height must be a number of metres from 0 to {photo_places.TALLEST:g}."
        raise SetDresserError(message, "Leave it out for a guess.", "parameters-invalid")
    known = [place[0].lower() for place in photo_places.PLACES]
    if place_at is not None and place_at not in known:
        message = f"There is no place '{str(place_at)[:40]}' for a set."
        raise SetDresserError(message, f"Choose one of: {', '.join(known)}.", "parameters-invalid")
    return place_at


def question(job: Job | str) -> dict[str, Any] | None:
    """What a job asks, as in docs/api.md; None if it asks nothing, or an answer is on its way."""
    return Job(find_record(job)).question


def answer(
    job: Job | str,
    given: dict[str, Any] | None = None,
    *,
    wait: bool | None = None,
    timeout: float = SHORT_TIMEOUT,
) -> None:
    """Answer what a job asks.

    Args:
        given: {"chosen": [indices]}, {"instances": [{"ids": [ids], "name": name}]}, or what a plug-in's own question
            wants; what the question itself proposes if left out.
        wait: whether to return only when the server has taken the answer; by default in background mode only.
        timeout: longest wait in seconds.

    Raises SetDresserError: if the job asks nothing; and, if it waits, what the server has against the answer. The
    question stands then.
    """
    record = find_record(job)
    asked = record.question
    if asked is None or asked.sending:
        raise SetDresserError("The job asks nothing.", "It may have gone on or ended.", "input-not-expected")
    given = asked.default_answer() if given is None else given
    check_can_be_sent(given)
    session.current.answer(record, given)
    if bpy.app.background if wait is None else wait:
        wait_until(lambda: not asked.sending, timeout, "The answer has not been taken")
        if asked.problem is not None:
            raise asked.problem


def cancel(job: Job | str) -> None:
    """Cancel a job, given as such or by id."""
    session.current.cancel(find_record(job))


def finish_job(job: Job | str, *, import_result: bool | None = None) -> None:
    """Have a running job end early with the best it has; its props come in as if it were done.

    import_result: whether they come in, also into another file than the job was made in; by default as was said when it
        was made.

    Raises SetDresserError: if it cannot, see `Job.can_finish`.
    """
    going_on.finish(session.current, find_record(job), import_result)


def continue_job(
    job: Job | str, *, import_result: bool = True, wait: bool | None = None, timeout: float = 600.0
) -> Job:
    """Have a job that failed, was cancelled or finished early go on from where it was. Its props replace those that it
    has brought before, which stay as hidden variants. `import_result`, `wait` and `timeout` as in `generate`.

    Raises SetDresserError: if it cannot, see `Job.can_continue`; and, if it waits, what the server has against it.
    """
    record = find_record(job)
    going_on.go_on(session.current, record, import_result)
    found = Job(record)
    return found.wait(timeout) if (bpy.app.background if wait is None else wait) else found


def import_job(
    job: Job | str, *, keep_moves: bool = True, wait: bool | None = None, timeout: float = SHORT_TIMEOUT
) -> Job:
    """Import a finished job, again if need be: its props replace those of the former import, which stay as hidden
    variants. `keep_moves` and `wait` as in `generate`."""
    record = find_record(job)
    if not record.has_result:
        raise SetDresserError(
            f"The job is {record.state}; there is nothing to import.", "Wait until it is done.", "job-not-finished"
        )
    record.keep_moves = keep_moves
    session.current.bring_in(record)
    found = Job(record)
    return found.wait(timeout) if (bpy.app.background if wait is None else wait) else found


def delete_job(job: Job | str) -> None:
    """Remove an ended job with its files. The objects in the scene stay."""
    record = find_record(job)
    if not record.ended:
        raise SetDresserError("The job has not ended yet.", "Cancel it first.", "job-not-finished")
    session.current.forget(record)


def jobs(*, refresh: bool = True, timeout: float = SHORT_TIMEOUT) -> list[Job]:
    """The jobs, newest first. With `refresh` the server is asked, and waited for."""
    if refresh:
        _refresh(timeout)
    return [Job(record) for record in session.current.jobs.values()]


def pipelines(*, timeout: float = SHORT_TIMEOUT) -> list[dict[str, Any]]:
    """The pipelines that the server has, with their parameters' schemas; starts it, and waits for it, if need be."""
    _refresh(timeout)
    return list(session.current.pipelines)


def preparations(*, timeout: float = SHORT_TIMEOUT) -> list[dict[str, Any]]:
    """What the server can do to a shot before a pipeline gets it; as `pipelines`."""
    _refresh(timeout)
    return list(session.current.preparations)


def install(
    build: str = "",
    *,
    repair: bool = False,
    offline_folder: str | os.PathLike[str] | None = None,
    wait: bool | None = None,
    timeout: float = 3600.0,
) -> dict[str, Any]:
    """Install the backend's own Python environment, or finish, update or extend it; Blender's Python is not changed.

    Args:
        build: the build of PyTorch: "auto" for what suits the machine, "none" for no learned pipelines, or "cpu",
            "cu126", "cu130", "rocm7.2", "mps"; the preferences' choice if left out.
        repair: make it anew, from new downloads.
        offline_folder: install from this folder, made by `build_addon.py --offline`; the preferences' if left out.
        wait: whether to return only when it is done; by default in background mode only.
        timeout: longest wait in seconds; it goes on then.

    Returns `installation()`. Raises SetDresserError: if it must not go online, or, if it waits, if it fails.
    """
    current = session.current
    setting_up.install(current, build, offline_folder, repair)
    session.wake()
    if bpy.app.background if wait is None else wait:
        wait_until(lambda: not current.installation.installing, timeout, "The installation has not ended")
        if current.installation.problem is not None:
            raise current.installation.problem
    return installation()


def installation() -> dict[str, Any]:
    """What is known of the backend's environment; asks nobody.

    state: not_installed, interrupted, installing, complete, outdated or broken; message, hint: in sentences; python:
    of the environment that may be started, "" if none may; build, folder, download, disk: what would be, or is being,
    installed, where, and bytes, about; step, written, rate: while it is installed; log: the installer's.
    """
    return setting_up.describe(session.current.installation)


def find_record(job: Job | str) -> JobRecord:
    """The job's record. Raises SetDresserError if the list does not have it."""
    if isinstance(job, Job):
        return job._record
    record = session.current.jobs.get(job)
    if record is None:
        raise SetDresserError(f"There is no job '{job[:40]}'.", "Refresh the list.", "job-not-found")
    return record


def check_can_be_sent(values: dict[str, Any]) -> None:
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        hint = "Use numbers, texts, truth values, and lists and dictionaries of them."
        raise SetDresserError(f"These values cannot be sent: {error}.", hint, "parameters-invalid") from error
