"""What a batch is to make: the pictures of a folder, or the lines of a list file. See docs/user-guide.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backend.batches.record import Item
from backend.cli.inputs import checked, pictures_in, read_file
from backend.contract import GenerateRequest, Strict
from backend.errors import Problem
from backend.pipelines import find_pipeline
from backend.preparations import chosen_preparations, maker_of

MOST_ITEMS = 10_000
RESERVED = ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10)))
"""Names that Windows gives to no folder."""


class Files(Strict):
    """The part of a line that names files: paths, from the folder of the list on."""

    picture: str | None = None
    pictures: list[str] = []
    instance_map: str | None = None
    depth: str | None = None


def read_items(source: Path, defaults: dict[str, Any]) -> list[Item]:
    """The items of a folder or of a list file.

    Args:
        defaults: fields of a request for the lines that do not have them: `pipeline` (None if each line names its own),
            `parameters`, `prepare`, `seed`. Parameters are joined by name, if the pipeline is the same.

    Raises:
        Problem: request-invalid, parameters-invalid and the like, with the number of the line.
    """
    if source.is_dir():
        where = f"The folder {source}"
        lines: list[tuple[str, dict[str, Any]]] = [(where, {"picture": path.name}) for path in pictures_in(source)]
        base = source
    else:
        lines, base = list(_lines(source)), source.parent
    if len(lines) > MOST_ITEMS:
        raise Problem("request-invalid", f"A batch has {MOST_ITEMS:,} items at most; {len(lines):,} came.", "Split it.")
    if not lines:
        raise Problem("request-invalid", f"The list {source} is empty.", "Write the path of a picture on each line.")
    taken = set[str]()
    return [_item(base, where, line, defaults, taken) for where, line in lines]


def _lines(path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    """Where each line of a list stands, and what it says."""
    try:
        text = read_file(path, "list").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem("request-invalid", f"The list {path} is no text in UTF-8.", "Save it as UTF-8.") from error
    for number, line in enumerate(text.split("\n"), 1):  # and not by what else Unicode calls the end of a line
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        where = f"Line {number} of {path.name}"
        if not line.startswith("{"):
            yield where, {"picture": line}
            continue
        try:
            yield where, json.loads(line)
        except (ValueError, RecursionError) as error:
            hint = "Write a path, or one JSON object on one line."
            raise Problem("request-invalid", f"{where} is not JSON ({error}).", hint) from error


def _item(base: Path, where: str, line: dict[str, Any], defaults: dict[str, Any], taken: set[str]) -> Item:
    """One line as an item, checked as far as it can be without its files; notes the name of its folder in `taken`."""
    files: Files = checked(
        {key: line[key] for key in line.keys() & Files.model_fields}, Files, "request-invalid", where
    )
    fields = {key: value for key, value in line.items() if key not in Files.model_fields}
    if "origin" in fields:
        raise Problem("request-invalid", f"{where} has an origin.", "Leave it out: it tells of which batch a job is.")
    if not fields.get("pipeline", defaults.get("pipeline")):
        raise Problem("request-invalid", f"{where} names no pipeline.", "Give one with --pipeline.")
    pictures = [*([files.picture] if files.picture is not None else []), *files.pictures]
    stem = Path(pictures[0]).stem[:200] if pictures else ""
    fields = {"name": stem if stem.isprintable() else "", **defaults, **fields}
    if fields["pipeline"] == defaults.get("pipeline") and isinstance(fields["parameters"], dict):
        fields["parameters"] = {**defaults["parameters"], **fields["parameters"]}
    elif "parameters" not in line:
        fields["parameters"] = {}
    request: GenerateRequest = checked(fields, GenerateRequest, "request-invalid", where)
    try:
        find_pipeline(request.pipeline).check(request.parameters)
        for preparation in chosen_preparations(request.prepare):
            preparation.check(request.prepare[preparation.id])
    except Problem as problem:
        raise Problem(problem.code, f"{where}: {problem.detail}", problem.hint, **problem.extra) from problem
    if not pictures and maker_of(request.prepare) is None:
        raise Problem("request-invalid", f"{where} has no picture.", 'Write {"picture": "chair.png", …}.')
    return Item(
        folder=_folder(request.name, taken),
        request=request,
        pictures=[_path(base, where, path) for path in pictures],
        instance_map=None if files.instance_map is None else _path(base, where, files.instance_map),
        depth=None if files.depth is None else _path(base, where, files.depth),
    )


def _path(base: Path, where: str, path: str) -> str:
    """A path from `base` on as a whole one. Raises Problem("request-invalid") for one that is no text, or no path."""
    try:
        whole = str((base / path).absolute())
        whole.encode()
    except UnicodeEncodeError as error:  # on Linux a name may be any bytes
        shown = path.encode(errors="replace").decode()
        raise Problem("request-invalid", f"{where} has a path that is not UTF-8: {shown}.", "Rename it.") from error
    if "\0" in whole:
        detail = f"{where} has a path that no file can have: it has a zero character."
        raise Problem("request-invalid", detail, "Correct the path.")
    return whole


def _folder(name: str, taken: set[str]) -> str:
    """A name that every file system takes, that nothing else of the batch has, and no file of the batch's own."""
    plain = "".join(letter if letter.isalnum() or letter in "-_ " else "-" for letter in name).strip()[:60].strip()
    plain = f"{plain or 'item'}-" if plain.casefold() in ("", *RESERVED) else plain
    found, number = plain, 1
    while found.casefold() in taken:
        number += 1
        found = f"{plain}-{number}"
    taken.add(found.casefold())
    return found
