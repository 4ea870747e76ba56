"""What should be known of a picture before props are made of it: things the frame cuts, and a picture without light."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BLACK, DARK = 0.02, 0.1
"""The brightest of a block-out's pixels, as they are in the file, 0 to 1, are no brighter than this."""

BRIGHTEST = 98.0
"""Percentile that stands for the brightest: a few sparks are no light."""

NAMED = 5


def warning(code: str, message: str, hint: str = "", instance: int | None = None) -> dict[str, Any]:
    """A warning as the server has them."""
    return {"code": code, "message": message, "hint": hint, "instance": instance}


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def cut_by_the_frame(labels: Any, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """A warning naming what goes on beyond the picture.

    Args:
        labels: (H, W) instance map.
        names: id -> name of what is in it.
    """
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    cut = [number for number in names if number in border]
    if not cut:
        return []
    message = f"The frame cuts {listed([names[number] for number in cut])}."
    hint = "Props are made of what is seen. Move the camera back, or shift it, to have all of it in view."
    return [warning("cut-by-frame", message, hint, cut[0] if len(cut) == 1 else None)]


def darkness(colors: Any, seen: Any) -> list[dict[str, Any]]:
    """A warning if what becomes props is black or nearly black.

    Args:
        colors: (H, W, 3) as they are in the file, 0 to 1.
        seen: (H, W) bool, pixels of block-outs.
    """
    if not seen.any():
        return []
    brightest = float(np.percentile(colors[seen].max(axis=1), BRIGHTEST))
    if brightest > DARK:
        return []
    words = "black" if brightest <= BLACK else "nearly black"
    hint = "The props' colours come from the picture: add a light, or raise the exposure."
    return [warning("picture-dark", f"The block-outs are {words} in the picture.", hint)]
