"""`models`: what there is, and `models get`, `verify`, `remove`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from backend.cli.output import say, say_json, table
from backend.errors import Problem

if TYPE_CHECKING:
    from backend.downloads.manager import Downloads
    from backend.downloads.views import ModelView

LOOK_SECONDS = 0.2
BAR = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{postfix}"


def add_options(parser: argparse.ArgumentParser, add_data: Callable[[argparse.ArgumentParser], None]) -> None:
    """The options of `models`. `add_data` adds the one that all commands with a data folder have."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=type(parser))
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_data(parser)
    parser.set_defaults(command=show)
    for name, run, help_text in (
        ("get", get, "download a model, or go on with it; Ctrl-C pauses"),
        ("verify", verify, "hash every file; damaged ones that were downloaded are removed"),
        ("remove", remove, "remove what was downloaded"),
    ):
        command = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        command.add_argument("model", help="the id of a model; see: models")
        # Without a default of its own, which would take the place of what was given to `models`.
        command.add_argument("--data", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="as of models")
        command.set_defaults(command=run)
        if name == "get":
            command.add_argument(
                "--accept-licence", action="store_true", help="you have read what the licence says and accept it"
            )


def show(chosen: argparse.Namespace) -> None:
    """Print every model."""
    with _downloads(chosen) as downloads:
        views = downloads.list()
    if chosen.json:
        say_json([view.model_dump(mode="json") for view in views])
        return
    rows = [(view.id, view.state.value, _size(view), view.licence, view.folder) for view in views]
    say(table(("MODEL", "STATE", "SIZE", "LICENCE", "FOLDER"), rows))
    for view in views:
        if view.licence_note:
            accepted = " (accepted)" if view.licence_accepted else ""
            say(f"\n{view.id}{accepted}: {view.licence_note}")


def get(chosen: argparse.Namespace) -> None:
    """Download a model. An interruption pauses it; the same command goes on."""
    with _downloads(chosen) as downloads:
        try:
            downloads.get(chosen.model, chosen.accept_licence)
        except Problem as problem:
            if problem.code != "licence-not-accepted":
                raise
            raise Problem(problem.code, problem.detail, "If you accept that, add: --accept-licence") from problem
        view = _watch(downloads, chosen.model)
        say(f"{view.repository} is {view.state.value}: {view.folder}")


def verify(chosen: argparse.Namespace) -> None:
    """Check a model."""
    with _downloads(chosen) as downloads:
        downloads.verify(chosen.model)
        view = _watch(downloads, chosen.model)
        say(f"Every file of {view.repository} is as it should be: {view.folder}")


def remove(chosen: argparse.Namespace) -> None:
    """Remove a model."""
    with _downloads(chosen) as downloads:
        view = downloads.remove(chosen.model)
        say(f"{view.repository} is {view.state.value}.")


def _downloads(chosen: argparse.Namespace) -> Downloads:
    from backend.downloads.manager import Downloads

    return Downloads(chosen.data)


def _watch(downloads: Downloads, model: str) -> ModelView:
    """Show the progress until the task has ended. Raises Problem if it did not end well."""
    with tqdm(bar_format=BAR, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        while not downloads.wait(model, LOOK_SECONDS):
            _draw(bar, downloads.view(model))
    view = downloads.view(model)
    if view.problem is not None:
        raise Problem.from_document(view.problem.model_dump())
    return view


def _draw(bar: tqdm[Any], view: ModelView) -> None:
    if (activity := view.activity) is None:
        return
    bar.total, bar.n = activity.total or view.total, activity.bytes
    bar.set_description_str(activity.message or f"{activity.stage} {activity.file}".strip(), refresh=False)
    rate = f"{activity.rate / 1e6:.1f} MB/s" if activity.rate else ""
    left = f", {activity.eta:.0f} s left" if activity.eta is not None else ""
    bar.set_postfix_str(f"{rate}{left}", refresh=False)
    bar.refresh()


def _size(view: ModelView) -> str:
    whole = f"{view.total / 1e9:.1f} GB"
    return whole if view.bytes in (0, view.total) else f"{view.bytes / 1e9:.1f} of {whole}"
