"""The one error that the panel shows: whose it is, and when it goes."""

from __future__ import annotations

from ..ground.messages import SetDresserError, as_error

LISTS, SERVER = "lists", "server"
"""What an error may be about, beside the id of a job: the backend's lists, the backend itself."""


class Telling:
    """An error belongs to the press that it came of: it goes with the next one, and once the same thing succeeds."""

    def __init__(self) -> None:
        self.problem: SetDresserError | None = None
        self._about = ""

    def report(self, error: Exception, about: str = "") -> None:
        """Show an error. about: what takes it off again when that succeeds."""
        self.problem, self._about = as_error(error), about
        self.changed()

    def settle(self, about: str | None = None) -> None:
        """Take the error off the panel: a button was pressed, or what it is about has succeeded."""
        if self.problem is not None and about in (None, self._about):
            self.problem, self._about = None, ""
            self.changed()

    def changed(self) -> None:
        """Something that the panel shows is different now."""
        raise NotImplementedError
