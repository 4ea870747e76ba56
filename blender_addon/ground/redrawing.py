"""Has the panel drawn anew; not the view beside it, which may take as long as a scene is large."""

from __future__ import annotations

from collections.abc import Iterator

import bpy


def redraw() -> None:
    """Have the panel drawn anew, wherever it is."""
    if bpy.app.background:
        return
    for region in sidebars():
        region.tag_redraw()


def sidebars() -> Iterator[bpy.types.Region]:
    """Where the panel may be."""
    areas = (area for window in bpy.context.window_manager.windows for area in window.screen.areas)
    for area in areas:
        if area.type == "VIEW_3D":
            yield from (region for region in area.regions if region.type == "UI")
