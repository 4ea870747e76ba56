"""What to make of a backend that ends before it has answered: a sentence and the next step.

The end of its log and its exit code are all there is. Kinds of failure that are not known are left to whoever asks.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..ground.messages import SetDresserError

REPAIR = "Press Repair at the installation in the add-on's preferences; with a Python of your own, install "
ALLOW = "Allow it in the firewall or antivirus program, then start it again."


class Kind(NamedTuple):
    """A kind of failure. What the pattern finds is put into message and hint, as {0} and {1}."""

    code: str
    pattern: str
    message: str
    hint: str


KINDS = (
    Kind(
        "python-too-old",
        r"(?i)unknown option:? -P|No module named 'tomllib'|cannot import name '(?:UTC|StrEnum)'|"
        r"requires a different Python|requires Python",
        "The Python that runs the backend is too old.",
        "Choose Python 3.11 or newer in the add-on's preferences, or leave the field empty and press Install.",
    ),
    Kind(
        "backend-incomplete",
        r"No module named '?(?:backend|models)\b",
        "The backend's files are not complete.",
        "Install the add-on's zip again. An antivirus program may have removed some of its files.",
    ),
    Kind(
        "library-missing",
        r"DLL load failed while importing (\S+?):",
        "A library that '{0}' needs is missing on this computer, or cannot be loaded.",
        "Install Microsoft's Visual C++ Redistributable (x64), or update it, and the graphics driver. "
        "If that does not help: press Repair at the installation in the add-on's preferences.",
    ),
    Kind(
        "library-missing",
        r"(?:loading shared libraries: |ImportError: |OSError: )(\S+\.so[.\d]*):? cannot open shared object",
        "The system library {0} is missing on this computer.",
        "Install it with the system's package manager, then start the backend again.",
    ),
    Kind(
        "library-missing",
        r"version `?(GLIBC\w*_[\d.]+)'? not found",
        "This system is older than the backend's packages need: {0} is missing.",
        "Update the system, or choose a Python with fitting packages in the add-on's preferences.",
    ),
    Kind(
        "library-missing",
        r"Library not loaded: (\S+)",
        "The library {0} cannot be loaded.",
        f"{REPAIR}the backend's requirements again.",
    ),
    Kind(
        "package-missing",
        r"No module named '?([\w.]+)",
        "The backend's Python lacks the package '{0}'.",
        f"{REPAIR}the backend's requirements.",
    ),
    Kind(
        "package-damaged",
        r"ImportError: (cannot import name '\w+' from '[\w.]+')",
        "A package of the backend's Python does not fit: {0}.",
        f"{REPAIR}the backend's requirements again.",
    ),
    Kind(
        "port-forbidden",
        r"No port can be opened: (.+)",
        "The backend may not listen on this computer ({0}).",
        f"It listens on 127.0.0.1 only, for Blender. {ALLOW}",
    ),
    Kind(
        "disk-full",
        r"No space left on device|not enough space on the disk",
        "The disk is full.",
        "Free some space and start the backend again; finished jobs are safe.",
    ),
    Kind(
        "permission",
        r"PermissionError: (?:\[[^\]]*\] )?(.+)",
        "The backend may not use a file or folder ({0}).",
        "Choose a data folder of your own in the add-on's preferences, or allow the backend's Python in the antivirus "
        "program.",
    ),
)

CODES = {
    0xC0000135: ("library-missing", "A DLL that the backend's Python needs is missing."),
    0xC0000142: ("library-missing", "A DLL of the backend's Python could not be started."),
    0xC000007B: ("library-missing", "A DLL of the backend's Python is damaged or made for another kind of system."),
    0xC0000005: ("backend-crashed", "A library of the backend has crashed."),
    0xC0000022: ("permission", "Windows refused to run the backend's Python."),
}
"""Exit codes of Windows (ntstatus.h) that come without any word in the log."""

CODE_HINT = (
    "Install Microsoft's Visual C++ Redistributable (x64) and allow the backend's Python in the antivirus program; if "
    "that does not help, press Repair at the installation in the add-on's preferences."
)


def explain(code: int, lines: Sequence[str]) -> SetDresserError | None:
    """What the exit code and the last lines of the log of a backend that never answered mean; None if unknown."""
    text, details = "\n".join(lines), "\n".join(lines)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    for kind in KINDS:
        if found := re.search(kind.pattern, text):
            words = [group.strip().rstrip(".") for group in found.groups(default="")]
            message = kind.message.format(*words)
            return SetDresserError(message, kind.hint, kind.code, f"{how}\n{details}")
    if (code & 0xFFFFFFFF) in CODES:
        name, message = CODES[code & 0xFFFFFFFF]
        return SetDresserError(message, CODE_HINT, name, f"{how}\n{details}")
    if code == 1 and len(lines) >= 2 and "Traceback" not in text and lines[-2].endswith("."):
        # The backend itself says in two lines what is wrong and what to do; see docs/api.md.
        return SetDresserError(lines[-2], lines[-1], "start-refused", f"{how}\n{details}")
    return None


def explain_refusal(error: OSError) -> SetDresserError:
    """Why not even the process could be started."""
    message = f"The backend cannot be started: {error}."
    if isinstance(error, PermissionError):
        hint = "Allow the backend's Python to run: an antivirus program, or the rights of the file, forbid it."
    elif error.errno == errno.ENOEXEC or getattr(error, "winerror", 0) == 193:
        hint = "The backend's Python is no program of this system; choose another in the add-on's preferences."
    elif error.errno == errno.ENOSPC:
        hint = "Free some space on the disk and start it again."
    else:
        hint = "Check the backend's Python and the data folder in the add-on's preferences."
    return SetDresserError(message, hint, "start-failed")
