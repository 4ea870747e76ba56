"""Batches as Python calls: cameras, frames and seeds in one go; see `api`.

The same in `blender -b`:

    blender -b shots.blend --python-exit-code 1 --python-expr "
    from bl_ext.user_default import set_dresser
    set_dresser.generate_batch(cameras='all', objects='Block-Out', name='Shots', out='//props', save=True)"

Given again it goes on, whatever ended it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import bpy

from .. import session
from ..capture import block_outs, kept_shots, rendering, sources
from ..capture import photos as photo_steps
from ..capture.capture import AS_SCENE, FAST, printable
from ..capture.intrinsics import CaptureError
from ..capture.photos import Source as Photo
from ..ground import moments, references
from ..ground.messages import SetDresserError
from ..ground.references import Place, Reference
from ..settings.properties import MAXIMUM_SEED
from ..state import batch as state
from ..state import catalogue, desk, listing
from ..state.batch import Shot
from ..state.catalogue import description_of
from ..work import batch_files, batch_shots, contact_sheet
from ..work import batches as work
from .jobs import Job, check_can_be_sent
from .waiting import refresh_lists, wait_until

MOST_ENTRIES = 200
"""Jobs of a batch; a server for several lets one user have as many in its queue."""

MOST_SHOTS = 300
"""Pictures of a batch."""


class Batch:
    """A batch: what is known of it, and what can be done with it."""

    def __init__(self, batch: state.Batch) -> None:
        self._batch = batch

    def __repr__(self) -> str:
        return f"<Batch {self.name}: {self.done} of {self.count} done>"

    @property
    def id(self) -> str:
        return self._batch.id

    @property
    def name(self) -> str:
        return self._batch.name

    @property
    def count(self) -> int:
        """How many jobs it has, or will have; 0 while pictures are taken of which the best are chosen then."""
        return len(self._batch.entries)

    @property
    def done(self) -> int:
        """How many of its jobs are done."""
        return sum(listing.entry_state(desk.current, entry) == "done" for entry in self._batch.entries)

    @property
    def states(self) -> dict[str, str]:
        """The name of each part -> waiting, left out, or the state of its job."""
        return {entry.name: listing.entry_state(desk.current, entry) for entry in self._batch.entries}

    @property
    def jobs(self) -> list[Job]:
        """Those that the server has."""
        found = (desk.current.jobs.get(entry.job) for entry in self._batch.entries)
        return [Job(record) for record in found if record is not None]

    @property
    def reasons(self) -> list[str]:
        """Which picture each block-out is made of, and why: "Chair: Camera.003, largest and whole"."""
        return list(dict.fromkeys(why for entry in self._batch.entries for why in entry.reasons))

    @property
    def unseen(self) -> list[str]:
        """Names of the block-outs that no camera sees; once all pictures are taken."""
        return state.unseen(self._batch)

    @property
    def problems(self) -> dict[str, SetDresserError]:
        """Why something was left out or failed, by the name of the part; what ended all of it, by that of the batch."""
        found: dict[str, SetDresserError] = {}
        if self._batch.problem is not None:
            found[self.name] = self._batch.problem
        for shot in self._batch.shots:
            if shot.problem is not None:
                found[shot.name] = shot.problem
        for entry in self._batch.entries:
            record = desk.current.jobs.get(entry.job)
            problem = entry.problem or (record.problem if record is not None else None)
            if problem is not None:
                found[entry.name] = problem
        return found

    @property
    def objects(self) -> list[bpy.types.Object]:
        """The props of its jobs that are in the file, as far as this Blender has brought them in."""
        return [prop for job in self.jobs for prop in job.objects]

    def wait(self, timeout: float | None = None) -> Batch:
        """Wait until every job has ended and its props are in the scene, or asks something. Blocks: for scripts.

        Raises SetDresserError: if nothing can go on, nothing at all was made, or it takes longer than `timeout` seconds
        (it goes on then). What was left out or has failed is in `problems`.
        """
        batch = self._batch
        wait_until(
            lambda: batch.task is None and not batch.wished and self._is_quiet(), timeout, "The batch has not ended"
        )
        if batch.problem is not None:
            raise batch.problem
        asks = any(job.question for job in self.jobs)
        problems = list(self.problems.values())
        if problems and not (self.done or asks or batch.paused or batch.cancelled):
            raise problems[0]
        return self

    def _is_quiet(self) -> bool:
        if self._batch.paused or self._batch.problem is not None:
            return True
        if self._batch.unsent and not self._batch.cancelled:
            return False
        records = [desk.current.jobs.get(entry.job) for entry in self._batch.entries if entry.job]
        return all(
            record is None or record.asks or (record.ended and not record.busy and not record.awaited)
            for record in records
        )

    def go_on(self, *, wait: bool | None = None, timeout: float | None = None) -> Batch:
        """Have it go on: pictures that were not taken are taken, what was not sent is sent, what failed is tried again,
        and props that are not in the file come in. `wait` and `timeout` as in `generate`."""
        work.go_on(session.current.line, self._batch)
        return self.wait(timeout) if (bpy.app.background if wait is None else wait) else self

    def pause(self) -> None:
        """Have what waits go on waiting until `go_on`; what runs is finished."""
        work.pause(session.current.line, self._batch)

    def cancel(self) -> None:
        """End all of it that has not ended."""
        work.cancel(session.current.line, self._batch)

    def remove(self) -> None:
        """Take it off the list. Its jobs and props stay."""
        work.remove(session.current.line, self._batch)

    def contact_sheet(self, folder: str | os.PathLike[str] | None = None, *, timeout: float | None = None) -> Path:
        """Have a page with the pictures, the same as PNG, and a table, in a folder; returns the path of the page.
        Blocks. Raises SetDresserError."""
        errors: list[Exception] = []
        pages: list[Path] = []
        line = session.current.line
        target = None if folder is None else sources.absolute(folder)

        def steps() -> Any:
            pages.append((yield from contact_sheet.fetch(line, self._batch, target)))

        task = line.tasks.start(steps(), errors.append)
        try:
            wait_until(lambda: not line.tasks.runs(task), timeout, "The contact sheet has not come")
        finally:
            line.tasks.stop(task)
        for error in errors:
            raise error
        return pages[0]


def batches() -> list[Batch]:
    """Those that this machine has kept, newest first; asks nobody."""
    return [Batch(batch) for batch in desk.current.batches.values()]


def generate_batch(
    *,
    cameras: Iterable[bpy.types.Object] | Literal["all"] | None = None,
    frames: Iterable[int] | None = None,
    seeds: Iterable[int] | int = 0,
    objects: Iterable[bpy.types.Object] | bpy.types.Collection | str | None = None,
    source: str | os.PathLike[str] | bpy.types.Image = "camera",
    labels: str | os.PathLike[str] | bpy.types.Image | None = None,
    photos: Iterable[Photo | tuple[Photo, float | None]] | None = None,
    match_camera: bool = False,
    pipeline: str = "inflate",
    parameters: dict[str, Any] | None = None,
    prepare: dict[str, dict[str, Any]] | None = None,
    name: str = "",
    import_result: bool = True,
    hide_block_outs: bool = True,
    picture_quality: str = "FAST",
    keep_moves: bool = True,
    height: float | None = None,
    place_at: str | None = None,
    resume: bool | None = None,
    out: str | os.PathLike[str] | None = None,
    save: bool = False,
    wait: bool | None = None,
    timeout: float | None = None,
) -> Batch:
    """Make props of what several cameras see, of several frames, or with several seeds: one list of jobs.

    A block-out that several pictures show becomes one prop. A pipeline that takes one picture gets the best one of it:
    whole, with nothing before it, from a height that the pipeline likes, and large; `Batch.reasons` tells. One that
    takes several gets the pictures of all cameras that see it.

    Args:
        cameras: of the scene; "all" for every perspective camera that is in it; the active one if left out.
        frames: numbers; the scene is at each of them while its picture is taken. As the scene stands if left out.
        seeds: each job is made once with every seed; the props are variants of each other.
        objects: the block-out: objects, a collection, or the name of one; the selected objects if left out.
        source, labels, photos, match_camera: in place of cameras and frames, as in `generate`; for several seeds.
        pipeline, parameters, prepare, import_result, hide_block_outs, picture_quality, keep_moves, height, place_at: of
            every job, as in `generate`.
        name: what to call it.
        resume: whether a batch of this file that was asked for with the same words goes on, if there is one, also one
            that has ended: what is done stays, and comes in where it is missing. By default in background mode only.
        out: folder for the contact sheet, written when the jobs have ended; only with waiting.
        save: save the file when the props are in it; only with waiting.
        wait, timeout: as in `generate`.

    Raises SetDresserError, with a sentence, a hint and a code.
    """
    if reason := moments.misplaced():
        raise CaptureError(reason, "Ask for it when that is over, for example in a timer.")
    waits = bpy.app.background if wait is None else wait
    if (out is not None or save) and not waits:
        message = "A contact sheet, and saving, come after the jobs: nobody waits for them."
        raise SetDresserError(message, "Say wait=True, or leave them out.", "request-invalid")
    if save and not bpy.data.filepath:
        raise SetDresserError("The file was never saved.", "Save it once, under a name.", "request-invalid")
    if picture_quality not in (FAST, AS_SCENE):
        raise SetDresserError(
            f"There is no picture quality '{picture_quality}'.", "Choose FAST or SCENE.", "parameters-invalid"
        )
    request = {"pipeline": pipeline, "parameters": parameters or {}, "prepare": prepare or {}}
    check_can_be_sent(request)
    numbers = _seeds(seeds)
    if (source != "camera" or photos is not None) and (cameras is not None or frames is not None):
        message = "Cameras and frames are of the scene: they come without a source and photos."
        raise CaptureError(message, "Leave one or the other out.")
    if bpy.app.background and description_of(desk.current.pipelines, pipeline) is None:
        refresh_lists()  # how many pictures it takes decides what is taken
    context = bpy.context
    place = Place.of(context.scene, context.view_layer)
    described = description_of(desk.current.pipelines, pipeline)
    planned = None
    if photos is not None:
        planned = photo_steps.ask(context, photos, _collection(objects), match_camera, picture_quality)
        photo_steps.check_number(described, len(planned.photos))
        chosen = [references.of_session(bpy.data.objects, each) for each in planned.block_outs]
    else:
        chosen = _block_outs(context, objects) if source == "camera" else []
    batch = state.Batch(
        name=printable(name) or _name(context, chosen, cameras, frames, numbers, source, planned),
        file=references.this_file(),
        place=place,
        block_outs=[Reference.of(each) for each in chosen],
        request=request,
        seeds=numbers,
        options={
            "import_when_done": import_result,
            "hide_block_outs": hide_block_outs,
            "keep_moves": keep_moves,
            "height": height,
            "place_at": place_at,
            "quality": picture_quality,
        },
    )
    if planned is not None:
        batch.shots = [Shot(batch.name, block_outs=list(range(len(chosen))), alone=bool(chosen), planned=planned)]
    elif source != "camera":
        batch.shots = [Shot(batch.name, state=state.TAKEN)]
    else:
        if frames is not None and catalogue.pictures(described)[0] > 1:
            message = f"{catalogue.title_of(described or {})} takes several pictures of one object at the same moment."
            raise CaptureError(message, "Give cameras in place of frames.")
        used, moments_of_it = _cameras(context, cameras), _frames(frames)
        context.view_layer.update()
        batch.shots = batch_shots.plan(context.scene, place, chosen, used, moments_of_it, described)
        batch.choosing = not batch.shots[0].alone
    _check_size(batch)
    same = _same(batch) if (bpy.app.background if resume is None else resume) else None
    if same is not None:
        work.go_on(session.current.line, same)
        batch = same
    else:
        batch_files.begin(batch)
        if batch.shots[0].state == state.TAKEN:
            _take_now(context, batch, source, labels, match_camera)
        if not batch.choosing:
            for number in range(len(batch.shots)):
                state.add_entries(batch, number, batch.shots[number].block_outs)
        work.begin(session.current.line, batch)
    made = Batch(batch)
    if waits:
        _see_through(made, timeout, out, save)
    return made


def _see_through(made: Batch, timeout: float | None, out: str | os.PathLike[str] | None, save: bool) -> None:
    made.wait(timeout)
    if out is not None:
        made.contact_sheet(out, timeout=timeout)
    if save:
        bpy.ops.wm.save_mainfile()


def _take_now(
    context: bpy.types.Context,
    batch: state.Batch,
    source: str | os.PathLike[str] | bpy.types.Image,
    labels: str | os.PathLike[str] | bpy.types.Image | None,
    match_camera: bool,
) -> None:
    """A picture that is there needs no camera."""
    folder = batch.shot_folder(0)
    folder.mkdir(parents=True)
    try:
        steps = sources.ask(context, folder, source, None, labels, match_camera, batch.options["quality"])
        kept_shots.keep(rendering.finished(steps(rendering.untold)), folder)
    except BaseException:
        batch_files.remove(desk.current, batch)
        raise


def _seeds(seeds: Iterable[int] | int) -> list[int]:
    numbers = list(dict.fromkeys([seeds] if isinstance(seeds, int) else seeds))
    if not numbers or not all(isinstance(each, int) and 0 <= each <= MAXIMUM_SEED for each in numbers):
        message = f"Seeds are whole numbers from 0 to {MAXIMUM_SEED}."
        raise SetDresserError(message, "Give one or several, like range(4).", "parameters-invalid")
    return numbers


def _frames(frames: Iterable[int] | None) -> list[int]:
    numbers = [] if frames is None else list(dict.fromkeys(frames))
    limit = bpy.types.Scene.bl_rna.properties["frame_current"]
    if frames is not None and not numbers:
        raise CaptureError(
            "There are no frames to take pictures of.", "Give a range whose end is not before its start."
        )
    if not all(isinstance(each, int) and limit.hard_min <= each <= limit.hard_max for each in numbers):
        raise CaptureError("Frames are whole numbers.", "Give some, like range(1, 50, 10).")
    return numbers


def _cameras(
    context: bpy.types.Context, cameras: Iterable[bpy.types.Object] | Literal["all"] | None
) -> list[bpy.types.Object]:
    if cameras == "all":
        return listing.cameras(context.scene)
    given = [context.scene.camera] if cameras is None else list(cameras)
    if None in given:
        raise CaptureError("The scene has no active camera.", "Add one, or name the cameras.")
    for each in given:
        if not isinstance(each, bpy.types.Object) or each.type != "CAMERA":
            raise CaptureError(f"{getattr(each, 'name', each)} is no camera.", "Give cameras of the scene, or 'all'.")
        if not references.contains(context.scene.objects, each):
            raise CaptureError(f"The camera {each.name} is not in the scene.", "Give cameras of the scene, or 'all'.")
    return list(dict.fromkeys(given))


def _collection(
    objects: Iterable[bpy.types.Object] | bpy.types.Collection | str | None,
) -> Iterable[bpy.types.Object] | bpy.types.Collection | None:
    """A collection that may be given by its name."""
    if not isinstance(objects, str):
        return objects
    found = bpy.data.collections.get(objects)
    if found is None:
        raise CaptureError(f"There is no collection '{objects[:60]}'.", "Give one of this file, or objects.")
    return found


def _block_outs(
    context: bpy.types.Context, objects: Iterable[bpy.types.Object] | bpy.types.Collection | str | None
) -> list[bpy.types.Object]:
    given = _collection(objects)
    meant = context.selected_objects if given is None else given
    roots = block_outs.roots(meant.all_objects if isinstance(meant, bpy.types.Collection) else meant)
    ones = {each: each.get(block_outs.ONE_WITH) for each in roots}
    return [each for each in roots if ones[each] not in roots]


def _name(
    context: bpy.types.Context,
    chosen: list[bpy.types.Object],
    cameras: object,
    frames: Iterable[int] | None,
    seeds: list[int],
    source: str | os.PathLike[str] | bpy.types.Image,
    planned: photo_steps.PlannedPhotos | None,
) -> str:
    what = listing.title([each.name for each in chosen]) if chosen else ""
    if not chosen:
        what = planned.name if planned is not None else sources.name(context, source)
    how = ["all cameras" if cameras == "all" else "cameras"] if cameras is not None else []
    how += ["frames"] if frames is not None else []
    how += [f"{len(seeds)} seeds"] if len(seeds) > 1 else []
    return printable(" · ".join([what, *how]))


def _check_size(batch: state.Batch) -> None:
    """Raises SetDresserError: if it is more than a server takes."""
    most = len(batch.shots) * len(batch.seeds)
    most = min(most, len(batch.block_outs) * len(batch.seeds)) if batch.choosing else most
    if most > MOST_ENTRIES or len(batch.shots) > MOST_SHOTS:
        message = f"That would be {most} jobs of {len(batch.shots)} pictures, and a batch has {MOST_ENTRIES} at most."
        raise SetDresserError(message, "Make it in parts: fewer frames, cameras or seeds.", "request-invalid")


def _same(batch: state.Batch) -> state.Batch | None:
    """The newest batch of this file that was asked for with the same words."""
    if not batch.file:
        return None
    wanted = _asked(batch)
    return next((each for each in desk.current.batches.values() if _asked(each) == wanted), None)


def _asked(batch: state.Batch) -> tuple[Any, ...]:
    shots = [(shot.name, shot.frame, shot.alone) for shot in batch.shots]
    block_outs_by_name = [each.reopened() for each in batch.block_outs]
    return batch.file, batch.name, batch.request, batch.seeds, batch.options, shots, block_outs_by_name
