"""`python -m backend serve`: a server for the program that started it.

One JSON line on standard output, {"port", "pid", "version", "protocol"}, says that it accepts connections. It leaves
when it is told to, by POST /shutdown or a signal, and when its parent has gone. Everything else it says goes to
standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import uvicorn

from backend import PROTOCOL_VERSION, __version__
from backend.cluster.options import Cluster, cluster_of
from backend.cluster.options import add_arguments as add_cluster_arguments
from backend.downloads.manager import Downloads
from backend.errors import Problem
from backend.jobs.folders import default_data_folder
from backend.jobs.retention import KEEP_VARIABLE, keep_bytes_of_environment
from backend.jobs.service import GRACE_SECONDS, IDLE_SECONDS, JobService
from backend.privacy import write_privately
from backend.resident import keep_little
from backend.server.app import create_app
from backend.server.connections import (
    ACCEPTED_AT_ONCE,
    BACKLOG,
    LONGEST_HEAD,
    MOST_PER_ADDRESS,
    Connection,
    Connections,
    most_connections,
)
from backend.server.doorway import Doorway
from backend.server.entrance import FOR_THIS_MACHINE, Entrance
from backend.server.entrance import add_arguments as add_entrance_arguments
from backend.server.limits import USUAL, Limits, limits_of
from backend.server.limits import add_arguments as add_limit_arguments
from backend.server.log import log_to_standard_error
from backend.server.middleware import Who, the_one
from backend.server.users import Users
from backend.server.watch import has_started, read_line, when_input_closes, when_process_ends
from backend.weights import models_kept_in

TOKEN_VARIABLE = "SET_DRESSER_TOKEN"
SHORTEST_TOKEN = 16
MOST_SLOTS = 64
CONNECTIONS_SECONDS = 1
LEAVE_SECONDS = 4.5
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    parser.add_argument("--data", type=Path, default=default_data_folder(), help="data folder (default: %(default)s)")
    parser.add_argument(
        "--idle-seconds", type=float, default=IDLE_SECONDS, help="the worker leaves after so long without a job"
    )
    parser.add_argument(
        "--grace-seconds", type=float, default=GRACE_SECONDS, help="a cancelled job is ended by force after so long"
    )
    parser.add_argument(
        "--slots",
        type=_at_least_one,
        metavar="N",
        help="run so many jobs at once (default: as many as there are graphics cards, at least one)",
    )
    parser.add_argument(
        "--keep-bytes",
        type=_whole_number,
        metavar="N",
        help="remove the oldest ended jobs when all jobs together hold more than N bytes (default: the variable "
        f"{KEEP_VARIABLE}, otherwise no limit)",
    )
    parser.add_argument("--parent-pid", type=int, help="leave when this process is gone")
    parser.add_argument("--watch-stdin", action="store_true", help="leave when standard input closes")
    parser.add_argument(
        "--token-stdin",
        action="store_true",
        help=f"the first line of standard input is the access token (default: the variable {TOKEN_VARIABLE})",
    )
    parser.add_argument("--verbose", action="store_true", help="tell of every request on standard error")
    add_entrance_arguments(parser)
    add_limit_arguments(parser)
    add_cluster_arguments(parser)


def main(arguments: list[str]) -> int:
    """Parse the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m backend serve", description="Serve jobs over HTTP.")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        reached, cluster = Entrance.of(options), cluster_of(options)
    except Problem as problem:
        return _refuse(problem.detail, problem.hint)
    return serve(
        data=options.data,
        idle_seconds=options.idle_seconds,
        grace_seconds=options.grace_seconds,
        slots=options.slots,
        keep_bytes=options.keep_bytes,
        parent=options.parent_pid,
        watch_stdin=options.watch_stdin,
        token_stdin=options.token_stdin,
        verbose=options.verbose,
        entrance=reached,
        limits=limits_of(options),
        cluster=cluster,
    )


def serve(
    *,
    data: Path,
    idle_seconds: float = IDLE_SECONDS,
    grace_seconds: float = GRACE_SECONDS,
    slots: int | None = None,
    keep_bytes: int | None = None,
    parent: int | None = None,
    watch_stdin: bool = False,
    token_stdin: bool = False,
    verbose: bool = False,
    entrance: Entrance = FOR_THIS_MACHINE,
    limits: Limits = USUAL,
    cluster: Cluster | None = None,
) -> int:
    """Serve until told to leave, and return the exit status: 0, or 1 if it could not start.

    Without users the token comes from the environment or, with `token_stdin`, from standard input. See `add_arguments`.
    """
    write_privately()
    keep_little()
    log_to_standard_error(logging.INFO if verbose else logging.WARNING)
    given = os.environ.pop(TOKEN_VARIABLE, "")  # not for the worker and what it starts
    try:
        who, _ = _who(entrance, given, token_stdin), entrance.certificate  # looked at before anything is done
    except Problem as problem:
        return _refuse(problem.detail, problem.hint)
    with contextlib.ExitStack() as ending:
        try:
            keep = keep_bytes_of_environment() if keep_bytes is None else keep_bytes
            service = JobService(
                data,
                idle_seconds=idle_seconds,
                grace_seconds=grace_seconds,
                keep_bytes=keep,
                slots=slots,
                executor=None if cluster is None else cluster.executor(data, grace_seconds),
            )
            listener = ending.enter_context(entrance.listener())
            ending.enter_context(models_kept_in(data))
            service.start()
        except (Problem, OSError) as error:
            if isinstance(error, Problem):
                return _refuse(error.detail, error.hint)
            where = f" at {entrance.listen}" if entrance.listen else ""
            hint = ["Choose an address of this machine and a port that nobody uses."] if entrance.listen else []
            return _refuse(f"No port can be opened{where}: {error}", *hint)
        ending.callback(service.stop)
        downloads = ending.enter_context(Downloads(data))
        of_users = limits if entrance.users else None
        _serve(service, downloads, listener, entrance, who, of_users, parent, watch_stdin)
    return 0


def _refuse(*lines: str) -> int:
    """Say why the server does not start, and what to do. Returns the exit status."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return 1


def _who(entrance: Entrance, given: str, token_stdin: bool) -> Who:
    """Who may talk to the server. Raises Problem("users-unusable", "entrance-unsafe")."""
    if entrance.users is not None:
        if token_stdin:
            detail = "With --users everybody has a token of their own, and --token-stdin gives another one."
            raise Problem("entrance-unsafe", detail, "Leave --token-stdin out.")
        return Users(entrance.users).find
    token = read_line() if token_stdin else given
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        detail = (
            f"The server needs an access token: at least {SHORTEST_TOKEN} printable ASCII characters without spaces."
        )
        hint = f"Set the environment variable {TOKEN_VARIABLE}, or give --token-stdin and a line of standard input."
        raise Problem("token-wrong", detail, hint)
    return the_one(token)


def _whole_number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _at_least_one(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_SLOTS:
        raise argparse.ArgumentTypeError(f"1 to {MOST_SLOTS} jobs can run at once")
    return number


def _serve(
    service: JobService,
    downloads: Downloads,
    listener: socket.socket,
    entrance: Entrance,
    who: Who,
    limits: Limits | None,
    parent: int | None,
    watch_stdin: bool,
) -> None:
    port = listener.getsockname()[1]

    def leave() -> None:
        """From any thread or signal handler; returns at once."""
        if not service.closing:
            service.close()
            _force_exit_later()
        server.should_exit = True

    def on_ready() -> None:
        _shake_hands(port, leave)
        service.warm()

    app = create_app(service, downloads, entrance=entrance, port=port, who=who, leave=leave, limits=limits)
    connections = Connections(most_connections(), MOST_PER_ADDRESS)
    protocol: Callable[..., asyncio.Protocol] = functools.partial(Connection, connections)
    if entrance.listen is not None:
        protocol = functools.partial(Doorway, connections, entrance.certificate, entrance.proxy)
    config = uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], protocol),
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=CONNECTIONS_SECONDS,
        ws="none",
        backlog=ACCEPTED_AT_ONCE,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
    server = Server(config, on_ready=on_ready)
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, frame: leave())
    if watch_stdin:
        when_input_closes(leave)
    if parent is not None:
        when_process_ends(parent, leave)
    has_started()
    server.run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn, telling when it really accepts connections, and leaving signals to the caller."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)  # the event loop's own figure also says how many it accepts in one go
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _shake_hands(port: int, leave: Callable[[], None]) -> None:
    line = {"port": port, "pid": os.getpid(), "version": __version__, "protocol": PROTOCOL_VERSION}
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except OSError:
        logger.error("nobody reads the handshake")
        leave()


def _force_exit_later() -> None:
    """The last resort: whatever hangs, the process is gone in time. Jobs are safe, as after any crash."""
    timer = threading.Timer(LEAVE_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
