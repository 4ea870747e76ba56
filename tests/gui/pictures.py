"""The pictures of the guides, cut from a journey's: `python -m tests.gui.pictures [VERSION]` writes docs/images."""

from __future__ import annotations

import sys

from PIL import Image

from tests.gui.root import PROJECT

Box = tuple[int, int, int, int]
VIEW: Box = (0, 28, 1058, 720)
PANEL: Box = (774, 82, 1058, 720)
SET: Box = (130, 130, 774, 620)

PICTURES: dict[str, tuple[str, Box]] = {
    "panel": ("generate-by-a-click", VIEW),
    "install": ("install-the-zip", (180, 28, 1058, 720)),
    "installing": ("set-up-the-backend-progress-packages", (774, 82, 1058, 240)),
    "blocked-out": ("block-out-a-room", SET),
    "generated": ("generate-by-a-click", SET),
    "question": ("answer-a-question-chosen", (774, 82, 1058, 650)),
    "variants": ("flip-variants-second", VIEW),
    "preferences": ("read-the-preferences-expanded", (200, 30, 1060, 680)),
}
"""Name in docs/images: the step, and what of the screen is shown: left, upper, right, lower."""


def main(version: str = "4.3.2") -> None:
    for name, (step, box) in PICTURES.items():
        (path,) = (PROJECT / "build" / "gui" / version).glob(f"[0-9][0-9]-{step}.png")
        with Image.open(path) as screen:
            screen.convert("RGB").crop(box).save(PROJECT / "docs" / "images" / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
