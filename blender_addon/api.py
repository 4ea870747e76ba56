"""All that the buttons do, as Python calls; the same in a window, in `blender -b` and with bpy as a module.

    from bl_ext.user_default import set_dresser

    job = set_dresser.generate(objects=[box, cylinder], pipeline="inflate", wait=True)
    print(job.objects)

In a window, leave `wait` off: the job goes on while Blender is used, and its props come in when they are done. In
background mode nothing calls the add-on by itself, so a job only goes on while something waits for it: `wait=True`
(the default there) or `job.wait()`.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bpy

from . import capture, folders, importer, intrinsics, session
from . import jobs as job_steps
from .jobs import JobRecord
from .messages import SetDresserError

__all__ = [
    "Job",
    "SetDresserError",
    "cancel",
    "delete_job",
    "generate",
    "import_job",
    "jobs",
    "pipelines",
    "server_status",
    "shutdown",
    "start_server",
]

SHORT_TIMEOUT = 60.0


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
        """preparing, sending, queued, running, needs_input, done, failed or cancelled."""
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
    def objects(self) -> list[bpy.types.Object]:
        """The props of the last import that are still in the file."""
        found = (bpy.data.objects.get(name) for name in self._record.imported)
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
        """Wait until the job has ended and its props are in the scene. Blocks: for scripts, not for a window.

        Raises SetDresserError: if it fails, is cancelled, or takes longer than `timeout` seconds (it goes on then).
        """
        _wait_until(lambda: self._record.task is None, timeout, f"The job is still {self.state}")
        if self._record.problem is not None:
            raise self._record.problem
        if self.state == "cancelled":
            raise SetDresserError("The job was cancelled.", "Start it again when you want it.", "cancelled")
        if self.state != "done":
            raise SetDresserError("The backend was stopped.", "Start it; the job goes on then.", "stopped")
        return self

    def cancel(self) -> None:
        session.current.cancel(self._record)


def generate(
    *,
    source: str | os.PathLike[str] | bpy.types.Image = "camera",
    objects: Iterable[bpy.types.Object] | bpy.types.Collection | None = None,
    labels: str | os.PathLike[str] | bpy.types.Image | None = None,
    match_camera: bool = False,
    pipeline: str = "inflate",
    parameters: dict[str, Any] | None = None,
    seed: int = 0,
    name: str = "",
    import_result: bool = True,
    hide_block_outs: bool = True,
    wait: bool | None = None,
    timeout: float = 600.0,
) -> Job:
    """Make props: capture, start the server if need be, send, and import when done.

    Args:
        source: "camera" renders the active camera; else a picture file or an image of the blend file.
        objects: the block-out, if the source is the camera: objects or a collection; the selected ones if left out.
        labels: label image of a picture, of the same kind as the picture; without one it shows one object.
        match_camera: the picture was taken with the scene's active camera.
        pipeline: identifier, one of `pipelines()`.
        parameters: the pipeline's own; its defaults count for those left out.
        seed: where chance starts from.
        name: what to call the job; after its source if left out.
        import_result: whether to import when it is done.
        hide_block_outs: whether each block-out is hidden when its prop has come.
        wait: whether to return only when the props are there; by default in background mode only.
        timeout: longest wait in seconds.

    Raises SetDresserError, with a sentence, a hint and a code.
    """
    context = bpy.context
    folder = folders.temporary() / "shots" / uuid.uuid4().hex
    shot = _capture(context, folder, source, objects, labels, match_camera)
    request = {
        "pipeline": pipeline,
        "parameters": parameters or {},
        "seed": seed,
        "camera": shot.camera,
        "instances": shot.labels,
        "name": (name or _name(context, source))[:200],
    }
    _check_can_be_sent(request)
    files = {"image": shot.image, "instances": shot.instances, "depth": shot.depth}
    record = session.current.new_job(
        name=request["name"],
        pipeline=pipeline,
        block_outs=shot.block_outs,
        import_when_done=import_result,
        hide_block_outs=hide_block_outs,
        scene=context.scene.name,
        warnings=[{"code": "capture", "message": text, "hint": ""} for text in shot.warnings],
    )
    present = {role: path for role, path in files.items() if path is not None}
    session.current.submit(record, request, present, folder)
    job = Job(record)
    if bpy.app.background if wait is None else wait:
        job.wait(timeout)
    return job


def cancel(job: Job | str) -> None:
    """Cancel a job, given as such or by id."""
    session.current.cancel(find_record(job))


def import_job(job: Job | str, *, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> Job:
    """Import a finished job, again if need be. `wait` as in `generate`."""
    record = find_record(job)
    if record.state != "done":
        raise SetDresserError(
            f"The job is {record.state}; there is nothing to import.", "Wait until it is done.", "job-not-finished"
        )
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


def start_server(*, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> dict[str, Any]:
    """Start the server, if it does not run; returns `server_status()`."""
    session.current.start_server()
    if bpy.app.background if wait is None else wait:
        _refresh(timeout)
    return server_status()


def server_status() -> dict[str, Any]:
    """{"state", "message", "hint", "version", "pid", "log"} of the server, as far as is known; asks nobody."""
    server = session.current.server
    state, problem = server.poll(), server.problem
    return {
        "state": state.name.lower(),
        "message": problem.message if problem else state.value,
        "hint": problem.hint if problem else "",
        "version": server.version,
        "pid": server.pid,
        "log": str(server.log) if server.log else "",
    }


def shutdown() -> None:
    """End the server, within two seconds. What it has not finished goes on when it is started again."""
    session.current.stop_server()
    session.current.server.end_now()


def find_record(job: Job | str) -> JobRecord:
    """The job's record. Raises SetDresserError if the list does not have it."""
    if isinstance(job, Job):
        return job._record
    record = session.current.jobs.get(job)
    if record is None:
        raise SetDresserError(f"There is no job '{job[:40]}'.", "Refresh the list.", "job-not-found")
    return record


def place_result(context: bpy.types.Context, record: JobRecord) -> list[str]:
    """Import a fetched result into the scene it was made for; returns the names of the new objects.

    One import is one undo step if an operator with undo calls this (`set_dresser.place_result`).
    """
    result = job_steps.read_result(record)
    assert record.folder is not None
    scene = bpy.data.scenes.get(record.scene, context.scene)
    override = {"scene": scene, "view_layer": scene.view_layers[0]} if scene != context.scene else {}
    with context.temp_override(**override):
        record.imported = importer.import_result(
            bpy.context,
            record.folder / "scene.glb",
            result,
            record.block_outs,
            hide_block_outs=record.hide_block_outs,
        )
    record.import_count += 1
    return record.imported


def _capture(
    context: bpy.types.Context,
    folder: Path,
    source: str | os.PathLike[str] | bpy.types.Image,
    objects: Iterable[bpy.types.Object] | bpy.types.Collection | None,
    labels: str | os.PathLike[str] | bpy.types.Image | None,
    match_camera: bool,
) -> capture.Capture:
    if source == "camera":
        chosen = context.selected_objects if objects is None else objects
        if isinstance(chosen, bpy.types.Collection):
            chosen = chosen.all_objects
        return capture.capture_camera(context, list(chosen), folder)
    if isinstance(source, bpy.types.Image):
        if labels is not None and not isinstance(labels, bpy.types.Image):
            raise SetDresserError("The label image must be an image like the picture.", "Open it in Blender.", "labels")
        camera = _active_camera(context, source) if match_camera else None
        return capture.capture_image(source, folder, labels, camera)
    path = _path(source)
    if isinstance(labels, bpy.types.Image):
        raise SetDresserError("The label image must be a file like the picture.", "Save it as PNG.", "labels")
    if not str(source):
        raise SetDresserError("No picture is chosen.", "Choose an image file.", "no-picture")
    camera = _camera_of_file(context, path) if match_camera else None
    return capture.capture_image_file(path, folder, _path(labels) if labels else None, camera)


def _path(text: str | os.PathLike[str]) -> Path:
    return Path(bpy.path.abspath(os.fspath(text)))


def _camera_of_file(context: bpy.types.Context, path: Path) -> dict[str, Any]:
    """The active camera for a picture file, whose size Blender itself reads, whatever its format."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise SetDresserError(
            f"The picture {path} cannot be read.", "Choose the file again.", "image-unreadable"
        ) from error
    try:
        return _active_camera(context, image)
    finally:
        bpy.data.images.remove(image)


def _active_camera(context: bpy.types.Context, image: bpy.types.Image) -> dict[str, Any]:
    camera = context.scene.camera
    if camera is None or camera.type != "CAMERA":
        raise SetDresserError("The scene has no active camera.", "Add one, or let a camera be assumed.", "no-camera")
    width, height = image.size
    if not (width and height):
        message = f"The size of {image.name} is not known."
        raise SetDresserError(message, "Check its file path, or let a camera be assumed.", "image-unreadable")
    evaluated = camera.evaluated_get(context.evaluated_depsgraph_get())
    return intrinsics.camera_json(context.scene, evaluated, width, height)


def _name(context: bpy.types.Context, source: str | os.PathLike[str] | bpy.types.Image) -> str:
    if source == "camera":
        return context.scene.camera.name
    return source.name if isinstance(source, bpy.types.Image) else _path(source).stem


def _check_can_be_sent(request: dict[str, Any]) -> None:
    try:
        json.dumps(request, allow_nan=False)
    except (TypeError, ValueError) as error:
        hint = "Use numbers, texts, truth values, and lists and dictionaries of them."
        raise SetDresserError(f"The parameters cannot be sent: {error}.", hint, "parameters-invalid") from error


def _refresh(timeout: float) -> None:
    """Fetch the lists of pipelines and jobs, waiting for them."""
    errors: list[Exception] = []
    task = session.current.tasks.start(job_steps.refresh(session.current), errors.append)
    try:
        _wait_until(lambda: not session.current.tasks.runs(task), timeout, "The backend has not answered")
    finally:
        session.current.tasks.stop(task)
    for error in errors:
        raise error


def _wait_until(done: Callable[[], bool], timeout: float, late: str) -> None:
    end = time.monotonic() + timeout
    while not done():
        delay = session.pump()
        if time.monotonic() > end:
            raise SetDresserError(f"{late} after {timeout:g} seconds.", "Wait longer, or look into the log.", "timeout")
        if not done():
            time.sleep(min(delay, session.MOVING))
