"""The pictures of a batch: one camera, or one frame, after the other, while Blender lives."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
from bpy.types import Object, Scene

from ..capture import azimuths, best_views, capture, kept_shots, photos
from ..capture import block_outs as relation
from ..capture.capture import Capture
from ..capture.intrinsics import CaptureError, camera_json
from ..capture.rendering import TAKING, Told
from ..ground.messages import SetDresserError
from ..ground.references import Place, Reference
from ..state import batch as state
from ..state import catalogue
from ..state.batch import Batch, Shot
from ..state.catalogue import description_of
from ..wire.tasks import Steps
from . import batch_files, sending
from .line import Line

NOBODY = "No camera sees any of the block-outs."
HINT = "Point the cameras at the block-outs; see that they and their collections are not hidden in renders."


def plan(
    scene: Scene,
    place: Place,
    chosen: list[Object],
    cameras: list[Object],
    frames: list[int],
    pipeline: dict[str, object] | None,
) -> list[Shot]:
    """The shots of block-outs by these cameras at these frames; frames: none for the scene as it stands.

    A pipeline that takes several pictures of one object gets one shot for each block-out, with all cameras that see it;
    any other one shot for each camera and frame, of all block-outs. Raises CaptureError.
    """
    if not chosen:
        message = "Nothing is chosen that could become a prop."
        raise CaptureError(message, "Select the objects that block out your props, or choose their collection.")
    if not cameras:
        message = "There is no camera that could take the pictures."
        raise CaptureError(message, "Add a perspective camera (Shift+A), and point it at the block-outs.")
    everything = list(range(len(chosen)))
    if catalogue.pictures(pipeline)[1] > 1 and not frames:
        return [
            Shot(capture.printable(root.name), _seeing(scene, place, cameras, root, pipeline), None, [number], True)
            for number, root in enumerate(chosen)
        ]
    return [
        Shot(_name(camera, frame, len(cameras)), [Reference.of(camera)], frame, everything)
        for camera in cameras
        for frame in (frames or (None,))
    ]


def _name(camera: Object, frame: int | None, cameras: int) -> str:
    if frame is None:
        return capture.printable(camera.name)
    return f"Frame {frame}" if cameras == 1 else f"{capture.printable(camera.name)}, frame {frame}"


def _seeing(
    scene: Scene, place: Place, cameras: list[Object], root: Object, pipeline: dict[str, object] | None
) -> list[Reference]:
    """Of these cameras those whose pictures of one block-out are of use, the best ones if that is too many."""
    least, most = catalogue.pictures(pipeline)
    metres = scene.unit_settings.scale_length
    corners = azimuths.corners(relation.together([root]))
    found = place.find()
    depsgraph = bpy.context.evaluated_depsgraph_get() if found is None else found[1].depsgraph
    views = []
    for camera in cameras:
        if len(corners) and not azimuths.misses(camera, scene, corners):
            pose = camera_json(scene, camera.evaluated_get(depsgraph))
            views.append(best_views.projected(corners * metres, pose))
        else:
            views.append(best_views.View(0.0))
    whole = [view if not view.cut else best_views.View(0.0) for view in views]
    used = whole if len(best_views.ranked(whole)) >= least else views
    return [Reference.of(cameras[index]) for index in best_views.several(used, most, catalogue.elevations(pipeline))]


def take_all(line: Line, batch: Batch) -> Steps[None]:
    """Take what is still to be taken, and decide what becomes of it. A shot that fails is left out."""
    for number, shot in enumerate(batch.shots):
        if shot.state != state.WAITING:
            continue
        batch.fraction = number / len(batch.shots)
        _tell(line, batch, f"{shot.name}: {TAKING[0].lower()}{TAKING[1:]}")
        yield  # the panel shows it before Blender is held
        try:
            taken = yield from _take(line, batch, number)
        except SetDresserError as error:
            shot.state, shot.problem = state.LEFT_OUT, error
            for entry in batch.entries:
                if entry.shot == number and entry.state == state.WAITING:
                    entry.state, entry.problem = state.LEFT_OUT, error
        else:
            shot.state, shot.problem = state.TAKEN, None
            shot.views = {shot.block_outs[each - 1]: view for each, view in taken.views.items()}
        batch_files.save(batch)
        line.desk.changed()
    _tell(line, batch, "")
    if batch.choosing:
        described = description_of(line.desk.pipelines, batch.request["pipeline"])
        state.choose(batch, catalogue.elevations(described), catalogue.most_objects(described))
        batch_files.remove_pictures(batch)
        batch_files.save(batch)
    if not batch.entries:
        raise next((shot.problem for shot in batch.shots if shot.problem is not None), CaptureError(NOBODY, HINT))


def _take(line: Line, batch: Batch, number: int) -> Steps[Capture]:
    shot, folder = batch.shots[number], batch.shot_folder(number)
    shutil.rmtree(folder, ignore_errors=True)
    if not shot.cameras and shot.planned is None:
        message = "Blender ended before the pictures were taken, and does not know any more which ones these were."
        raise CaptureError(message, "Begin the batch again.")

    def told(message: str, fraction: float) -> None:
        batch.fraction = (number + fraction) / len(batch.shots)
        _tell(line, batch, f"{shot.name}: {message[:1].lower()}{message[1:]}")

    taken = yield from _at_frame(batch, shot.frame, _steps(line, batch, shot, folder, told))
    kept_shots.keep(taken, folder)
    return taken


def _steps(line: Line, batch: Batch, shot: Shot, folder: Path, told: Told) -> Steps[Capture]:
    """Everything is asked for where the scene stands at the shot's frame: cameras move, and lenses change."""
    if shot.planned is not None:
        return (yield from sending.taken_photos(line, shot.planned, folder, told))
    stands = batch.place.find()
    if stands is None:
        raise capture.gone("The scene")
    scene, layer = stands
    cameras = [_object(reference) for reference in shot.cameras]
    chosen = [_object(batch.block_outs[number]) for number in shot.block_outs]
    with bpy.context.temp_override(scene=scene, view_layer=layer):
        if shot.alone:
            described = description_of(line.desk.pipelines, batch.request["pipeline"])
            _check_number(described, shot, cameras)
            several = photos.ask(bpy.context, cameras, chosen, False, batch.options["quality"])
        else:
            one = capture.ask_camera(bpy.context, chosen, batch.options["quality"], cameras[0])
    if shot.alone:
        return (yield from sending.taken_photos(line, several, folder, told))
    return (yield from sending.held(line, capture.take(one, folder, told)))


def _check_number(described: dict[str, object] | None, shot: Shot, cameras: list[Object]) -> None:
    """Raises CaptureError: if too few cameras see the block-out for the pipeline."""
    least = catalogue.pictures(described)[0]
    if len(cameras) < least or not cameras:
        count = {0: "No camera sees", 1: "Only one camera sees"}.get(len(cameras), f"Only {len(cameras)} cameras see")
        message = f"{count} {shot.name}, and at least {max(least, 1)} pictures of it are wanted."
        raise CaptureError(message, "Point more cameras at it, so that all of it is in their frames.")


def _object(reference: Reference) -> Object:
    found = relation.resolve(reference)
    if found is None:
        raise capture.gone(reference.name)
    return found


def _at_frame(batch: Batch, frame: int | None, steps: Steps[Capture]) -> Steps[Capture]:
    """The same steps, with the scene at a frame until they have ended; then it is where it was."""
    former: tuple[int, float] | None = None
    try:
        while True:
            scene = _scene(batch)
            if frame is not None and scene is not None and _elsewhere(scene, frame):
                former = former or (scene.frame_current, scene.frame_subframe)
                scene.frame_set(frame)
            next(steps)
            yield
    except StopIteration as end:
        taken: Capture = end.value
        return taken
    finally:
        steps.close()
        scene = _scene(batch)
        if former is not None and scene is not None and scene.frame_current == frame:
            scene.frame_set(former[0], subframe=former[1])


def _elsewhere(scene: Scene, frame: int) -> bool:
    """Whether the scene is to be moved to a frame; not while a render of it runs, which says by itself that it was
    disturbed."""
    there = scene.frame_current == frame and scene.frame_subframe == 0.0
    return not there and not bpy.app.is_job_running("RENDER")


def _scene(batch: Batch) -> Scene | None:
    stands = batch.place.find()
    return None if stands is None else stands[0]


def _tell(line: Line, batch: Batch, message: str) -> None:
    if batch.message != message:
        batch.message = message
        line.desk.changed()
