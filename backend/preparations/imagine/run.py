"""The work of `imagine`: words and depth become candidates, each is measured, one becomes the shot's picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.png import as_png
from backend.pipelines.context import Context
from backend.preparations.base import Prepared
from backend.preparations.imagine import ImagineParameters
from backend.preparations.imagine.depth_picture import depth_picture, resized, working_size
from backend.preparations.imagine.outlines import LOST, Agreement, agreement
from backend.preparations.imagine.prompt import full_prompt
from backend.preparations.painting.candidates import Candidate, choose, paint_candidates
from backend.preparations.painting.networks import FAMILIES
from backend.preparations.painting.painter import PaintingRequest
from backend.shot import Shot

CHOOSE = "The objects are made from the picture that you choose. How well it keeps their outlines was measured."


def prepare(shot: Shot, parameters: ImagineParameters, context: Context) -> Prepared:
    """Paint the shot; the picture that is chosen takes the place of the first one, all else stays.

    Candidate i is painted from the seed `context.seed + i` and kept as `candidate-i.png`, the chosen one as
    `picture.png`.

    Raises:
        Problem: request-invalid without depth or instances; parameters-invalid without any words; weights-missing,
            weights-damaged, weights-foreign, out-of-memory.
        Cancelled: at the next step after the user has cancelled.
    """
    if shot.depth is None or not np.isfinite(shot.depth).any():
        detail = "There is no depth in this shot, which tells the painter where things stand."
        raise Problem("request-invalid", detail, "Use the active camera as the source, or leave this step out.")
    if not shot.instances.names:
        detail = "There are no objects in this shot whose outlines could be kept."
        raise Problem("request-invalid", detail, "Block something out, or leave this step out.")
    prompt = full_prompt(parameters.prompt, _names_by_size(shot) if parameters.names else ())
    if not prompt:
        detail = "There are no words to paint from: the prompt is empty and the objects have no telling names."
        raise Problem("parameters-invalid", detail, "Write what the picture shows, or name the objects: chair, table.")
    with context.stage("paint"):
        candidates = _paint(shot, shot.depth, prompt, parameters, context)
        kept = [agreement(one.picture, shot.instances.labels) for one in candidates]
    best = int(np.argmax([each.overall for each in kept]))
    notes = [f"outlines kept {round(100 * each.overall)} %" for each in kept]
    chosen = choose(candidates, notes, best, parameters.choose, CHOOSE, context)
    picture = candidates[chosen].picture
    context.keep("picture.png", as_png(picture))
    _warn_of_lost(shot, kept[chosen], context)
    opaque = np.full((*picture.shape[:2], 1), 255, dtype=np.uint8)
    painted: NDArray[np.uint8] = np.concatenate([picture, opaque], axis=2)
    measured = [round(each.overall, 4) for each in kept]
    record = {
        "candidates": [{"seed": one.seed, "agreement": each} for one, each in zip(candidates, measured, strict=True)],
        "chosen": chosen,
        "prompt": prompt,
        "agreement": {instance: round(share, 4) for instance, share in kept[chosen].instances.items()},
    }
    return Prepared(replace(shot, images=(painted, *shot.images[1:])), record)


def _names_by_size(shot: Shot) -> list[str]:
    """The instances' names, the largest in the picture first."""
    pixels = np.bincount(shot.instances.labels.ravel(), minlength=max(shot.instances.names) + 1)
    return [shot.instances.names[one] for one in sorted(shot.instances.names, key=lambda one: (-pixels[one], one))]


def _paint(
    shot: Shot, depth: NDArray[np.float32], prompt: str, parameters: ImagineParameters, context: Context
) -> list[Candidate]:
    """The candidates, as large as the shot."""
    height, width = depth.shape

    def request(native: int) -> PaintingRequest:
        size = working_size((width, height), native)
        control = depth_picture(depth, size)
        steps, guidance = parameters.chosen_steps, parameters.guidance
        return PaintingRequest(prompt, parameters.negative_prompt, size, steps, guidance, control, parameters.strength)

    return paint_candidates(
        FAMILIES[parameters.model],
        parameters.candidates,
        request,
        context,
        controlled=True,
        shorten="Shorten the prompt, or leave out the names.",
        fitted=lambda picture: resized(picture, (width, height)),
    )


def _warn_of_lost(shot: Shot, agreed: Agreement, context: Context) -> None:
    for instance, kept in agreed.instances.items():
        if kept < LOST:
            share = f"{round(100 * kept)} % of its outline is kept"
            message = f"{shot.title(instance)} can hardly be made out in the picture: {share}."
            context.warn("outline-lost", message, "Choose another candidate, or raise the depth strength.", instance)
