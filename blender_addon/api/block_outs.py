"""Block-outs seen or hidden beside their props, as Python calls."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from bpy.types import Object

from ..capture import block_outs
from ..props import recipes


def show_block_outs(props: Iterable[Object] | None = None) -> list[Object]:
    """Show the block-outs of these props again, as they were before they were hidden; the props stay as they are.

    Args:
        props: those of all props of the scene if left out.

    Returns those that were hidden and are seen now.
    """
    found = [each for each in _block_outs(props) if block_outs.HIDDEN in each]
    for each in found:
        block_outs.show(each, bpy.context.view_layer)
    return found


def hide_block_outs(props: Iterable[Object] | None = None) -> list[Object]:
    """Hide the block-outs of these props, in the viewport and in renders; as `show_block_outs`."""
    found = [each for each in _block_outs(props) if block_outs.HIDDEN not in each]
    for each in found:
        block_outs.hide(each, bpy.context.view_layer)
    return found


def _block_outs(props: Iterable[Object] | None) -> list[Object]:
    chosen = bpy.context.scene.objects if props is None else props
    owners = (block_outs.block_out_of(each) for each in chosen if recipes.is_prop(each))
    return block_outs.together(dict.fromkeys(each for each in owners if each is not None))
