"""Who may use a server that others can reach: a file with a line for each user.

    # name  role  SHA-256 of the token
    anna    user           9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    farm    administrator  60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752

A token is 256 random bits, which nobody guesses, whatever a guess costs. What slows guesses down (bcrypt, scrypt,
Argon2) is for passwords, which people choose, so one round of SHA-256 is enough here, and a request pays nothing for
it. The token itself is told once and kept nowhere.

The file is closed to other accounts of the machine, since whoever can write it can let himself in.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from backend.errors import Problem
from backend.files import replace_whole
from backend.privacy import who_else

TOKEN_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
HASH = re.compile(r"[0-9a-f]{64}")
LARGEST_FILE = 2_000_000
"""Bytes: more than ten thousand users."""

LOCK_SECONDS = 10.0
PRIVATE = 0o600
HEAD = "# Users of Set Dresser: name, role, SHA-256 of the token. Written by `python -m backend users`.\n"
logger = logging.getLogger(__name__)


class Role(StrEnum):
    """What one may do: one's own jobs; or everybody's, the models, the disk and the server's end as well."""

    USER = "user"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class User:
    """Somebody who has shown a token. An empty name stands for the one user of a server that knows no users."""

    name: str
    role: Role = Role.USER

    @property
    def administrator(self) -> bool:
        return self.role == Role.ADMINISTRATOR


LOCAL = User("", Role.ADMINISTRATOR)
"""Whoever has the one token of a server on this machine."""


@dataclass(frozen=True)
class Entry:
    """A line of the file."""

    user: User
    hash: str


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """256 random bits, 43 characters that need no quotes anywhere."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def parse(text: str, where: str) -> list[Entry]:
    """The users of a file's text. Raises Problem("users-unusable") that names the line; `where` is the file's name."""
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        hint = "Correct the line, or remove it and add the user again: python -m backend users add NAME --users FILE."
        if len(words) != 3:
            detail = f"Line {number} of {where} has {len(words)} words; name, role and hash are wanted."
            raise Problem("users-unusable", detail, hint)
        name, role, digest = words
        if not NAME.fullmatch(name) or role not in list(Role) or not HASH.fullmatch(digest):
            wrong = "name" if not NAME.fullmatch(name) else "role" if role not in list(Role) else "hash"
            raise Problem("users-unusable", f"Line {number} of {where} has no usable {wrong}.", hint)
        if name.lower() in entries:
            raise Problem("users-unusable", f"Line {number} of {where} names a user a second time.", hint)
        entries[name.lower()] = Entry(User(name, Role(role)), digest)
    return list(entries.values())


def read(path: Path) -> tuple[list[Entry], os.stat_result]:
    """The users of a file, and which file that was. Raises Problem("users-unusable")."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())  # of what is read: another may take its place at any moment
            if others := who_else(path, status):
                raise Problem("users-unusable", f"{others} can get at the list of users {path}.", _closing_hint(path))
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        hint = "Make it by adding a user: python -m backend users add NAME --users FILE."
        raise Problem("users-unusable", f"There is no list of users {path}.", hint) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        hint = "Name a text file that this account may read."
        raise Problem("users-unusable", f"The list of users {path} cannot be read: {reason}.", hint) from error
    if len(text) > LARGEST_FILE:
        raise Problem("users-unusable", f"The list of users {path} has more than {LARGEST_FILE} characters.")
    return parse(text, path.name), status


def _closing_hint(path: Path) -> str:
    return f"Close it: file and folder belong to the account that runs the server; chmod 600 {path.name}."


class Users:
    """Everybody whom a file names, read again when it changes. Usable from any thread.

    While the file cannot be used nobody is let in, rather than somebody who was removed.
    """

    def __init__(self, path: Path) -> None:
        """Raises Problem("users-unusable")."""
        self.path = path.absolute()
        self._lock = threading.Lock()
        self._entries, status = read(self.path)
        self._seen = self._signature(status)
        self._problem: Problem | None = None

    def find(self, token: str) -> User | None:
        """Whose token that is; None if it is nobody's. Raises Problem("users-unusable").

        The time it takes tells nothing: all hashes are compared, each in constant time.
        """
        given, found = hash_of(token), None
        for entry in self._current():
            if hmac.compare_digest(entry.hash, given):
                found = entry.user
        return found

    def _current(self) -> list[Entry]:
        with self._lock:
            try:
                seen = self._signature(self.path.stat())
            except OSError:
                seen = None
            if seen != self._seen or seen is None:
                self._read_again()
            if self._problem is not None:
                # What is wrong with the file is told to who runs the server, in its log.
                raise Problem("users-unusable", "The server cannot use its list of users.")
            return self._entries

    def _read_again(self) -> None:
        try:
            self._entries, status = read(self.path)
            self._seen, self._problem = self._signature(status), None
            logger.info("the list of users was read again: %d", len(self._entries))
        except Problem as problem:
            logger.error("nobody is let in: %s %s", problem.detail, problem.hint)
            self._seen, self._problem = None, problem  # looked at again with the next request

    def _signature(self, status: os.stat_result) -> tuple[int, ...] | None:
        """What changes with the file's content, and with who may write it or put another in its place; None if that
        cannot be told."""
        try:
            folder = self.path.parent.stat()
        except OSError:
            return None
        content = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        return *content, folder.st_mode, folder.st_uid


# changes


def add(path: Path, name: str, role: Role) -> str:
    """Add a user, and return the token. Raises Problem("request-invalid", "users-unusable", "output-not-writable")."""
    if not NAME.fullmatch(name):
        detail = f"'{name[:80]}' is no name for a user."
        hint = "A name has up to 64 letters, digits and . _ @ - and begins with a letter or digit."
        raise Problem("request-invalid", detail, hint)
    with _changing(path, may_be_missing=True) as entries:
        if former := _named(entries, name):
            detail = f"There is a user '{former.user.name}' already."
            hint = "Choose another name, or give a new token with: users renew NAME."
            raise Problem("request-invalid", detail, hint)
        token = new_token()
        entries.append(Entry(User(name, role), hash_of(token)))
    return token


def renew(path: Path, name: str) -> str:
    """A new token for a user; the former one is worth nothing from now on. Raises as `add`."""
    with _changing(path) as entries:
        former = _wanted(entries, name)
        token = new_token()
        entries[entries.index(former)] = replace(former, hash=hash_of(token))
    return token


def remove(path: Path, name: str) -> None:
    """Take a user from the list; the jobs stay. Raises as `add`."""
    with _changing(path) as entries:
        entries.remove(_wanted(entries, name))


def _named(entries: list[Entry], name: str) -> Entry | None:
    return next((entry for entry in entries if entry.user.name.lower() == name.lower()), None)


def _wanted(entries: list[Entry], name: str) -> Entry:
    if (found := _named(entries, name)) is None:
        raise Problem("request-invalid", f"There is no user '{name[:80]}'.", "See: users list.")
    return found


@contextmanager
def _changing(path: Path, *, may_be_missing: bool = False) -> Iterator[list[Entry]]:
    """The entries of a file, to be changed in place; written afterwards, whole or not at all, by one at a time."""
    path = path.absolute()
    lock = FileLock(path.with_name(f".{path.name}.lock"), mode=PRIVATE)
    try:
        with lock.acquire(timeout=LOCK_SECONDS):
            if may_be_missing and not path.exists():
                if others := who_else(path, None):
                    raise Problem("users-unusable", f"{others} can get at a list of users {path}.", _closing_hint(path))
                entries: list[Entry] = []
            else:
                entries, _ = read(path)
            yield entries
            lines = (f"{entry.user.name} {entry.user.role} {entry.hash}\n" for entry in entries)
            replace_whole(path, (HEAD + "".join(lines)).encode(), PRIVATE)
    except Timeout as error:
        detail = f"Another program is changing {path}."
        raise Problem("output-not-writable", detail, "Try again when it is done.") from error
    except OSError as error:
        detail = f"The list of users {path} cannot be written: {error.strerror or error}."
        raise Problem("output-not-writable", detail, "Choose a folder that you may write to.") from error
