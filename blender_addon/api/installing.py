"""The backend's environment as Python calls; see `api`."""

from __future__ import annotations

import os
from typing import Any

import bpy

from .. import session
from ..backend_process import setting_up
from ..state import desk
from ..work import server_life
from .waiting import wait_until


def install(
    build: str = "",
    *,
    repair: bool = False,
    offline_folder: str | os.PathLike[str] | None = None,
    wait: bool | None = None,
    timeout: float = 3600.0,
) -> dict[str, Any]:
    """Install the backend's own Python environment, or finish, update or extend it; Blender's Python is not changed.

    Args:
        build: the build of PyTorch: "auto" for what suits the machine, "none" for no learned pipelines, or "cpu",
            "cu126", "cu130", "rocm7.2", "mps"; the preferences' choice if left out.
        repair: make it anew, from new downloads.
        offline_folder: install from this folder, made by `build_addon.py --offline`; the preferences' if left out.
        wait: whether to return only when it is done; by default in background mode only.
        timeout: longest wait in seconds; it goes on then.

    Returns `installation()`. Raises SetDresserError: if it must not go online, or, if it waits, if it fails.
    """
    known = desk.current.installation
    offline = None if offline_folder is None else os.fspath(offline_folder)
    server_life.install(session.current.line, build, offline, repair)
    if bpy.app.background if wait is None else wait:
        wait_until(lambda: not known.installing, timeout, "The installation has not ended")
        if known.problem is not None:
            raise known.problem
    return installation()


def installation() -> dict[str, Any]:
    """What is known of the backend's environment; asks nobody.

    state: not_installed, interrupted, installing, complete, outdated or broken; message, hint: in sentences; python:
    of the environment that may be started, "" if none may; build, folder, download, disk: what would be, or is being,
    installed, where, and bytes, about; step, written, rate: while it is installed; log: the installer's.
    """
    return setting_up.describe(desk.current.installation)
