"""What a job has made: fetched into a folder of this Blender's, and brought into the scene."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from ..answers.questions import Question
from ..ground import folders, moments
from ..ground.messages import SetDresserError
from ..ground.privacy import private_folder
from ..state.job import JobRecord
from ..wire.sinks import ResumedFile
from ..wire.tasks import Steps
from .line import Line

RESULT, SCENE, THUMBNAIL = "result.json", "scene.glb", "thumbnail.png"

IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""What a job is called by the server; it becomes the name of a folder here."""


def folder_of(identifier: str, create: bool = True) -> Path:
    """Where a job's fetched result lies, for as long as this Blender runs. Raises SetDresserError for what is no id."""
    if not IDENTIFIER.fullmatch(identifier):
        hint = "Check the address of the server; if it is right, have whoever runs it look at it."
        raise SetDresserError("The server's list of jobs cannot be understood.", hint, "invalid", identifier[:100])
    folder = folders.temporary() / "results" / identifier
    if create:
        private_folder(folders.temporary())
        private_folder(folder)
    return folder


def picture_path(question: Question, name: str) -> Path:
    """Where a picture of a question lies, once it has been fetched."""
    return folder_of(question.job, create=False) / question.digest / name


def bring_in(line: Line, record: JobRecord) -> Steps[None]:
    """Fetch the result, unless it is here, and import it as soon as Blender can.

    It is fetched only when it can come in: what somebody has had does not come by itself after a crash.
    """
    record.problem = None
    yield from _wait(line, record)
    yield from fetch(line, record)
    yield from _wait(line, record)
    with line.holding(line.imports):
        line.place(record)
    record.arrival = "imported"
    line.desk.settle(record.id)
    line.desk.changed()


def _wait(line: Line, record: JobRecord) -> Steps[None]:
    while moments.import_hindrance():
        if record.arrival != "waiting":
            record.arrival = "waiting"
            line.desk.changed()
        yield


def fetch(line: Line, record: JobRecord) -> Steps[None]:
    """Have `result.json` and `scene.glb` in the job's folder."""
    record.arrival = "fetching"
    line.desk.changed()
    folder = folder_of(record.id)
    for name in (RESULT, SCENE):
        yield from fetch_file(line, record.id, name, folder / name)
    record.folder = folder


def fetch_file(line: Line, identifier: str, name: str, path: Path) -> Steps[None]:
    """Have one of a job's files here, unless it is."""
    if path.is_file():
        return
    if line.desk.server.remote:
        file = ResumedFile(path)
        yield from line.patiently(lambda client: client.resume(identifier, name, file))
    else:
        yield from line.ask(lambda client: client.download(identifier, name, path))


def read(record: JobRecord) -> dict[str, Any]:
    """The fetched `result.json`. Raises SetDresserError."""
    if record.folder is None:
        raise SetDresserError("The result has not been fetched yet.", "Import the job again.", "not-fetched")
    try:
        result = json.loads((record.folder / RESULT).read_text(encoding="utf-8"))
    except ValueError as error:
        raise SetDresserError(
            "The job's result.json cannot be read.", "Generate it again.", "result-invalid"
        ) from error
    if not isinstance(result, dict):
        raise SetDresserError("The job's result.json is not an object.", "Generate it again.", "result-invalid")
    return result


def forget(record: JobRecord) -> None:
    """What is here of an earlier end of the job goes: it will have another one. The objects in the scene stay."""
    folder = folder_of(record.id, create=False)
    for name in (RESULT, SCENE, THUMBNAIL):
        (folder / name).unlink(missing_ok=True)
    record.folder, record.problem, record.files, record.thumbnail = None, None, [], ""
    record.cancelling = record.finishing = record.continuing = record.result_imported = False


def remove(identifier: str) -> None:
    """All that is here of a job goes."""
    shutil.rmtree(folder_of(identifier, create=False), ignore_errors=True)
