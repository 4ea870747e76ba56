"""What will be installed, its progress, and the one button that does whatever is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy

from ...backend_process import setting_up
from ...backend_process.installation import Installation, InstallationState
from ...ground import preferences
from ...installer.builds import AUTOMATIC, BUILDS, NONE
from ...installer.plan import Plan
from ...state import desk
from .cures import draw_cures
from .text import draw_text

BUTTONS = {
    InstallationState.INTERRUPTED: "Finish Installing",
    InstallationState.OUTDATED: "Update",
    InstallationState.BROKEN: "Repair",
}


def draw_installation(layout: bpy.types.UILayout, context: bpy.types.Context, everything: bool = False) -> None:
    """The installation, as long as there is something to do about it; with `everything` also when there is not."""
    installation = desk.current.installation
    if desk.current.studio or installation.plan is None or setting_up.uses_another_python():
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
    if complete:
        _draw_facts(box, context, installation)
    elif installation.state is InstallationState.NOT_INSTALLED:
        _draw_choice(box, context, installation)
    else:
        for line in describe(installation):
            draw_text(box, context, line)
    if installation.problem is not None:
        draw_text(box, context, installation.problem.message, icon="ERROR", alert=True)
        draw_text(box, context, installation.problem.hint)
        draw_cures(box, context, installation.problem.code)
    if installation.state is not InstallationState.NOT_INSTALLED:
        row = box.row(align=True)
        row.scale_y = 1.4
        text = BUTTONS.get(installation.state, "Repair")
        button = row.operator("set_dresser.install", text=text, icon="FILE_REFRESH" if complete else "IMPORT")
        button.repair = complete
        row.operator("set_dresser.open_installation_log", text="", icon="TEXT")
    _draw_build(box, context, installation)


def _draw_choice(layout: bpy.types.UILayout, context: bpy.types.Context, installation: Installation) -> None:
    """Everything, or inflate only: what each takes, and its button."""
    assert installation.plan is not None
    chosen = installation.plan.build
    learned = chosen if chosen != NONE else str(installation.machine.get("build") or AUTOMATIC)
    for build, text in ((learned, "Install Everything"), (NONE, "Inflate Only")):
        column = layout.column()
        row = column.row()
        row.scale_y = 1.4
        row.operator("set_dresser.install", text=text, icon="IMPORT").build = build
        draw_text(column, context, summary(installation, replace(installation.plan, build=build)))
    if installation.machine.get("note") and learned == installation.machine.get("build"):
        draw_text(layout, context, installation.machine["note"], icon="INFO")


def _draw_build(layout: bpy.types.UILayout, context: bpy.types.Context, installation: Installation) -> None:
    """Which PyTorch, for those who know, and where all of it goes."""
    chosen, plan = preferences.get(), installation.plan
    assert plan is not None
    header, body = layout.panel("SET_DRESSER_build", default_closed=True)
    header.label(text="Details")
    if body is None:
        return
    column = body.column()
    if isinstance(chosen, bpy.types.AddonPreferences):
        column.label(text="PyTorch")
        column.prop(chosen, "torch_build", text="")
    for line in (f"Into {_short(plan.environments)}", "Blender's own Python stays as it is."):
        draw_text(column, context, line)
    column.operator("set_dresser.open_installation_log", icon="TEXT")


def _draw_facts(layout: bpy.types.UILayout, context: bpy.types.Context, installation: Installation) -> None:
    """What is installed, and where."""
    if installation.record is None:
        return
    facts = installation.record.facts
    torch = f", PyTorch {facts['torch']} on {facts['device']}" if "torch" in facts else ", no learned pipelines"
    draw_text(layout, context, f"Python {facts.get('python', installation.record.python)}{torch}")
    draw_text(layout, context, f"In {_short(installation.folder)}")


def describe(installation: Installation) -> list[str]:
    """The plan in sentences: which build and why, how large and from where."""
    plan, machine = installation.plan, installation.machine
    assert plan is not None
    note = [machine["note"]] if machine.get("note") and plan.build == machine.get("build") else []
    return [summary(installation, plan), *note]


def summary(installation: Installation, plan: Plan) -> str:
    """What a plan installs, how large it is and where it comes from."""
    machine = installation.machine
    if plan.build == AUTOMATIC:
        return "Looking at what this machine has."
    if plan.build == NONE:
        what = "Small and quick, no PyTorch."
    else:
        device = f", for {machine['device']}" if machine.get("device") else ""
        what = f"All pipelines, PyTorch for {BUILDS[plan.build].title}{device}."
    size = f"about {amount(plan.disk)} on disk"
    source = f"From {plan.offline}" if plan.offline else f"About {amount(plan.download)} to download"
    return f"{what} {source}, {size}."


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
