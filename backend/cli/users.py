"""`users add`, `list`, `renew`, `remove`: who may use a server that others can reach."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.cli.output import say, say_json, table, tell
from backend.errors import Problem
from backend.server import users
from backend.server.users import Role


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `users`."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=type(parser))
    parser.set_defaults(command=_without_command)
    for name, run, help_text in (
        ("add", add, "add a user and print the token, this once"),
        ("list", show, "list the users"),
        ("renew", renew, "print a new token for a user; the former one is worth nothing then"),
        ("remove", remove, "take a user from the list; the jobs stay"),
    ):
        command = commands.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        if name != "list":
            command.add_argument("name", metavar="NAME", help="of the user")
        if name == "add":
            command.add_argument("--administrator", action="store_true", help="sees everybody's jobs, ends the server")
        if name == "list":
            command.add_argument("--json", action="store_true", help="as JSON")
        command.add_argument("--users", type=Path, required=True, metavar="FILE", help="the list of users")
        command.set_defaults(command=run)


def _without_command(chosen: argparse.Namespace) -> None:
    raise Problem("request-invalid", "No command is named.", "See: python -m backend users --help")


def add(chosen: argparse.Namespace) -> None:
    """Add a user. The token alone goes to standard output."""
    role = Role.ADMINISTRATOR if chosen.administrator else Role.USER
    token = users.add(chosen.users, chosen.name, role)
    tell(f"{chosen.name} is added. This is the token; it is kept nowhere and not shown again:")
    say(token)


def renew(chosen: argparse.Namespace) -> None:
    """Another token for a user. It alone goes to standard output."""
    token = users.renew(chosen.users, chosen.name)
    tell(f"This is the new token of {chosen.name}; it is kept nowhere and not shown again:")
    say(token)


def remove(chosen: argparse.Namespace) -> None:
    """Take a user from the list."""
    users.remove(chosen.users, chosen.name)
    tell(f"{chosen.name} is removed; a server that runs lets nobody in with that token from now on.")


def show(chosen: argparse.Namespace) -> None:
    """Print every user and role; hashes are nobody's business."""
    found = [entry.user for entry in users.read(chosen.users)[0]]
    if chosen.json:
        say_json([{"name": user.name, "role": user.role.value} for user in found])
    else:
        say(table(("NAME", "ROLE"), [(user.name, user.role.value) for user in found]))
