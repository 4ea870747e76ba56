"""Tiny checkpoints named and laid out as on the hub, to try the whole way without a download.

Every network of the priors is there, and loaded by the very same code. They know nothing of pictures, so what is not
seen in the picture comes out as noise; see `models/guidance/tiny.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.pipelines.magic123 import TEXT_PRIORS, VIEW_PRIORS
from backend.weights import row_of
from backend.weights.own import FOLDER, WORDS
from models.guidance.tiny import Layout, write_tiny_stable_diffusion, write_tiny_zero123, write_words
from models.guidance.zero123_files import AVERAGED

VIEWS = ("105000",)


def write_tiny_magic123_checkpoints(
    folder: Path, views: Sequence[str] = VIEWS, words: Sequence[str] = (), seed: int = 0
) -> Path:
    """Writes Stable Diffusion and Zero123 below `folder`; gives back `folder`.

    The environment variable SET_DRESSER_MODELS is to name that folder.

    Args:
        views: values of the parameter `view_prior`.
        words: names of folders with a learned word in each.
        seed: the same gives the same files.
    """
    write_tiny_stable_diffusion(folder / row_of(TEXT_PRIORS["sd15"][0]).home, seed)
    for number, view in enumerate(views, 1):
        row = row_of(VIEW_PRIORS[view][0])
        place, (first, *others) = folder / row.home, row.required
        if not others:  # the authors' file
            write_tiny_zero123(place / first, "checkpoint", seed + number)
            continue
        layout: Layout = (
            "cc_projection" if any("cc_projection" in name for name in others) else "clip_camera_projection"
        )
        pickled, averaged = any(name.endswith(".bin") for name in others), any(AVERAGED in name for name in others)
        write_tiny_zero123(place, layout, seed + number, pickled=pickled, averaged=averaged)
    for word in words:
        write_words(folder / FOLDER / word / WORDS[0], seed=seed)
    return folder
