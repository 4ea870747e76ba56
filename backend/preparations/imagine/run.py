"""The work of `imagine`: words and depth become candidates, each is measured, one becomes the shot's picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.contract import MAXIMUM_SEED
from backend.errors import Problem
from backend.imaging.png import as_png, from_png
from backend.memory import Plan
from backend.pipelines.base import Context
from backend.pipelines.running import Running, checkpoints, seen
from backend.preparations.base import Prepared
from backend.preparations.imagine import ImagineParameters
from backend.preparations.imagine.depth_picture import depth_picture, resized, working_size
from backend.preparations.imagine.networks import FAMILIES, native_side
from backend.preparations.imagine.outlines import LOST, Agreement, agreement
from backend.preparations.imagine.painter import Commission, Folders, ladder, open_painter, read_sizes
from backend.preparations.imagine.prompt import full_prompt
from backend.questions import Choice, ChooseQuestion
from backend.shot import Shot
from backend.weights import locate

LOADING = 0.2
"""Usual share of loading in the whole."""


@dataclass(frozen=True)
class Candidate:
    """A painted picture (HxWx3 uint8, as large as the shot), and how well it keeps the outlines."""

    seed: int
    picture: NDArray[np.uint8]
    agreement: Agreement

    @property
    def note(self) -> str:
        return f"outlines kept {round(100 * self.agreement.overall)} %"


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
    best = int(np.argmax([one.agreement.overall for one in candidates]))
    asks = parameters.choose == "always" or (parameters.choose == "several" and len(candidates) > 1)
    chosen = _ask(candidates, best, context) if asks else best
    picture = candidates[chosen]
    context.keep("picture.png", as_png(picture.picture))
    _warn_of_lost(shot, picture, context)
    opaque = np.full((*picture.picture.shape[:2], 1), 255, dtype=np.uint8)
    painted: NDArray[np.uint8] = np.concatenate([picture.picture, opaque], axis=2)
    record = {
        "candidates": [{"seed": one.seed, "agreement": round(one.agreement.overall, 4)} for one in candidates],
        "chosen": chosen,
        "prompt": prompt,
        "agreement": {instance: round(kept, 4) for instance, kept in picture.agreement.instances.items()},
    }
    return Prepared(replace(shot, images=(painted, *shot.images[1:])), record)


def _names_by_size(shot: Shot) -> list[str]:
    """The instances' names, the largest in the picture first."""
    pixels = np.bincount(shot.instances.labels.ravel(), minlength=max(shot.instances.names) + 1)
    return [shot.instances.names[one] for one in sorted(shot.instances.names, key=lambda one: (-pixels[one], one))]


def _paint(
    shot: Shot, depth: NDArray[np.float32], prompt: str, parameters: ImagineParameters, context: Context
) -> list[Candidate]:
    """All candidates. Those that are done stay when memory runs out and the rest is painted in a more frugal way."""
    family = FAMILIES[parameters.model]
    folders = Folders(locate(family.base), locate(family.control))
    identifiers = (family.base, family.control)
    sizes = seen(f"imagine {family.base}", identifiers, lambda: read_sizes(family, folders))
    with checkpoints(family.base):
        native = native_side(folders.base)
    height, width = depth.shape
    size = working_size((width, height), native)
    control = depth_picture(depth, size)
    commission = Commission(
        prompt, parameters.negative_prompt, control, parameters.chosen_steps, parameters.guidance, parameters.strength
    )
    running = Running.begin(context)
    done = _recalled(shot, parameters, context)
    if len(done) == parameters.candidates:
        return done

    def paint(plan: Plan) -> None:
        def on_load(share: float, message: str) -> None:
            context.progress(LOADING * share, f"{message} ({plan.sentence})")

        with open_painter(family, folders, plan, running, commission, on_load, on_cut) as painter:
            while (index := len(done)) < parameters.candidates:

                def on_step(step: int, index: int = index) -> None:
                    share = (index + step / parameters.chosen_steps) / parameters.candidates
                    context.progress(
                        LOADING + (1 - LOADING) * share, f"Candidate {index + 1} of {parameters.candidates}"
                    )

                seed = _seed(context, index)
                picture = resized(painter.paint(seed, on_step), (width, height))
                candidate = Candidate(seed, picture, agreement(picture, shot.instances.labels))
                context.keep(f"candidate-{index}.png", as_png(picture))
                done.append(candidate)

    def on_cut(rest: str) -> None:
        message = f"The words are too many for the painter; it does not hear the end: “{rest}”."
        context.warn("prompt-cut", message, "Shorten the prompt, or leave out the names.")

    running.by_plans(lambda device: ladder(sizes, device, size), paint)
    return done


def _seed(context: Context, index: int) -> int:
    return (context.seed + index) % (MAXIMUM_SEED + 1)


def _recalled(shot: Shot, parameters: ImagineParameters, context: Context) -> list[Candidate]:
    """The candidates that an earlier attempt at this job has painted, from the first to the first that is missing."""
    done: list[Candidate] = []
    while len(done) < parameters.candidates:
        data = context.recall(f"candidate-{len(done)}.png")
        if data is None:
            break
        picture = from_png(data)
        done.append(Candidate(_seed(context, len(done)), picture, agreement(picture, shot.instances.labels)))
    return done


def _ask(candidates: list[Candidate], best: int, context: Context) -> int:
    question = ChooseQuestion(
        title="Choose a picture",
        text="The objects are made from the picture that you choose. How well it keeps their outlines was measured.",
        choices=[
            Choice(file=f"candidate-{index}.png", label=f"Seed {one.seed}", note=one.note)
            for index, one in enumerate(candidates)
        ],
        default=[best],
    )
    chosen: int = context.ask(question)["chosen"][0]
    return chosen


def _warn_of_lost(shot: Shot, candidate: Candidate, context: Context) -> None:
    for instance, kept in candidate.agreement.instances.items():
        if kept < LOST:
            share = f"{round(100 * kept)} % of its outline is kept"
            message = f"{shot.title(instance)} can hardly be made out in the picture: {share}."
            context.warn("outline-lost", message, "Choose another candidate, or raise the depth strength.", instance)
