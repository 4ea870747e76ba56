"""Preferences and folders → what is to be installed; and whether it may be."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import bpy

from ..ground import folders, preferences
from ..ground.messages import SetDresserError
from ..installer.builds import AUTOMATIC, BUILDS, NONE, builds_for, platform_name
from ..installer.plan import PYTHON, Plan, blenders_python
from ..installer.records import python_of
from ..wire.address import parse
from . import environment, offline_folder, tokens
from .greeting import Studio
from .installation import Installation, InstallationState

THIS_COMPUTER, SERVER = "THIS_COMPUTER", "SERVER"
"""What the preference `backend` may be."""


def make_plan(build: str = "", offline: str | os.PathLike[str] | None = None, repair: bool = False) -> Plan:
    """The plan that the preferences ask for; `build` and `offline` count before them.

    Raises NotSetUp: if this copy of the add-on has no backend; SetDresserError: if there is no such build or folder.
    """
    chosen = preferences.get()
    build = build or chosen.torch_build or AUTOMATIC
    if build not in (AUTOMATIC, NONE, *builds_for(platform_name())):
        known = ", ".join([AUTOMATIC, NONE, *builds_for(platform_name())])
        reason = "is not made for this system" if build in BUILDS else "does not exist"
        raise SetDresserError(f"The PyTorch build '{build[:40]}' {reason}.", f"Use one of: {known}.", "build-unknown")
    folder = os.fspath(offline) if offline is not None else chosen.offline_folder
    folder = bpy.path.abspath(folder) if folder else ""
    python = PYTHON
    if folder:
        with contextlib.suppress(SetDresserError):  # `check_permission` says what is wrong with it
            contents = offline_folder.read(Path(folder))
            build, python = contents.torch if build == AUTOMATIC else build, contents.python
    bundle = environment.backend_folder()
    return Plan(
        requirements=str(bundle / "requirements"),
        backend=str(bundle),
        user=str(folders.user()),
        build=build,
        offline=folder,
        repair=repair,
        base_python=blenders_python(),
        wheels=str(bundle / "wheels"),
        python=python,
    )


def server_environment(installation: Installation) -> environment.Environment:
    """What the server is started with. Raises NotSetUp."""
    user = folders.user()
    chosen = preferences.get()
    data = Path(bpy.path.abspath(chosen.data_folder)) if chosen.data_folder else user / "data"
    python = environment.find_python(bpy.path.abspath(chosen.python_path), installation.folder)
    return environment.Environment(
        python=python,
        backend=environment.backend_folder(),
        data=data,
        user=user,
        models=Path(bpy.path.abspath(chosen.models_folder)) if chosen.models_folder else None,
        online=bpy.app.online_access,
        idle_seconds=60.0 * chosen.idle_minutes,
    )


def uses_a_studio() -> bool:
    """Whether the backend is a server that others reach too; nothing is installed or started here then."""
    return bool(preferences.get().backend == SERVER)


def studio() -> Studio:
    """The server that the preferences name, with the token that belongs to it. Raises SetDresserError that says what is
    missing."""
    chosen = preferences.get()
    address = parse(chosen.server_address)
    if not bpy.app.online_access and not address.loopback:
        hint = "Switch on Preferences > System > Network > Allow Online Access."
        message = "Blender is not allowed to go online, and the studio's server is elsewhere."
        raise SetDresserError(message, hint, "online-access")
    token = tokens.token_of(address)
    if not token:
        hint = "Enter it in the add-on's preferences; whoever runs the server gives it to you."
        raise SetDresserError(f"There is no token for {address.authority}.", hint, "token-missing")
    named = chosen.server_certificate.strip()
    return Studio(address, token, Path(bpy.path.abspath(named)).expanduser() if named else None)


def studio_known() -> tuple[bool, bool]:
    """Whether the preferences name an address, and whether there is a token for it."""
    try:
        return True, bool(tokens.token_of(parse(preferences.get().server_address)))
    except SetDresserError as error:
        return error.code != "address-invalid", False


def wanted(installation: Installation) -> environment.Environment | Studio:
    """What the preferences ask for. Raises SetDresserError."""
    return studio() if uses_a_studio() else server_environment(installation)


def look(installation: Installation) -> None:
    """See what lies on disk. A copy without a backend has nothing to install; `environment` says so."""
    try:
        installation.look(make_plan())
    except SetDresserError as error:
        installation.problem = error


def begin(installation: Installation) -> None:
    """Find out what this machine has, for the plan; or remove what is left of earlier environments."""
    try:
        if installation.state is InstallationState.COMPLETE:
            installation.tidy()
        elif installation.state is not InstallationState.INSTALLING:
            installation.look_at_machine()
    except SetDresserError as error:
        installation.problem = error


def uses_another_python() -> bool:
    """Whether a Python is named, so that the add-on's own environment does not count."""
    return bool(preferences.get().python_path.strip() or os.environ.get(environment.PYTHON_VARIABLE, "").strip())


def check_permission(plan: Plan) -> None:
    """Raises SetDresserError: if Blender must not go online, or the folder to install from cannot serve."""
    if plan.offline:
        offline_folder.check(plan)
    elif not bpy.app.online_access:
        hint = (
            "Switch on Preferences > System > Network > Allow Online Access, or choose an offline folder in the "
            "add-on's preferences. Once it is installed, the backend needs no network."
        )
        raise SetDresserError("Blender is not allowed to go online to fetch the backend.", hint, "online-access")


def describe(installation: Installation) -> dict[str, Any]:
    """As `api.installing.installation` says."""
    plan, problem, progress = installation.plan, installation.problem, installation.progress
    folder, record = installation.folder, installation.record
    return {
        "state": installation.state.name.lower(),
        "message": problem.message if problem else f"{installation.state.value} {installation.reason}".strip(),
        "hint": problem.hint if problem else "",
        "python": str(python_of(folder)) if folder else "",
        "build": record.build if record else plan.build if plan else "",
        "folder": str(folder or (plan.folder() if plan else "")),
        "download": plan.download if plan else 0,
        "disk": plan.disk if plan else 0,
        "step": progress.step if installation.installing else "",
        "written": progress.written,
        "rate": progress.rate,
        "log": str(plan.log) if plan else "",
    }
