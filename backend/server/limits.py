"""What each user of a server may take: requests, places in the queue, bytes of the disk."""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.errors import Problem
from backend.server.problems import ProblemResponse
from backend.server.users import User

BURST_SECONDS = 5
"""So long of the rate may come at once after a rest."""

MOST_AT_ONCE = 64
"""Requests of one user that are being answered, followed events among them."""


@dataclass(frozen=True)
class Limits:
    """Of one user.

    requests: per second. jobs: that wait in the queue. disk: bytes that jobs and uploads hold together.
    upload: bytes of one request with pictures, and of one picture that is sent before.
    """

    requests: float = 50.0
    jobs: int = 200
    disk: int = 100_000_000_000
    upload: int = 256_000_000


USUAL = Limits()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those options of `serve` that limit what each user takes."""
    group = parser.add_argument_group("limits of each user, with --users")
    for name, kind, unit, help_text in (
        ("requests", _positive, "N", "requests a second"),
        ("jobs", _positive_whole, "N", "jobs that wait in the queue"),
        ("disk", _positive_whole, "BYTES", "what jobs and uploads may hold"),
        ("upload", _positive_whole, "BYTES", "one request with pictures, or one picture that is sent before"),
    ):
        default = getattr(USUAL, name)
        group.add_argument(
            f"--user-{name}", type=kind, default=default, metavar=unit, help=f"{help_text} (default: %(default)s)"
        )


def limits_of(options: argparse.Namespace) -> Limits:
    """What the options of `add_arguments` say."""
    return Limits(options.user_requests, options.user_jobs, options.user_disk, options.user_upload)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (number > 0 and math.isfinite(number)):
        raise argparse.ArgumentTypeError(f"a number above 0 is wanted, not '{text}'")
    return number


def _positive_whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number <= 0:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is wanted, not '{text}'")
    return number


class Bucket:
    """Tokens that come at a steady rate, of which a bucket holds so many; each request takes one."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_SECONDS)
        self._tokens = self._most
        self._then = now

    def take(self, now: float) -> float:
        """0, or how many seconds there is none yet."""
        self._tokens = min(self._most, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate


class Pace:
    """Answers `too-many-requests` to a user who asks too often, or too much at once. Plain ASGI, inside the guard."""

    def __init__(self, app: ASGIApp, *, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}  # as many as there are users
        self._at_once: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = asking(scope).name
        now = self._clock()
        wait = self._buckets.setdefault(name, Bucket(self._rate, now)).take(now)
        if wait:
            await _slower(wait, f"You may send {self._rate:g} requests a second.")(scope, receive, send)
        elif self._at_once[name] >= MOST_AT_ONCE:
            detail = f"{MOST_AT_ONCE} of your requests are being answered, and no more are at once."
            await _slower(1.0, detail)(scope, receive, send)
        else:
            self._at_once[name] += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._at_once[name] -= 1


def asking(scope: Mapping[str, object]) -> User:
    """Who asks, as the guard has noted it."""
    state = scope["state"]
    assert isinstance(state, dict)
    user = state["user"]
    assert isinstance(user, User)
    return user


def _slower(wait: float, detail: str) -> ProblemResponse:
    return ProblemResponse(Problem("too-many-requests", detail), {"Retry-After": str(math.ceil(wait))})
