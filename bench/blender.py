"""Blender figures, measured inside the bpy module: import times, and how long the main thread is held during a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
COUNTS = (1, 10, 100)
TRIANGLES = 20_000
REPEATS = 3


def run_backend(module: str, *arguments: str) -> Any:
    """The JSON that a module prints in the backend's environment."""
    python = os.environ.get("SET_DRESSER_PYTHON") or sys.exit("SET_DRESSER_PYTHON must name the backend's Python.")
    command = [python, "-m", module, *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def import_times(folder: Path) -> list[dict[str, Any]]:
    """Seconds to import n props of 20,000 triangles each; medians."""
    import bpy

    from blender_addon import importer

    rows = []
    for count in COUNTS:
        result = run_backend("bench.props", str(folder), str(count), str(TRIANGLES))
        seconds = []
        for _ in range(REPEATS):
            bpy.ops.wm.read_factory_settings(use_empty=True)
            began = time.perf_counter()
            names = importer.import_result(bpy.context, folder / "scene.glb", result, {})
            seconds.append(time.perf_counter() - began)
            if len(names) != count:
                raise RuntimeError(f"{len(names)} objects came in instead of {count}")
        size = (folder / "scene.glb").stat().st_size
        rows.append({"props": count, "triangles": count * TRIANGLES, "bytes": size, "seconds": median(seconds)})
    return rows


def slices(folder: Path) -> dict[str, float]:
    """Seconds that the main thread is held by a slice of the tick, over whole jobs, without rendering and import."""
    from blender_addon import api, session

    image, instances = folder / "image.png", folder / "instances.png"
    run_backend("bench.files", str(image), str(instances), "1024", "5")
    for _ in range(REPEATS):
        api.generate(source=image, labels=instances, wait=True, timeout=120)
    measured = session.current.slices
    figures = {"p95": measured.percentile(95), "longest": measured.longest(), "slices": float(len(measured.seconds))}
    figures["longest_import"] = session.current.imports.longest()
    api.shutdown()
    return figures


def main() -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["BLENDER_USER_RESOURCES"] = str(Path(name) / "user")  # before bpy reads it
        import bpy

        import blender_addon

        blender_addon.register()
        try:
            figures: dict[str, Any] = {"blender": bpy.app.version_string, "slices": slices(Path(name))}
            figures["import"] = import_times(Path(name))
        finally:
            blender_addon.unregister()
        return figures
