"""Which views are reconstructed: those that are proposed, or those that the user chooses."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from backend.contract import MAXIMUM_SEED, Photo
from backend.errors import Problem
from backend.imaging.png import as_png
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.instantmesh import MOST_PHOTOS, SLOTS, InstantMeshParameters
from backend.pipelines.instantmesh.photos import Subject
from backend.pipelines.instantmesh.picks import Azimuths, View, propose, remarks, title, views_of
from backend.pipelines.instantmesh.sheets import Wanted
from backend.pipelines.running import OF_ONE_OBJECT
from backend.questions import ViewChoice, ViewPhoto, ViewSlot, ViewsQuestion
from models.zero123plus.pictures import AZIMUTHS, ELEVATIONS, cut_out, tile

Make = Callable[[Sequence[Wanted]], dict[Wanted, list[Pixels]]]

THUMBNAIL = 320
CAPTION = 18
"""Pixels: side of a picture on the contact sheet, and height of the line under it."""


@dataclass(frozen=True)
class Picked:
    """The chosen views of one object, in the order of the slots.

    slots: places on the sheet. true_cameras: whether each view counts from its own azimuth.
    """

    subject: Subject
    views: tuple[View, ...]
    pictures: tuple[Pixels, ...]
    seeds: tuple[int, ...]
    slots: tuple[int, ...]
    true_cameras: bool
    azimuths: Azimuths


def first_seeds(subject: Subject, seed: int) -> list[int]:
    """Where chance starts from for each photo, as long as the user asks for nothing else."""
    return [(seed + photo) % (MAXIMUM_SEED + 1) for photo in range(len(subject.photos))]


def pick(
    subject: Subject,
    photos: Sequence[Photo],
    azimuths: Azimuths,
    parameters: InstantMeshParameters,
    context: Context,
    make: Make,
) -> Picked:
    """Have the views of one object chosen, anew for as long as some are to be generated anew.

    Args:
        subject, photos, azimuths: the object, what is known of its photos, and from where they were taken.
        make: gives the views; those of other seeds take time.

    Raises:
        Problem: "geometry-failed" if the first views cannot be used; instead of later ones the former stay.
    """
    slots = SLOTS[parameters.views]
    seeds = first_seeds(subject, context.seed)
    views = views_of(azimuths.values)
    default = propose(views, slots)
    true_cameras = parameters.cameras == "true" or (parameters.cameras == "auto" and azimuths.known)
    asks = parameters.choose == "always" or (parameters.choose == "several" and len(subject.photos) > 1)
    shown: list[int] = []
    while True:
        wanted = [Wanted(subject, photo, seed) for photo, seed in enumerate(seeds)]
        try:
            pictures = [picture for sheet in map(make(wanted).__getitem__, wanted) for picture in sheet]
        except Problem as problem:
            if not shown or problem.code not in OF_ONE_OBJECT:
                raise
            context.warn(problem.code, f"{problem.detail} The former ones stay.", problem.hint, subject.instance)
            seeds = shown
            continue
        shown = list(seeds)
        chosen = default
        if asks:
            question = _question(subject, photos, azimuths, wanted, views, slots, default, true_cameras)
            _keep_for_question(subject, question, pictures, context)
            with context.stage("choose"):
                answer = context.ask(question)
            if (again := answer.get("regenerate")) is not None:
                seed = again.get("seed")
                following = (seeds[again["photo"]] + MOST_PHOTOS) % (MAXIMUM_SEED + 1)
                seeds[again["photo"]] = following if seed is None else seed
                continue
            chosen = answer["chosen"]
        for warning in remarks([views[index] for index in chosen], slots, true_cameras=true_cameras, azimuths=azimuths):
            context.warn(warning.code, warning.message, warning.hint, subject.instance)
        return Picked(
            subject,
            tuple(views[index] for index in chosen),
            tuple(pictures[index] for index in chosen),
            tuple(seeds),
            slots,
            true_cameras,
            azimuths,
        )


def keep_sheet(picked: Picked, context: Context) -> None:
    """Keep the views that are reconstructed as one picture, in the published layout; free places stay white."""
    sheet = np.full((len(AZIMUTHS), *picked.pictures[0].shape), 255, dtype=np.uint8)
    for slot, picture in zip(picked.slots, picked.pictures, strict=True):
        sheet[slot] = picture
    context.keep(f"sheet-{picked.subject.instance}.png", as_png(tile(sheet)))


def _question(
    subject: Subject,
    photos: Sequence[Photo],
    azimuths: Azimuths,
    wanted: Sequence[Wanted],
    views: Sequence[View],
    slots: Sequence[int],
    default: list[int],
    true_cameras: bool,
) -> ViewsQuestion:
    count = len(slots)
    text = f"{subject.title} is reconstructed from {count} views. Choose those that look right and show all sides."
    if not azimuths.known:
        text += " It is not known from where the photos were taken; they are taken to go evenly round the object."
    return ViewsQuestion(
        title=f"Choose {count} views",
        text=text,
        choices=[
            ViewChoice(
                file=wanted[view.photo].names[view.view],
                label=title(view),
                note=f"{view.azimuth:.0f}° · {view.elevation:+.0f}°",
                photo=view.photo,
                view=view.view,
                azimuth=view.azimuth,
                elevation=view.elevation,
            )
            for view in views
        ],
        photos=[
            ViewPhoto(
                name=photo.name or f"Photo {index + 1}",
                file=_photo_name(subject, index),
                seed=wanted[index].seed,
                azimuth=azimuths.values[index],
                known=len(photos) == 1 or photo.azimuth is not None,
            )
            for index, photo in enumerate(photos)
        ],
        slots=[ViewSlot(azimuth=AZIMUTHS[slot], elevation=ELEVATIONS[slot]) for slot in slots],
        default=default,
        true_cameras=true_cameras,
        contact_sheet=f"contact-{subject.instance}.png",
    )


def _photo_name(subject: Subject, photo: int) -> str:
    return f"photo-{subject.instance}-{photo}.png"


def _keep_for_question(subject: Subject, question: ViewsQuestion, pictures: Sequence[Pixels], context: Context) -> None:
    """What is looked at while choosing: the cut-out photos, and all views on one contact sheet."""
    for index, photo in enumerate(subject.photos):
        small = Image.fromarray(cut_out(photo)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        context.keep(_photo_name(subject, index), as_png(np.asarray(small)))
    context.keep(question.contact_sheet, contact_sheet(question, pictures))


def contact_sheet(question: ViewsQuestion, pictures: Sequence[Pixels]) -> bytes:
    """All views of all photos as one PNG, a row for each photo, each view with what `--pick` calls it."""
    columns = max(choice.view for choice in question.choices) + 1
    size = columns * THUMBNAIL, len(question.photos) * (THUMBNAIL + CAPTION)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for choice, picture in zip(question.choices, pictures, strict=True):
        left, top = choice.view * THUMBNAIL, choice.photo * (THUMBNAIL + CAPTION)
        sheet.paste(Image.fromarray(picture).resize((THUMBNAIL, THUMBNAIL)), (left, top))
        caption = f"{choice.photo}:{choice.view}   {choice.azimuth:.0f} deg, {choice.elevation:+.0f}"
        draw.text((left + 6, top + THUMBNAIL + 2), caption, fill="black")
    file = io.BytesIO()
    sheet.save(file, "PNG", compress_level=1)
    return file.getvalue()
