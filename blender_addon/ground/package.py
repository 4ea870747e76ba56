"""What the add-on is called in this Blender, and where it lies: asked for here, so that no other file depends on its
own place in the folder."""

from __future__ import annotations

from pathlib import Path

NAME = __package__.removesuffix(".ground")
"""The add-on's name in Blender: that of the extension (`bl_ext.….set_dresser`), or of the folder of a checkout."""

ROOT = Path(__file__).resolve().parents[1]
"""The add-on's own folder: it may be read-only, and is replaced by updates."""
