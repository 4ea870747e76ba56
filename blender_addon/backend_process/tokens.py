"""The tokens of studios' servers, in a file of their own that is closed to other accounts of this computer.

They are nowhere else: no preference, which Blender would write into userpref.blend, and nothing of a scene, which goes
along with the .blend. The file stands in the add-on's user folder and goes when the add-on is removed with its files. A
token belongs to the address that it was entered for, so that one that is typed wrong, or that somebody else has put
there, never hears it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..ground import folders
from ..ground.files import write_whole
from ..ground.messages import SetDresserError
from ..wire.address import Address

FILE = "tokens.json"
TOKEN = re.compile(r"[!-~]{16,1000}", re.ASCII)


def token_of(address: Address) -> str:
    """What was entered for an address; "" if nothing was. Raises SetDresserError if the file cannot be read."""
    return _read().get(_key(address), "")


def all_tokens() -> list[str]:
    """For whoever must leave them out of a text. Raises SetDresserError."""
    return list(_read().values())


def keep(address: Address, token: str) -> None:
    """Have a token from now on; with "" none. Raises SetDresserError if it is none, or cannot be kept."""
    token = token.strip()
    if token and not TOKEN.fullmatch(token):
        hint = "Copy the whole of it: one word, 43 letters, digits, - and _ of those that the server gives out."
        raise SetDresserError("That is no token.", hint, "token-invalid")
    others = {key: value for key, value in _read().items() if key != _key(address)}
    folder = folders.user()
    try:
        write_whole(folder / FILE, json.dumps({**others, **({_key(address): token} if token else {})}).encode())
    except OSError as error:
        message = f"The token cannot be kept: {error.strerror or error}: {folder / FILE}."
        raise SetDresserError(message, "Make the file and its folder writable.", "tokens-unusable") from error


def _path() -> Path:
    return folders.place() / FILE


def _key(address: Address) -> str:
    return f"{address.host} {address.port}"


def _read() -> dict[str, str]:
    path = _path()
    try:
        found = json.loads(path.read_bytes())
        return {str(key): str(value) for key, value in found.items() if TOKEN.fullmatch(str(value))}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        message = f"The file of tokens {path} cannot be read: {reason}."
        raise SetDresserError(message, "Remove it, and enter the token again.", "tokens-unusable") from error
