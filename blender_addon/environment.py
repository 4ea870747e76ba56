"""Which Python runs the backend, and where the backend lies."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .messages import SetDresserError

ADDON_FOLDER = Path(__file__).resolve().parent
PYTHON_VARIABLE = "SET_DRESSER_PYTHON"
_INSIDE = Path("Scripts/python.exe") if sys.platform == "win32" else Path("bin/python")


class NotSetUp(SetDresserError):
    """The backend cannot be started as things are; the hint says what to do."""


@dataclass(frozen=True)
class Environment:
    """All that is needed to start the backend.

    python: the interpreter; backend: the folder that holds the packages `backend` and `models`;
    data: jobs and results; user: logs and Python's caches (the add-on's own folder is never written to).
    """

    python: Path
    backend: Path
    data: Path
    user: Path


def backend_folder(addon_folder: Path = ADDON_FOLDER) -> Path:
    """`bundle` in an installed add-on, the repository's root in a source checkout. Raises NotSetUp."""
    for folder in (addon_folder / "bundle", addon_folder.parent):
        if (folder / "backend" / "__main__.py").is_file():
            return folder
    message = "The backend is missing from this copy of the add-on."
    raise NotSetUp(message, "Install the zip that build_addon.py writes, not a zip of the source code.", "not-set-up")


def find_python(chosen: str, private: Path, variables: Mapping[str, str] = os.environ) -> Path:
    """The interpreter: the one chosen in the preferences, else `SET_DRESSER_PYTHON`, else the private environment.

    Args:
        chosen: the preference; "" if none. A folder means the environment in it.
        private: folder of the add-on's own environment.

    Raises NotSetUp: if the one that counts is not there, or none is.
    """
    named = ((chosen, "The Python in the add-on's preferences"), (variables.get(PYTHON_VARIABLE, ""), PYTHON_VARIABLE))
    for text, source in named:
        if not text.strip():
            continue
        path = Path(text.strip()).expanduser()
        path = path / _INSIDE if path.is_dir() else path
        if not path.is_file():
            hint = "Choose the python program of the backend's environment in the add-on's preferences."
            raise NotSetUp(f"{source} is not there: {path}.", hint, "not-set-up")
        return path.absolute()
    if (private / _INSIDE).is_file():
        return private / _INSIDE
    hint = (
        "Make a Python 3.11 environment, install bundle/requirements.txt of the add-on into it, and choose its Python "
        "in the add-on's preferences. The README shows the two commands."
    )
    raise NotSetUp("No Python is chosen that could run the backend.", hint, "not-set-up")
