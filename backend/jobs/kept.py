"""What a job keeps while it runs: files to be seen at once, and to be recalled by a later attempt at the same job."""

from __future__ import annotations

from pathlib import Path

from backend.files import write_together
from backend.jobs.folders import FILE_NAME, storage_problem


class Kept:
    """The kept files of one attempt, in `folder`. See `Context.keep` and `Context.recall`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: set[str] = set()

    def save(self, name: str, data: bytes) -> None:
        """Raises ValueError for what is no plain file name, and Problem("disk-full", "output-not-writable")."""
        try:
            write_together(self._folder, {self._checked(name): data})
        except OSError as error:
            raise storage_problem(error, f"{name} cannot be kept") from error

    def restore(self, name: str) -> bytes | None:
        """The bytes that this attempt or an earlier one has saved under this name. Raises as `save`."""
        try:
            return (self._folder / self._checked(name)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_problem(error, f"{name} cannot be read") from error

    def tidy(self) -> None:
        """Remove what an earlier attempt has left and this one had no use for."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in self._used:
                    path.unlink(missing_ok=True)

    def _checked(self, name: str) -> str:
        if not FILE_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no plain file name")
        self._used.add(name)
        return name
