"""`python -m backend …`: reads the arguments and calls the command. Heavy things are imported by the commands only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from backend import __version__
from backend.cli import batch, delivery, generate, listing, models, output, place, surface, users
from backend.errors import ERRORS, Problem
from backend.jobs.folders import default_data_folder
from backend.pipelines import find_pipeline
from backend.preparations import preparations
from backend.weights import models_kept_in

DONE, FAILURE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
INPUT_STATUS = (413, 422)
"""HTTP statuses of the problems that lie in what came in."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; the process's own if left out.

    Returns:
        The exit status: 0 done, 1 failed, 2 bad input, 3 done but for what was left out, 130 interrupted. What went
        wrong stands on standard error in two lines, what to do in the second.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    output.prepare()
    if arguments[:1] == ["serve"]:
        from backend.server.main import main as serve

        return serve(list(arguments[1:]))
    try:
        chosen = _parser(arguments).parse_args(arguments)
        with models_kept_in(getattr(chosen, "data", None) or default_data_folder()):
            status: int | None = chosen.command(chosen)
        sys.stdout.flush()
        return DONE if status is None else status
    except Problem as problem:
        output.complain(problem.detail, problem.hint)
        return BAD_INPUT if problem.kind.status in INPUT_STATUS else FAILURE
    except KeyboardInterrupt:
        output.complain("Interrupted.", ERRORS["cancelled"].hint)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of standard output has left, `… | head`; nothing is flushed at the end then
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE


class Parser(argparse.ArgumentParser):
    """An argument parser that complains like the rest of the program and takes no abbreviations."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        sentence = message[:1].upper() + message[1:].rstrip(".") + "."
        raise Problem("request-invalid", sentence, f"See: {self.prog} --help")


def _parser(arguments: Sequence[str]) -> Parser:
    parser = Parser(prog="python -m backend", description="Set Dresser: pictures become props.")
    parser.set_defaults(command=_without_command)
    parser.add_argument("--version", action="version", version=f"Set Dresser {__version__}")
    parser.add_argument("--json-schema", choices=tuple(listing.SCHEMAS), help="print a JSON schema, like schema")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    _add_generate(commands, arguments)
    _add_batch(commands, arguments)
    going_on = commands.add_parser(
        "continue",
        help="go on with a job that failed, was cancelled or ended early",
        description="Go on with a job from its newest checkpoint: writes scene.glb and result.json.",
    )
    delivery.add_continue_options(going_on)
    _add_data(going_on)
    finish = commands.add_parser(
        "finish",
        help="have a running job end early with what it has",
        description="Have a job that runs, here or in a server, end early with what it has; continue goes on with it.",
    )
    finish.add_argument("job", metavar="JOB", help="its id; see: jobs")
    finish.set_defaults(command=delivery.finish)
    _add_data(finish)
    priority = commands.add_parser(
        "priority",
        help="have a queued job go before others, or after them",
        description="Have a job that is queued, here or in a server, go before others of the same user, or after them.",
    )
    priority.add_argument("job", metavar="JOB", help="its id; see: jobs")
    priority.add_argument(
        "priority",
        type=int,
        choices=range(-100, 101),
        metavar="N",
        help="-100 to 100; those of the highest go first, then the oldest (default of every job: 0)",
    )
    priority.set_defaults(command=delivery.prioritise)
    _add_data(priority)
    place.add_options(
        commands.add_parser(
            "place",
            help="stand the meshes of a scene where the camera sees them",
            description="Stand the meshes of a scene where the camera sees them, by their masks.",
        )
    )

    surface.add_options(
        commands.add_parser(
            "surface",
            help="make a mesh from pictures with known cameras",
            description="Make a mesh from pictures with known cameras; it stands in the world of these cameras.",
        )
    )

    pipelines = commands.add_parser("pipelines", help="list the pipelines", description="List the pipelines.")
    pipelines.add_argument("--json", action="store_true", help="as JSON, parameters as JSON schema")
    pipelines.set_defaults(command=listing.pipelines)

    jobs = commands.add_parser("jobs", help="list the newest jobs", description="List the newest jobs.")
    _add_data(jobs)
    jobs.add_argument("--json", action="store_true", help="as JSON")
    jobs.set_defaults(command=listing.jobs)

    models.add_options(
        commands.add_parser("models", help="list, download, check models", description="List the models."), _add_data
    )

    schema = commands.add_parser("schema", help="print a JSON schema", description="Print a JSON schema.")
    schema.add_argument("document", choices=tuple(listing.SCHEMAS))
    schema.set_defaults(command=lambda chosen: listing.schema(chosen.document))

    commands.add_parser("serve", help="run the server; see serve --help")
    users.add_options(
        commands.add_parser(
            "users",
            help="who may use a server that others can reach",
            description="Who may use a server that others can reach: see serve --listen.",
        )
    )
    return parser


def _without_command(chosen: argparse.Namespace) -> None:
    if not chosen.json_schema:
        raise Problem("request-invalid", "No command is named.", "See: python -m backend --help")
    listing.schema(chosen.json_schema)


def _add_generate(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """`generate`, with the options of the pipeline that the arguments name."""
    parser = commands.add_parser(
        "generate",
        help="make props from a picture",
        description="Make props from a picture: writes scene.glb and result.json.",
        epilog="Name a pipeline to see its own options: generate --pipeline inflate --help",
    )
    generate.add_options(parser)
    _add_methods(parser, "generate", arguments)
    parser.set_defaults(command=generate.generate)


def _add_batch(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """`batch`, with the options of the pipeline that the arguments name."""
    parser = commands.add_parser(
        "batch",
        help="make props from each picture of a folder or a list",
        description="Make props from each picture of a folder or a list: writes a folder for each, batch.json and a "
        "contact sheet. Given again it goes on where it was.",
        epilog="Name a pipeline to see its own options: batch --pipeline inflate --help",
    )
    batch.add_options(parser)
    _add_methods(parser, "batch", arguments)
    parser.set_defaults(command=batch.batch)


def _add_methods(parser: Parser, command: str, arguments: Sequence[str]) -> None:
    """The data folder, and the options of the pipeline that the arguments name, if they are those of this command."""
    _add_data(parser)
    look = Parser(prog=parser.prog, add_help=False)
    look.add_argument("--pipeline")
    identifier = look.parse_known_args(arguments)[0].pipeline if command in arguments[:1] else None
    if identifier is not None:
        info = find_pipeline(identifier)
        parser.epilog = None
        generate.add_parameters(parser, info)
        for preparation in preparations().values():
            generate.add_parameters(parser, preparation, preparation.id)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=default_data_folder(),
        metavar="DIR",
        help="where jobs are kept (default: %(default)s)",
    )
