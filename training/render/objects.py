"""One object: a model file becomes a folder of views, whole or not at all."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.layouts import picture_name, write_cameras, write_metadata, write_solid
from training.objects.listing import Entry
from training.render.blender import Blender, Broken
from training.render.drawing import draw_cameras, draw_light
from training.render.settings import Settings
from training.solids import solid

PARTIAL = ".partial"
OPEN_SECONDS = 600.0
VIEW_SECONDS = 600.0


def render_object(
    blender: Blender, settings: Settings, threads: int, models: Path, entry: Entry, out: Path
) -> list[str]:
    """Renders an object into `<out>/<its name>`, which appears when all of it is there.

    Args:
        threads: that Blender may use.
        models: the folder that the entry's file is in.

    Returns:
        The textures that are missing.

    Raises:
        Broken: see `Blender.ask`.
        OSError: the disk is full, for example. Nothing is left behind.
    """
    beside = out / f".{entry.name}.{os.getpid()}-{threading.get_ident()}{PARTIAL}"
    beside.mkdir()
    try:
        missing = _fill(blender, settings, threads, models, entry, beside)
        beside.replace(out / entry.name)
    except BaseException:
        shutil.rmtree(beside)
        raise
    return missing


def _fill(blender: Blender, settings: Settings, threads: int, models: Path, entry: Entry, folder: Path) -> list[str]:
    file = models / entry.file
    if not file.is_file():
        raise Broken("The file is missing.")
    surface = folder / "triangles.npy"
    job = {
        "file": str(file.resolve()),
        "span": settings.span,
        "rotation": entry.rotation,
        "size": entry.size,
        "opaque": settings.opaque,
        "triangles": str(surface),
    }
    opened = blender.ask("open", job, OPEN_SECONDS)
    triangles = np.load(surface)
    surface.unlink()
    cameras = draw_cameras(settings, entry.name, triangles.reshape(-1, 3))
    light = draw_light(settings, entry.name)
    names = [picture_name(settings.layout, index) for index in range(len(cameras.poses))]
    (folder / names[0]).parent.mkdir(exist_ok=True)
    blender.ask(
        "render",
        {
            "engine": settings.engine,
            "samples": settings.samples,
            "denoise": settings.denoise,
            "size": settings.size,
            "depth": settings.depth,
            "threads": threads,
            "seed": settings.seed,
            "light": light,
            "views": [
                {"pose": pose.tolist(), "focal": focal, "file": str(folder / name)}
                for pose, focal, name in zip(cameras.poses, cameras.focals.tolist(), names, strict=True)
            ],
        },
        VIEW_SECONDS * len(names),
    )
    write_cameras(folder, settings.layout, cameras.poses, cameras.intrinsics, settings.size)
    if settings.solid:
        write_solid(folder, solid(triangles * (2 / settings.span), settings.solid))
    about = {
        "name": entry.name,
        "object": asdict(entry),
        "blender": blender.version,
        "matrix": opened["matrix"],
        "box": opened["box"],
        "triangles": opened["count"],
        "missing_textures": opened["missing"],
        "light": light,
        "settings": asdict(settings),
    }
    write_metadata(folder, settings.layout, cameras.poses, cameras.intrinsics, about)
    return list(opened["missing"])
