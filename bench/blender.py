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

from bench.amounts import INSTANCES, Amount

ROOT = Path(__file__).parents[1]


def run_backend(module: str, *arguments: str) -> Any:
    """The JSON that a module prints in the backend's environment."""
    python = os.environ.get("SET_DRESSER_PYTHON") or sys.exit("SET_DRESSER_PYTHON must name the backend's Python.")
    command = [python, "-m", module, *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def import_times(folder: Path, amount: Amount) -> list[dict[str, Any]]:
    """Seconds to import n props; medians."""
    import bpy

    from blender_addon.props import importer

    rows = []
    for count in amount.props:
        result = run_backend("bench.props", str(folder), str(count), str(amount.triangles))
        seconds = []
        for _ in range(amount.repeats):
            bpy.ops.wm.read_factory_settings(use_empty=True)
            began = time.perf_counter()
            names = importer.import_result(bpy.context, folder / "scene.glb", result, {})
            seconds.append(time.perf_counter() - began)
            if len(names) != count:
                raise RuntimeError(f"{len(names)} objects came in instead of {count}")
        size = (folder / "scene.glb").stat().st_size
        rows.append({"props": count, "triangles": count * amount.triangles, "bytes": size, "seconds": median(seconds)})
    return rows


def slices(folder: Path, amount: Amount) -> dict[str, float]:
    """Seconds that the main thread is held by a slice of the tick, over whole jobs, without rendering and import."""
    import blender_addon
    from blender_addon import session

    image, instances = folder / "image.png", folder / "instances.png"
    run_backend("bench.files", str(image), str(instances), str(amount.side), str(INSTANCES))
    for _ in range(amount.repeats):
        blender_addon.generate(source=image, labels=instances, wait=True, timeout=120)
    measured = session.current.line.slices
    figures = {"p95": measured.percentile(95), "longest": measured.longest(), "slices": float(len(measured.seconds))}
    figures["longest_import"] = session.current.line.imports.longest()
    blender_addon.shutdown()
    return figures


def main(amount: Amount) -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["BLENDER_USER_RESOURCES"] = str(Path(name) / "user")  # before bpy reads it
        import bpy

        import blender_addon

        blender_addon.register()
        try:
            figures: dict[str, Any] = {"blender": bpy.app.version_string, "slices": slices(Path(name), amount)}
            figures["import"] = import_times(Path(name), amount)
        finally:
            blender_addon.unregister()
        return figures
