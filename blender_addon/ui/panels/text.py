"""Sentences, numbers and thumbnails in a region of any width."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime

import bpy

CHARACTER_PIXELS = 6.5
"""Width of an average character of Blender's interface font at a scale of 1: labels do not wrap by themselves."""

UNIT_PIXELS = 20.0
"""Width of an icon, and what `template_icon` multiplies, at a scale of 1."""


def draw_text(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    text: str,
    icon: str = "NONE",
    alert: bool = False,
    pixels: float | None = None,
    most: int | None = None,
) -> None:
    """A sentence in as many labels as `pixels` ask for, the width at a scale of 1; the region's if left out. What is
    more than `most` lines is cut off."""
    column = layout.column(align=True)
    column.alert = alert
    said = bpy.app.translations.pgettext_iface(text)  # whole: Blender looks up what it draws, and that is lines
    width = max(12, int((pixels or region_width(context) - 60) / CHARACTER_PIXELS))
    lines = textwrap.wrap(said, width, max_lines=most, placeholder=" …")
    for number, line in enumerate(lines):
        column.label(text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE")


def region_width(context: bpy.types.Context) -> float:
    """Width of the region in pixels at a scale of 1."""
    region = getattr(context, "region", None)
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    return (region.width if region else 300) / scale


def count(number: int) -> str:
    return f"{number} object" if number == 1 else f"{number} objects"


def jobs_counted(number: int) -> str:
    return f"{number} job" if number == 1 else f"{number} jobs"


def ago(moment: str, now: datetime | None = None) -> str:
    """How long ago something was, like "3 min ago"; "" for what is no time of ISO 8601."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    seconds = max(0.0, ((now or datetime.now(UTC)) - then).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def duration(seconds: float) -> str:
    """Like "40 s", "12 min" or "1 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def memory(amount: int) -> str:
    return f"{amount / 1e9:.0f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
