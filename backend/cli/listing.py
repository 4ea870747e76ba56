"""Commands that show what there is: pipelines, jobs, JSON schemas."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from backend.cli.output import say, say_json, table
from backend.contract import GenerateRequest, JobView, Result
from backend.errors import ERRORS
from backend.pipelines import PIPELINES
from backend.pipelines.base import MethodInfo, PipelineInfo


def errors_schema() -> dict[str, Any]:
    """The JSON schema of a problem document, with every code that there is."""
    codes = [
        {"const": code, "title": kind.title, "description": kind.hint, "status": kind.status}
        for code, kind in ERRORS.items()
    ]
    texts = {name: {"type": "string"} for name in ("type", "title", "detail", "hint")}
    return {
        "title": "Problem",
        "type": "object",
        "properties": {**texts, "status": {"type": "integer"}, "code": {"oneOf": codes}},
        "required": [*texts, "status", "code"],
    }


NO_CHANCE = "Nothing is left to chance: --seed has no effect."

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "request": GenerateRequest.model_json_schema,
    "result": Result.model_json_schema,
    "errors": errors_schema,
}


def schema(document: str) -> None:
    """Print one of the JSON schemas."""
    say_json(SCHEMAS[document]())


def pipelines(chosen: argparse.Namespace) -> None:
    """Print every pipeline with its parameters."""
    if chosen.json:
        from backend.server.views import PipelineView

        say_json([PipelineView.of(info).model_dump(mode="json") for info in PIPELINES.values()])
        return
    say(table(("PIPELINE", "VERSION", "TITLE", "PICTURES", "GPU", "LICENCE"), [_row(i) for i in PIPELINES.values()]))
    for info in PIPELINES.values():
        say(f"\n{info.id}: {info.description}{'' if info.chance else f' {NO_CHANCE}'}")
        rows = [
            (f"--{name.replace('_', '-')}", values_of(field), field.get("default", ""), field.get("description", ""))
            for name, field in properties(info).items()
        ]
        say(table(("OPTION", "VALUES", "DEFAULT", "MEANING"), rows))


def jobs(chosen: argparse.Namespace) -> None:
    """Print the newest jobs, those of every server on the data folder."""
    from backend.jobs.service import JobService

    service = JobService(chosen.data)
    try:
        views = service.list()
    finally:
        service.stop()
    if chosen.json:
        say_json([view.model_dump(mode="json") for view in views])
    elif views:
        rows = [(view.id, _state(view), view.pipeline, view.created, view.name) for view in views]
        say(table(("JOB", "STATE", "PIPELINE", "CREATED", "NAME"), rows))
    else:
        say("There are no jobs.")


def properties(info: MethodInfo) -> dict[str, dict[str, Any]]:
    """The JSON schema of each of a method's parameters, by name."""
    found: dict[str, dict[str, Any]] = info.parameters.model_json_schema().get("properties", {})
    return found


def values_of(field: dict[str, Any]) -> str:
    """What a parameter takes, in words: a range, a choice, or a type."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    least = field.get("minimum", field.get("exclusiveMinimum"))
    most = field.get("maximum", field.get("exclusiveMaximum"))
    if least is None and most is None:
        return str(field.get("type", "any"))
    return f"{'' if least is None else least} to {'' if most is None else most}".strip()


def _state(view: JobView) -> str:
    early = ", ended early" if view.finished_early else ""
    return f"{view.state.value}{early}{', can be continued' if view.can_continue else ''}"


def _row(info: PipelineInfo) -> tuple[str, ...]:
    least, most = info.images
    pictures = str(least) if least == most else f"{least} to {most}"
    memory = f"{info.memory_bytes / 1e9:.0f} GB" if info.memory_bytes else "none"
    return info.id, info.version, info.title, pictures, memory, info.licence
