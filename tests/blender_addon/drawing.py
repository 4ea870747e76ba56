"""Panels drawn on a recorder, with pipelines and jobs that no backend has told of."""

from __future__ import annotations

import builtins
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.state.job import JobRecord
from blender_addon.ui.panels import SET_DRESSER_PT_jobs, SET_DRESSER_PT_main
from blender_addon.work import job_list
from tests.blender_addon.recorder import Recorder

PIPELINES = [
    {
        "id": "test-one",
        "title": "One",
        "description": "Makes one.",
        "parameters": {"properties": {"detail": {"type": "integer", "default": 3}}},
    },
    {"id": "test-two", "title": "Two", "description": "", "parameters": {"properties": {}}},
]


PREPARATIONS = [
    {
        "id": "segment",
        "title": "Find objects",
        "finds_instances": True,
        "parameters": {
            "properties": {
                "labels": {"type": "string", "default": "", "control": "words", "wanted": True},
                "boxes": {"type": "array", "default": [], "control": "boxes", "wanted": True},
                "threshold": {"type": "number", "default": 0.3},
            }
        },
    },
    {
        "id": "imagine",
        "title": "Imagine",
        "needs_depth": True,
        "needs_instances": True,
        "chance": True,
        "memory_bytes": 12_000_000_000,
        "licence_note": "Not for everything.",
        "parameters": {"properties": {"prompt": {"type": "string", "default": ""}}},
    },
    {
        "id": "text",
        "title": "Text",
        "makes_picture": True,
        "chance": True,
        "licence_note": "Read Attachment A.",
        "parameters": {
            "properties": {
                "prompt": {
                    "type": "string",
                    "default": "",
                    "examples": ["a red armchair"],
                    "control": "sentence",
                    "wanted": True,
                },
                "candidates": {"type": "integer", "default": 4},
            }
        },
    },
]


def refuse(*arguments: Any, **named: Any) -> Any:
    raise AssertionError(f"drawing touches the outside: {arguments[:1]}")


def draw() -> Recorder:
    """Both panels as they are now; opening a file or a connection fails the test."""
    layout = Recorder()
    outside = ((builtins, "open"), (socket, "socket"), (os, "stat"), (os, "scandir"), (Path, "stat"), (Path, "open"))
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in outside:
            patch.setattr(owner, name, refuse)
        for panel in (SET_DRESSER_PT_main, SET_DRESSER_PT_jobs):
            panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def record(**values: Any) -> JobRecord:
    made = JobRecord(**{"id": "abc", "name": "Shot", "pipeline": "test-one", **values})
    session.current.desk.jobs[made.id] = made
    return made


def mark(identifier: str) -> None:
    """Click a row of the list of jobs."""
    job_list.sync(session.current.desk)
    manager = bpy.context.window_manager
    manager.set_dresser_job_index = [row.name for row in manager.set_dresser_jobs].index(identifier)


def buttons_of(layout: Recorder, operator: str) -> list[str]:
    return [drawn.given.job for drawn in layout.drawn if getattr(drawn, "operator", "") == operator]
