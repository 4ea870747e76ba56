"""A folder with everything for an installation without a network, as `build_addon.py --offline` makes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..ground.messages import SetDresserError
from ..installer.builds import NONE, platform_name
from ..installer.plan import Plan, all_locks

HINT = "Choose the folder that `python build_addon.py --offline FOLDER` has made for this system and version."


@dataclass(frozen=True)
class Contents:
    """`contents.json`: the system, the build of torch and the Python it is for, and the hashes of the locks."""

    platform: str
    torch: str
    python: str
    locks: dict[str, str]


def read(folder: Path) -> Contents:
    """What a folder has. Raises SetDresserError: if it is no such folder."""
    try:
        values = json.loads((folder / "contents.json").read_text(encoding="utf-8"))
        contents = Contents(**{name: values[name] for name in ("platform", "torch", "python", "locks")})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetDresserError(f"There are no packages in {folder}.", HINT, "offline-folder") from error
    if not (folder / "wheels").is_dir():
        raise SetDresserError(f"There are no packages in {folder}.", HINT, "offline-folder")
    return contents


def check(plan: Plan) -> None:
    """Raises SetDresserError: if the plan's folder cannot serve it."""
    folder = Path(plan.offline)
    contents = read(folder)
    if contents.platform != platform_name():
        message = f"The packages in {folder} are for {contents.platform}; this is {platform_name()}."
        raise SetDresserError(message, HINT, "offline-folder")
    if contents.locks != all_locks(Path(plan.requirements)):
        raise SetDresserError(
            f"The packages in {folder} are for another version of the add-on.", HINT, "offline-folder"
        )
    if plan.build not in (NONE, contents.torch):
        message = f"The folder has the PyTorch build '{contents.torch}', not '{plan.build}'."
        hint = f"Choose {contents.torch} or Automatic in the add-on's preferences, or another folder."
        raise SetDresserError(message, hint, "offline-folder")
