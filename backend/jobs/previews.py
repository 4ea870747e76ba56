"""What a running job shows of itself, at a pace that costs nothing and in files that are always whole."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.contract import Preview
from backend.files import replace_whole
from backend.imaging.png import as_png

LONGEST_SIDE = 512
LONGEST_CAPTION = 200
MOST_SLOTS = 16
SECONDS = 0.5
SLOT = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
logger = logging.getLogger(__name__)


class Previews:
    """Writes previews into `folder`, one file per slot, and reports each. See `Context.preview`.

    The one that waits is passed on by the next call of anything here once its time has come, or by `rest`.
    """

    def __init__(
        self, folder: Path, report: Callable[[Preview], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = folder
        self._report = report
        self._clock = clock
        self._slots: set[str] = set()
        self._held: dict[str, tuple[NDArray[np.uint8], str]] = {}
        self._next = clock()

    def show(self, slot: str, picture: NDArray[np.uint8], caption: str) -> None:
        """Raises ValueError for what is no slot or no picture, or for too many slots."""
        if not SLOT.fullmatch(slot):
            raise ValueError(f"{slot!r} is no name of a slot: small letters, digits and hyphens")
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (3, 4) or not picture.size:
            raise ValueError(f"a preview is HxWx3 or HxWx4 of 8 bits, not {picture.dtype} {picture.shape}")
        self._slots.add(slot)
        if len(self._slots) > MOST_SLOTS:
            raise ValueError(f"a method shows at most {MOST_SLOTS} slots")
        self._held[slot] = picture.copy(), caption[:LONGEST_CAPTION]
        self.look()

    def look(self) -> None:
        """Pass on the one that has waited longest, if its time has come."""
        if self._held and self._clock() >= self._next:
            self._pass_on(next(iter(self._held)))

    def rest(self) -> None:
        """Pass on everything that waits."""
        while self._held:
            self._pass_on(next(iter(self._held)))

    def _pass_on(self, slot: str) -> None:
        picture, caption = self._held.pop(slot)
        self._next = self._clock() + SECONDS
        name = f"preview-{slot}.png"
        try:
            replace_whole(self._folder / name, as_png(_reduced(picture)))
        except OSError as error:  # a full disk, or on Windows somebody who reads the file: the work matters more
            logger.warning("the preview %s is not shown: %s", name, error)
            return
        self._report(Preview(slot=slot, revision=0, caption=caption, file=name))


def _reduced(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if max(picture.shape[:2]) <= LONGEST_SIDE:
        return picture
    image = Image.fromarray(picture)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return np.array(image)
