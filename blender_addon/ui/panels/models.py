"""The models: which are needed, what is here, their licences, and the buttons that get them."""

from __future__ import annotations

from typing import Any

import bpy

from ...ground.messages import SetDresserError
from ...settings import parameters, preparing, properties
from ...state import catalogue, desk
from ...state.models import BROKEN, DOWNLOADING, PARTIAL, READY, Model, at_fault
from .cures import draw_cures
from .text import draw_text, duration

ICONS = {READY: "CHECKMARK", DOWNLOADING: "IMPORT", PARTIAL: "PAUSE", BROKEN: "ERROR"}
GET = {PARTIAL: "Resume", BROKEN: "Download Again"}
ASK = "Models of this server are for its administrators to download"
STAGES = {
    "queued": "Waiting for its turn",
    "waiting": "Another program is at it",
    "asking": "Asking the hub",
    "checking": "Looking at what is there",
    "elsewhere": "Another program is at it",
}


def needed_models(scene: bpy.types.Scene) -> list[str]:
    """The ids of the models that the chosen preparations and pipeline need, with the parameters that are set."""
    found: list[str] = []
    for description, values in _chosen(scene):
        found += catalogue.models_of(description, values)
    return list(dict.fromkeys(found))


def _chosen(scene: bpy.types.Scene) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What is chosen, as the backend describes it, with its values: the preparations, and the pipeline last."""
    chosen = [(preparing.described(identifier), values) for identifier, values in preparing.values(scene).items()]
    pipeline = properties.chosen_pipeline(scene.set_dresser)
    described = catalogue.description_of(desk.current.pipelines, pipeline)
    chosen.append((described, parameters.pipelines.values(scene, pipeline)))
    return [(description, values) for description, values in chosen if description is not None]


def models_hindrance(scene: bpy.types.Scene) -> str:
    """Why a job could not run for want of models; "" if it could, as far as is known."""
    return lack(desk.current.models.not_ready(needed_models(scene)))


def lack(missing: list[Model]) -> str:
    """That these models are missing, in a few words; "" if there are none."""
    if not missing:
        return ""
    if all(model.doing == "download" for model in missing):
        return "A model is still being downloaded"
    names = ", ".join(model.title for model in missing)
    return f"A model must be downloaded first: {names}" if len(missing) == 1 else f"Models are missing: {names}"


def draw_missing_models(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What Generate waits for, with the buttons that get it."""
    wanted = needed_models(context.scene)
    for model in desk.current.models.not_ready(wanted):
        _draw_model(layout.box(), context, model)
    if wanted and not desk.current.models.known and _lacking(context.scene):
        layout.operator("set_dresser.refresh", text="Look for Models", icon="VIEWZOOM")


def _lacking(scene: bpy.types.Scene) -> bool:
    """Whether the backend said, when it ran last, that what is chosen could not run."""
    return any(not description.get("ready", True) for description, _ in _chosen(scene))


def draw_model_at_fault(
    layout: bpy.types.UILayout, context: bpy.types.Context, problem: SetDresserError | None
) -> None:
    """Below an error: the model that it says is missing or damaged, unless it is here by now or shown anyway."""
    model = desk.current.models.known.get(at_fault(problem))
    if model is not None and model.state != READY and model.id not in needed_models(context.scene):
        _draw_model(layout, context, model)


def draw_models(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """All of them: those that are needed now first, each folded away."""
    known = desk.current.models.known
    row = layout.row()
    row.label(text=_summary(list(known.values())))
    row.operator("set_dresser.refresh", text="", icon="FILE_REFRESH")
    wanted = needed_models(context.scene)
    for model in sorted(known.values(), key=lambda each: each.id not in wanted):
        header, body = layout.panel(f"SET_DRESSER_model_{model.id}", default_closed=True)
        header.label(text=model.title, icon=_icon(model))
        if body is not None:
            _draw_model(body, context, model, titled=False)


def _summary(models: list[Model]) -> str:
    if not models:
        return "Listed once the backend has run"
    return f"{sum(model.state == READY for model in models)} of {len(models)} are ready"


def _icon(model: Model) -> str:
    return "SORTTIME" if model.doing == "verify" else ICONS.get(model.state, "RADIOBUT_OFF")


def _draw_model(layout: bpy.types.UILayout, context: bpy.types.Context, model: Model, titled: bool = True) -> None:
    """One model: its state in a sentence, its licence until that is accepted, and what can be done."""
    models = desk.current.models
    column = layout.column()
    if titled:
        column.label(text=model.title, icon=_icon(model))
    if model.busy:
        _draw_progress(column, context, model)
        return
    draw_text(column, context, state_text(model))
    allowed = desk.current.server.administrator
    if not allowed and model.state != READY:
        draw_text(column, context, ASK, icon="INFO")
    elif model.licence_needed and model.state != READY:
        _draw_licence(column, context, model, model.id in models.agreed)
    elif model.licence:
        draw_text(column, context, f"Licence: {_licence_name(model)}")
    if (problem := models.problem(model.id)) is not None:
        draw_text(column, context, problem.message, icon="ERROR", alert=True)
        draw_text(column, context, problem.hint)
        draw_cures(column, context, problem.code)
    if allowed:
        _draw_buttons(column, model, model.id in models.agreed)


def state_text(model: Model) -> str:
    """Like "About 5.1 GB to download"."""
    if model.state == READY:
        checked = ", every byte checked" if model.verified else ""
        place = "the server" if desk.current.server.remote else "this computer"
        return f"On {place}, {amount(model.bytes)}{checked}"
    if model.state == PARTIAL:
        return f"{amount(model.present)} of {amount(model.size)} are here"
    if model.state == BROKEN:
        return "A file is damaged; download it again"
    return f"About {amount(model.total)} to download"


def progress_text(model: Model) -> str:
    """Like "320 MB of 5.1 GB, 12 MB/s, 6 min left"."""
    if model.stage in STAGES and not model.of:
        return STAGES[model.stage]
    parts = [f"{amount(model.done)} of {amount(model.of)}"]
    if model.rate:
        parts.append(f"{amount(int(model.rate))}/s")
    if model.eta is not None:
        parts.append(f"{duration(model.eta)} left")
    return ", ".join(parts)


def _draw_progress(layout: bpy.types.UILayout, context: bpy.types.Context, model: Model) -> None:
    fraction = model.done / model.of if model.of else 0.0
    layout.progress(factor=min(max(fraction, 0.0), 1.0), text=progress_text(model))
    if model.waits:
        draw_text(layout, context, model.waits, icon="INFO")
    if model.stage != "elsewhere" and desk.current.server.administrator:
        text = "Pause" if model.doing == "download" else "Stop"
        icon = "PAUSE" if model.doing == "download" else "X"
        layout.operator("set_dresser.pause_model", text=text, icon=icon).model = model.id


def _draw_licence(layout: bpy.types.UILayout, context: bpy.types.Context, model: Model, agreed: bool) -> None:
    """What must be read, and the box to tick, before the first download."""
    draw_text(layout, context, f"Licence: {_licence_name(model)}", icon="INFO")
    small = layout.column()
    small.scale_y = 0.8
    draw_text(small, context, model.licence_note)
    if model.page.startswith(("https://", "http://")):
        layout.operator("wm.url_open", text="Open the Licence", icon="URL").url = model.page
    row = layout.row()
    row.alignment = "LEFT"
    icon = "CHECKBOX_HLT" if agreed else "CHECKBOX_DEHLT"
    button = row.operator("set_dresser.agree_to_licence", text="I accept this licence", icon=icon, emboss=False)
    button.model = model.id


def _draw_buttons(layout: bpy.types.UILayout, model: Model, agreed: bool) -> None:
    row = layout.row(align=True)
    if model.state == READY:
        row.operator("set_dresser.verify_model", icon="VIEWZOOM").model = model.id
    else:
        get = row.row(align=True)
        get.enabled = agreed or not model.licence_needed
        button: Any = get.operator("set_dresser.download_model", text=GET.get(model.state, "Download"), icon="IMPORT")
        button.model = model.id
    if model.ours:
        row.operator("set_dresser.remove_model", text="", icon="TRASH").model = model.id


def _licence_name(model: Model) -> str:
    return model.licence.removeprefix("LicenseRef-")


def amount(count: int) -> str:
    """Bytes, as people say it."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
