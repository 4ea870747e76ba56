"""The work of `text`: a sentence becomes candidates, one of which becomes the picture of a shot that had none."""

from __future__ import annotations

import numpy as np

from backend.imaging.intake import shot_of
from backend.imaging.png import as_png
from backend.pipelines.context import Context
from backend.preparations.base import Prepared
from backend.preparations.painting.candidates import choose, paint_candidates
from backend.preparations.painting.networks import FAMILIES
from backend.preparations.painting.painter import PaintingRequest
from backend.preparations.text import TextParameters, full_prompt, title
from backend.preparations.text.standing import standing
from backend.shot import Shot

CHOOSE = "The prop is made from the picture that you choose. Whether one whole object stands alone in it was measured."


def prepare(shot: Shot, parameters: TextParameters, context: Context) -> Prepared:
    """Paint the sentence as a square of the size that the model was trained on; no object is found in it yet.

    Candidate i is painted from the seed `context.seed + i` and kept as `candidate-i.png`, the chosen one as
    `picture.png`.

    Args:
        shot: a blank sheet, see `backend.imaging.intake.blank_shot`.

    Raises:
        Problem: see `paint_candidates`.
        Cancelled: at the next step after the user has cancelled.
    """
    prompt, negative = full_prompt(parameters)

    def request(native: int) -> PaintingRequest:
        return PaintingRequest(prompt, negative, (native, native), parameters.chosen_steps, parameters.guidance)

    with context.stage("paint"):
        candidates = paint_candidates(
            FAMILIES[parameters.model],
            parameters.candidates,
            request,
            context,
            controlled=False,
            shorten="Say it in fewer words.",
        )
        stands = [standing(one.picture) for one in candidates]
    best = int(np.argmax([each.rank for each in stands]))
    chosen = choose(candidates, [each.note for each in stands], best, parameters.choose, CHOOSE, context)
    picture = candidates[chosen].picture
    context.keep("picture.png", as_png(picture))
    opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
    record = {
        "candidates": [{"seed": one.seed, "stands": each.note} for one, each in zip(candidates, stands, strict=True)],
        "chosen": chosen,
        "prompt": prompt,
        "negative_prompt": negative,
    }
    return Prepared(shot_of(np.concatenate([picture, opaque], axis=2)), record, title(parameters.prompt))
