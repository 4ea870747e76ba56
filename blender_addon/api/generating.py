"""Generate as a Python call; see `api`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from typing import Any

import bpy

from .. import session
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
from ..state import catalogue, desk
from ..state.catalogue import description_of
from ..work import jobs, sending, server_life
from .jobs import Job, check_can_be_sent


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
    timeout: float | None = None,
) -> Job:
    """Make props: capture, start the server if need be, send, and import when done.

    Args:
        source: "camera" renders the active camera; else a picture file or an image of the blend file. "text" may stand
            beside `text`.
        objects: the block-out, if the source is the camera: objects or a collection; the selected ones if left out.
        labels: label image of a picture, of the same kind as the picture; without one it shows one object.
        text: instead of a source, a sentence: a picture is painted of it, and the prop is made of that. How it is
            painted stands in `prepare`, under the id of the preparation that makes the picture; the first of
            `preparations()` that `makes_picture` if it names none. It comes without objects, labels, photos and
            match_camera.
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
        timeout: longest wait in seconds; None to wait as long as the job takes.

    Raises SetDresserError, with a sentence, a hint and a code.
    """
    if reason := moments.misplaced():
        raise CaptureError(reason, "Ask for it when that is over, for example in a timer.")
    desk.current.pressed = None  # of a press that is refused nothing comes
    context = bpy.context
    known = desk.current.preparations
    named = catalogue.maker_of(known, prepare or {})
    if sentences.is_asked(source, text, named is not None):
        if not (objects is None and labels is None and photos is None and not match_camera):
            message = "A text stands for itself: it comes without objects, labels, photos and a camera."
            raise SetDresserError(message, "Leave them out, or the text.", "request-invalid")
        photo_steps.check_number(description_of(desk.current.pipelines, pipeline), 1)
        maker = named or next(iter(catalogue.makers(known)), None)
        if maker is None:
            message = "This backend cannot make a picture from a text."
            raise SetDresserError(message, "Choose a picture as the source.", "preparation-unknown")
        parameter = catalogue.marked(maker, catalogue.SENTENCE)
        source, (sentence, prepare) = sentences.SOURCE, sentences.prepared(text, prepare or {}, maker["id"], parameter)
        name = name or sentences.name(sentence) or catalogue.title_of(maker)
    request = {
        "pipeline": pipeline,
        "parameters": parameters or {},
        "prepare": prepare or {},
        "seed": seed,
    }
    check_can_be_sent(request)
    session.current.line.check_set_up()
    server_life.give_way(session.current.line)  # what was chosen since is what makes it
    folder = private_folder(folders.temporary()) / "shots" / uuid.uuid4().hex
    values = {"pipeline": pipeline, "import_when_done": import_result, "hide_block_outs": hide_block_outs}
    values |= {"keep_moves": keep_moves, "height": height, "place_at": _checked_place(height, place_at)}
    values["place"] = Place.of(context.scene, context.view_layer)
    if photos is None:
        taken = sources.ask(context, folder, source, objects, labels, match_camera, picture_quality)
        if bpy.app.background:  # where what goes wrong is told to whoever called
            shot = rendering.finished(taken(rendering.untold))
            taken = lambda _: sources.taken(shot)  # noqa: E731
        record = jobs.make(desk.current, name=printable(name or sources.name(context, source)), **values)
        taking = sending.take(session.current.line, record, taken)
    else:
        if source != "camera" or labels is not None:
            message = "Photos stand for themselves: they come without a source and a label image."
            raise CaptureError(message, "Leave source and labels out.")
        planned = photo_steps.ask(context, photos, objects, match_camera, picture_quality)
        photo_steps.check_number(description_of(desk.current.pipelines, pipeline), len(planned.photos))
        record = jobs.make(desk.current, name=printable(name or planned.name), **values)
        taking = sending.take_photos(session.current.line, record, planned, folder)
    sending.submit(session.current.line, record, {**request, "name": record.name}, taking, folder)
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
