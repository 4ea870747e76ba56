"""What the catalogue knows of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Weights:
    """One model: of the hub, or one that comes with this program.

    id: its name here.
    repository: owner/name on the hub; of a model that comes along, owner/name of where it is from.
    revision: commit of the hub, so that everybody gets the same bytes; None where none is known: the main branch.
    files: glob patterns inside the repository that a download needs (`allow_patterns` of `snapshot_download`).
    required: files without which it is not complete. What is in square brackets may be in the name or not; for a
        safetensors file, shards with an index beside them will do as well.
    bytes: about what the download takes.
    licence: SPDX; LicenseRef-… where SPDX has no name for it.
    licence_note: what the licence forbids or leaves open, "" if nothing.
    memory_bytes: about what the weights take in the memory of the device, without what the work itself takes.
    part: a name for these files, where other rows take others of the same repository; a download has its own folder.
    source: "hub", "local" for what lies in `backend/weights/local/<id>`, or "own" for what the user has put into the
        folder of models, see `own.py`.
    page: address of the page to read about it; "" for that of the repository on the hub.
    digests: SHA-256 of files whose content is known beforehand, by their path in the repository.
    """

    id: str
    repository: str
    revision: str | None
    files: tuple[str, ...]
    required: tuple[str, ...]
    bytes: int
    licence: str
    licence_note: str
    memory_bytes: int
    part: str = ""
    source: Literal["hub", "local", "own"] = "hub"
    page: str = ""
    digests: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def home(self) -> str:
        """Folder of a download below the folder of models: owner/name, or owner/name.part."""
        return ".".join(filter(None, (self.repository, self.part)))

    @property
    def title(self) -> str:
        """What it is called in a list."""
        return self.home.partition("/")[2]
