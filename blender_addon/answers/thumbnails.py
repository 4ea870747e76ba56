"""Small pictures for the panel: those that a question mentions, swatches of colour, and results of jobs.

Blender reads them in a job of its own when they are first drawn, at 256 pixels a side at most, and keeps what it has
read in the desktop's folder of thumbnails, as it does for its file browser.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import bpy.utils.previews

SWATCH = (8, 8)

_previews: bpy.utils.previews.ImagePreviewCollection | None = None
_results: bpy.utils.previews.ImagePreviewCollection | None = None


def load(question: str, name: str, path: Path) -> None:
    """Have a thumbnail of a picture file; `question` is the key of the question that mentions it."""
    key = _key(question, name)
    if _previews is not None and key not in _previews:
        _previews.load(key, str(path), "IMAGE")


def swatch(question: str, color: tuple[float, float, float]) -> None:
    """Have a thumbnail that is one colour: red, green, blue of sRGB, 0 to 1."""
    key = _key(question, _color_name(color))
    if _previews is not None and key not in _previews:
        preview = _previews.new(key)
        preview.icon_size = SWATCH
        preview.icon_pixels_float = [*color, 1.0] * (SWATCH[0] * SWATCH[1])


def icon(question: str, name: str) -> int | None:
    """The icon of a picture; None while there is none."""
    preview = _previews.get(_key(question, name)) if _previews is not None else None
    return None if preview is None else preview.icon_id


def swatch_icon(question: str, color: tuple[float, float, float]) -> int | None:
    """The icon of a colour; None if it was not made."""
    return icon(question, _color_name(color))


def keep(questions: Collection[str]) -> None:
    """Free the thumbnails of all other questions."""
    if _previews is not None:
        for key in [key for key in _previews if key.partition("/")[0] not in questions]:
            del _previews[key]


def load_result(job: str, path: Path) -> None:
    """Have a thumbnail of what a job has made."""
    if _results is not None and job not in _results:
        _results.load(job, str(path), "IMAGE")


def result_icon(job: str) -> int | None:
    """The icon of what a job has made; None while there is none."""
    preview = _results.get(job) if _results is not None else None
    return None if preview is None else preview.icon_id


def keep_results(jobs: Collection[str]) -> None:
    """Free the thumbnails of all other jobs."""
    if _results is not None:
        for job in [job for job in _results if job not in jobs]:
            del _results[job]


def count() -> int:
    """Thumbnails of questions."""
    return 0 if _previews is None else len(_previews)


def register() -> None:
    global _previews, _results
    _previews, _results = bpy.utils.previews.new(), bpy.utils.previews.new()


def unregister() -> None:
    global _previews, _results
    for previews in (_previews, _results):
        bpy.utils.previews.remove(previews)
    _previews = _results = None


def _key(question: str, name: str) -> str:
    return f"{question}/{name}"


def _color_name(color: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in color)
