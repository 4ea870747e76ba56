"""What the add-on says when something cannot be done: a sentence, what to do, and a code."""

from __future__ import annotations


class SetDresserError(Exception):
    """An error that a user can act on.

    Args:
        message: a full sentence: what is wrong.
        hint: what to do.
        code: a short stable identifier; the server's own codes are passed on unchanged.
        details: more for a bug report (log lines, the server's document); never needed to understand the message.
    """

    def __init__(self, message: str, hint: str = "", code: str = "addon", details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.details = details

    def report(self) -> str:
        """Everything that is known, as text for a bug report."""
        return "\n".join(part for part in (f"{self.code}: {self.message}", self.hint, self.details) if part)


def as_error(error: Exception) -> SetDresserError:
    """Any exception as an error with a sentence; the add-on's own ones, which carry one, pass unchanged."""
    if isinstance(error, SetDresserError):
        return error
    if isinstance(error, OSError):
        return SetDresserError(
            f"A file cannot be used: {error}.", "Check that the folder exists and is writable.", "file"
        )
    hint = "Try again; if it happens again, report it with the details."
    return SetDresserError(f"Something went wrong in the add-on ({type(error).__name__}: {error}).", hint, "internal")
