"""Text that may be shown to strangers: without tokens, and without the name of the user in the paths."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterable
from pathlib import Path

HOME, USER, SECRET = "~", "<user>", "<removed>"

EVERYBODY = frozenset({"admin", "administrator", "blender", "data", "home", "root", "runner", "user", "users"})
"""Names that tell nothing of anybody, and that stand in texts for other reasons; in paths they are removed too."""

SHORTEST_NAME = 3

_SECRETS = (
    re.compile(r"hf_\w{8,}"),  # tokens of the hub
    re.compile(r"(?<=bearer )[\w.~+/=-]+", re.IGNORECASE),
    re.compile(r"(?<=://)[^/@\s\"']+(?=@)"),  # who logs in where, in an address
    re.compile(r"(?<=X-Amz-Signature=)\w+|(?<=Signature=)[\w%~-]+"),  # addresses that are keys themselves
    re.compile(r"(?<=token=)[^&\s\"']+", re.IGNORECASE),
)


class Redaction:
    """Takes secrets out of texts.

    Args:
        secrets: whatever must not be in them.
        homes: folders of the user's, which become "~"; the home folder is always among them.
        user: the name of the user; the system's word for it if left out.
    """

    def __init__(self, secrets: Iterable[str] = (), homes: Iterable[Path] = (), user: str = "") -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._homes = sorted({form for home in (Path.home(), *homes) for form in _forms(home)}, key=len, reverse=True)
        names = {user} if user else {_user_name(), Path.home().name}
        self._names = sorted((name for name in names if len(name) >= SHORTEST_NAME), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, SECRET)
        for pattern in _SECRETS:
            text = pattern.sub(SECRET, text)
        for home in self._homes:
            # Not the beginning of a longer name: /home/ann is not in /home/anna.
            text = re.sub(rf"{re.escape(home)}(?![\w-])", HOME, text, flags=re.IGNORECASE)
        for name in self._names:
            word = re.escape(name)
            apart = rf"(?<=[/\\]){word}(?=[/\\])" if name.lower() in EVERYBODY else rf"(?<![^\W_]){word}(?![^\W_])"
            text = re.sub(apart, USER, text, flags=re.IGNORECASE)
        return text


def _forms(home: Path) -> set[str]:
    """How a folder is written in logs, in JSON and in addresses."""
    found = set()
    for path in {str(home), os.path.realpath(home)}:
        if len(path.strip("/\\")) > 1:  # the root of a disk is nobody's home
            found |= {path, path.replace("\\", "/"), path.replace("\\", "\\\\"), path.replace(" ", "%20")}
    return found


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the system does not know
        return ""
