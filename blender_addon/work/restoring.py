"""The settings of a former job, back in the panel: pipeline, parameters, seed, preparations, and where pictures came
from as far as that is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import bpy

from ..capture import sentences
from ..ground.messages import SetDresserError
from ..ground.references import of_session
from ..settings import parameters, properties
from ..state.desk import Desk
from ..state.job import JobRecord
from ..wire.tasks import Steps
from . import results
from .line import Line


def hindrance(record: JobRecord) -> str:
    """Why the settings of a job cannot be had; "" if they can."""
    known = bool(record.request) or results.RESULT in record.files
    return "" if known else "Nothing is kept of the settings of this job"


def restore(line: Line, record: JobRecord, scene: bpy.types.Scene) -> None:
    """Put them into the scene's panel: at once if this Blender made the job, else when its result has come.

    Raises SetDresserError: if nothing is kept of them, or the pipeline is not there any more.
    """
    if record.request:
        put(line.desk, scene, record.request)
        return
    if reason := hindrance(record):
        raise SetDresserError(f"{reason}.", "Only jobs that are done keep them after a restart.", "settings-unknown")
    line.begin(_fetched(line, record, scene.session_uid), lambda error: line.desk.report(error, record.id))


def _fetched(line: Line, record: JobRecord, scene: int) -> Steps[None]:
    path = results.folder_of(record.id) / results.RESULT
    yield from results.fetch_file(line, record.id, results.RESULT, path)
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        request = of_result(result)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = "The job's result.json cannot be read."
        raise SetDresserError(message, "Generate it again.", "result-invalid", repr(error)) from error
    found = of_session(bpy.data.scenes, scene)
    if found is not None:  # else it was closed meanwhile
        put(line.desk, found, request)
    line.desk.changed()


def of_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """The request, as far as a result tells of it. Raises KeyError, TypeError, AttributeError for others."""
    prepared = {name: dict(about.get("parameters") or {}) for name, about in result.get("prepared", {}).items()}
    roles = {row["role"] for row in result["inputs"]}
    source = "PHOTOS" if result.get("photos") else "CAMERA" if "depth" in roles else ""
    return {
        "pipeline": str(result["pipeline"]["id"]),
        "parameters": dict(result["parameters"]),
        "seed": int(result["seed"]),
        "prepare": prepared,
        "source": source,
    }


def put(desk: Desk, scene: bpy.types.Scene, request: Mapping[str, Any]) -> None:
    """Set the panel. Raises SetDresserError if the pipeline is not there any more."""
    settings, pipeline = scene.set_dresser, str(request["pipeline"])
    if properties.description_of(desk.pipelines, pipeline) is None:
        message = f"The pipeline '{pipeline[:40]}' is not there any more."
        raise SetDresserError(message, "Refresh the list of jobs, or choose another pipeline.", "pipeline-unknown")
    settings.pipeline_id = pipeline
    parameters.pipelines.put(scene, pipeline, request.get("parameters") or {})
    settings.seed = int(request.get("seed") or 0)
    prepare = request.get("prepare") or {}
    settings.imagine = properties.IMAGINE in prepare
    if sentences.TEXT in prepare:
        settings.source_id = properties.SENTENCE[0]
        settings.text = str(prepare[sentences.TEXT].get(sentences.PROMPT) or "")
    elif settings.source_id == properties.SENTENCE[0]:
        settings.source_id = properties.SOURCES[0][0]  # it was no text: which picture it was is not known
    if source := request.get("source"):
        settings.source_id = source
    for name, values in prepare.items():
        parameters.preparations.put(scene, name, values)
    if properties.SEGMENT in prepare:
        settings.labels = "FIND"
