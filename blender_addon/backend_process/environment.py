"""Which Python runs the backend, and where the backend lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..ground import package
from ..ground.messages import SetDresserError
from ..installer import records

PYTHON_VARIABLE = "SET_DRESSER_PYTHON"


class NotSetUp(SetDresserError):
    """The backend cannot be started as things are; the hint says what to do."""


@dataclass(frozen=True)
class Environment:
    """All that is needed to start the backend.

    python: the interpreter; backend: the folder that holds the packages `backend` and `models`;
    data: jobs and results; user: logs and Python's caches (the add-on's own folder is never written to);
    models: the folder of models, None for the one in `data`; online: whether the backend may fetch models;
    idle_seconds: memory is given back after so long without a job, None for the backend's own choice.
    """

    python: Path
    backend: Path
    data: Path
    user: Path
    models: Path | None = None
    online: bool = True
    idle_seconds: float | None = None


def backend_folder(addon_folder: Path = package.ROOT) -> Path:
    """`bundle` in an installed add-on, the repository's root in a source checkout. Raises NotSetUp."""
    for folder in (addon_folder / "bundle", addon_folder.parent):
        if (folder / "backend" / "__main__.py").is_file():
            return folder
    message = "The backend is missing from this copy of the add-on."
    raise NotSetUp(message, "Install the zip that build_addon.py writes, not a zip of the source code.", "not-set-up")


def find_python(chosen: str, private: Path | None, variables: Mapping[str, str] = os.environ) -> Path:
    """The interpreter: the one chosen in the preferences, else `SET_DRESSER_PYTHON`, else the private environment.

    Args:
        chosen: the preference; "" if none. A folder means the environment in it.
        private: folder of the environment that the add-on has made; None if there is none. Only a complete one counts.

    Raises NotSetUp: if the one that counts is not there, or none is.
    """
    named = ((chosen, "The Python in the add-on's preferences"), (variables.get(PYTHON_VARIABLE, ""), PYTHON_VARIABLE))
    for text, source in named:
        if not text.strip():
            continue
        path = Path(text.strip()).expanduser()
        path = records.python_of(path) if path.is_dir() else path
        if not path.is_file():
            hint = "Choose the python program of the backend's environment in the add-on's preferences."
            raise NotSetUp(f"{source} is not there: {path}.", hint, "not-set-up")
        return path.absolute()
    if private is not None and records.is_complete(private):
        return records.python_of(private)
    hint = "Press Install in the panel, or choose a Python that has the backend's packages in the add-on's preferences."
    raise NotSetUp("No Python is there that could run the backend.", hint, "not-set-up")
