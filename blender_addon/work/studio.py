"""The connection to a studio's server, tried with what the preferences say now, beside the one that is used."""

from __future__ import annotations

from ..backend_process import setting_up
from ..backend_process.greeting import Greeting, Studio, Welcome
from ..ground.messages import as_error
from ..state.desk import Tested
from ..wire.tasks import Steps
from .line import Line


def test(line: Line) -> Steps[None]:
    """Begin to try; what comes of it is in `desk.tested`. Returns the task."""
    line.desk.tested = Tested(None, "Asking the server")

    def failed(error: Exception) -> None:
        problem = as_error(error)
        line.desk.tested = Tested(False, problem.message, problem.hint, problem.code)
        line.desk.changed()

    return line.begin(_test(line), failed)


def _test(line: Line) -> Steps[None]:
    studio = setting_up.studio()
    greeting = Greeting(studio)
    try:
        while not greeting.advance(line.tasks.deadline):
            yield
    finally:
        greeting.close()
        line.desk.tested = None  # also where the test was given up
    assert greeting.welcome is not None
    line.desk.tested = Tested(True, _said(studio, greeting.welcome))
    if line.desk.server.remote and line.desk.server.away:
        line.desk.server.try_again()
    line.desk.changed()


def _said(studio: Studio, welcome: Welcome) -> str:
    who = f" as {welcome.user}" if welcome.user else ""
    role = ", who is an administrator" if welcome.user and welcome.administrator else ""
    waiting = welcome.health.get("queued")
    jobs = f" Jobs that wait there: {waiting}." if isinstance(waiting, int) else ""
    return f"Connected to Set Dresser {welcome.version} at {studio.address.authority}{who}{role}.{jobs}"
