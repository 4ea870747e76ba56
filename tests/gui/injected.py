"""Inside a Blender that is only looked at: what a backend would have told, and a list of jobs that have ended."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy

STAGE = Path("/stage")
LIGHT = "interface_theme/Blender_Light.xml"
JOBS = (
    ("Sofa, Table + 1", "midi", "done", 3),
    ("Lamp", "inflate", "failed", 12),
    ("square.png", "inflate", "done", 60 * 20),
)


def inject(name: str) -> None:
    """Give the add-on pipelines, preparations and jobs."""
    session = importlib.import_module(f"{name}.session")
    desk = session.current.desk
    job = importlib.import_module(f"{name}.state.job")
    lists = importlib.import_module(f"{name}.work.lists")
    messages = importlib.import_module(f"{name}.ground.messages")
    views = json.loads((STAGE / "views.json").read_text(encoding="utf-8"))
    lists.take_pipelines(desk, views["pipelines"])
    lists.take_preparations(desk, views["preparations"])
    session.register_parameters(desk)
    for number, (title, pipeline, state, minutes) in enumerate(JOBS):
        created = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
        record = job.JobRecord(id=f"{number:032x}", name=title, pipeline=pipeline, state=state, created=created)
        if state == "failed":
            record.problem = messages.SetDresserError("The picture shows no object.", "Point the camera at one.")
        desk.jobs[record.id] = record
    importlib.import_module(f"{name}.work.job_list").sync(desk)
    desk.take_storage({"jobs": len(JOBS), "bytes": 1_234_000_000, "keep_bytes": None})


def choose(pipeline: str) -> None:
    bpy.context.scene.set_dresser.pipeline = pipeline


def scale(factor: float) -> None:
    bpy.context.preferences.view.ui_scale = factor


def theme(name: str) -> None:
    if name == "dark":
        bpy.ops.preferences.reset_default_theme()
        return
    folders: list[Any] = bpy.utils.preset_paths(LIGHT.partition("/")[0])
    (path,) = (file for folder in folders for file in Path(folder).glob(Path(LIGHT).name))
    menu = SimpleNamespace(preset_xml_map=bpy.types.USERPREF_MT_interface_theme_presets.preset_xml_map)
    importlib.import_module("rna_xml").xml_file_run(bpy.context, str(path), menu.preset_xml_map)
