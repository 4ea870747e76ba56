"""What will be installed, its progress, and the one button that does whatever is needed."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import preferences, session, setting_up
from ..installation import Installation, InstallationState
from ..installer.builds import AUTOMATIC, BUILDS, NONE
from .text import draw_text

BUTTONS = {
    InstallationState.NOT_INSTALLED: "Install",
    InstallationState.INTERRUPTED: "Finish Installing",
    InstallationState.OUTDATED: "Update",
    InstallationState.BROKEN: "Repair",
}


def draw_installation(layout: bpy.types.UILayout, context: bpy.types.Context, everything: bool = False) -> None:
    """The installation, as long as there is something to do about it; with `everything` also when there is not."""
    installation = session.current.installation
    if installation.plan is None or setting_up.uses_another_python():
        return
    if installation.state is InstallationState.COMPLETE and installation.problem is None and not everything:
        return
    box = layout.box()
    if installation.state is InstallationState.INSTALLING:
        _draw_progress(box, context, installation)
        return
    complete = installation.state is InstallationState.COMPLETE
    icon = "CHECKMARK" if complete else "ERROR" if installation.state is InstallationState.BROKEN else "IMPORT"
    draw_text(box, context, f"{installation.state.value} {installation.reason}".strip(), icon=icon)
    _draw_plan(box, context, installation)
    if installation.problem is not None:
        draw_text(box, context, installation.problem.message, icon="ERROR", alert=True)
        draw_text(box, context, installation.problem.hint)
    row = box.row(align=True)
    row.scale_y = 1.4
    button = row.operator(
        "set_dresser.install",
        text=BUTTONS.get(installation.state, "Repair"),
        icon="FILE_REFRESH" if complete else "IMPORT",
    )
    button.repair = complete
    row.operator("set_dresser.open_installation_log", text="", icon="TEXT")


def _draw_plan(layout: bpy.types.UILayout, context: bpy.types.Context, installation: Installation) -> None:
    plan, chosen = installation.plan, preferences.get()
    assert plan is not None
    column = layout.column()
    if isinstance(chosen, bpy.types.AddonPreferences):
        column.use_property_split = True
        column.prop(chosen, "torch_build")
    if installation.record is not None and installation.state is InstallationState.COMPLETE:
        facts = installation.record.facts
        torch = f", PyTorch {facts['torch']} on {facts['device']}" if "torch" in facts else ", no learned pipelines"
        draw_text(column, context, f"Python {facts.get('python', installation.record.python)}{torch}")
        draw_text(column, context, f"In {_short(installation.folder)}")
        return
    for line in describe(installation):
        draw_text(column, context, line)


def describe(installation: Installation) -> list[str]:
    """The plan in sentences: which build and why, how large, from where, where to."""
    plan, machine = installation.plan, installation.machine
    assert plan is not None
    lines = []
    if plan.build == AUTOMATIC:
        lines.append("Looking at what this machine has.")
    elif plan.build == NONE:
        lines.append("The inflate pipeline only; small and quick.")
    else:
        device = f", for {machine['device']}" if machine.get("device") else ""
        lines.append(f"All pipelines, PyTorch for {BUILDS[plan.build].title}{device}.")
    if machine.get("note") and plan.build == machine.get("build"):
        lines.append(machine["note"])
    size = f"about {amount(plan.disk)} on disk"
    lines.append(
        f"From {plan.offline}; {size}." if plan.offline else f"About {amount(plan.download)} to download, {size}."
    )
    return [*lines, f"Into {_short(plan.environments)}", "Blender's own Python stays as it is."]


def _short(path: Path | None) -> str:
    """A path as people write it, the home folder as ~."""
    text, home = str(path), str(Path.home())
    return "~" + text[len(home) :] if text.startswith(home) else text


def _draw_progress(layout: bpy.types.UILayout, context: bpy.types.Context, installation: Installation) -> None:
    progress = installation.progress
    if not installation.installing:
        draw_text(layout, context, "Another Blender is installing the backend.", icon="SORTTIME")
        return
    draw_text(layout, context, "Stopping" if installation.cancelling else progress.text or "Starting", icon="IMPORT")
    layout.progress(factor=progress.fraction, text=progress_text(installation))
    row = layout.row(align=True)
    row.operator("set_dresser.cancel_install", icon="X")
    row.operator("set_dresser.open_installation_log", text="", icon="TEXT")


def progress_text(installation: Installation) -> str:
    """Like 320 MB of about 1.4 GB, 12 MB/s; empty before anything has come."""
    progress = installation.progress
    if not progress.written:
        return ""
    rate = f", {amount(int(progress.rate))}/s" if progress.rate > 1e5 else ""
    return f"{amount(progress.written)} of about {amount(progress.total)}{rate}"


def amount(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
