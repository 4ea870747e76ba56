"""Pictures of a question in the panel."""

from __future__ import annotations

import bpy

from ...answers import thumbnails
from ...answers.questions import Question
from .text import UNIT_PIXELS, region_width

MARGIN_PIXELS = 45.0
"""Of the panel and the box that the question is in."""

SMALLEST_SCALE, LARGEST_SCALE = 2.0, 20.0


def width_for_pictures(context: bpy.types.Context) -> float:
    """Pixels at a scale of 1 from side to side."""
    return region_width(context) - MARGIN_PIXELS


def draw_picture(layout: bpy.types.UILayout, question: Question, file: str, pixels: float) -> None:
    """A thumbnail of about this width; while it is being fetched an empty place, so that nothing moves later."""
    icon = thumbnails.icon(question.key, file)
    if icon is None and question.problem is not None:
        layout.label(text="No picture", icon="ERROR")
    else:
        scale = min(max(pixels / UNIT_PIXELS, SMALLEST_SCALE), LARGEST_SCALE)
        layout.template_icon(icon_value=icon or 0, scale=scale)


def draw_opener(layout: bpy.types.UILayout, question: Question, file: str, text: str = "") -> None:
    """The button that opens the whole picture."""
    button = layout.operator("set_dresser.open_picture", text=text, icon="ZOOM_IN" if not text else "NONE")
    button.job, button.file = question.job, file
