"""What will be installed, where, from where, and how large: told before anything happens, and then done."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .builds import AUTOMATIC, BUILDS, MEGABYTE, NONE
from .records import hash_locks, name_of

PYTHON = "3.11"
"""The Python that is preferred; any later one that the locks know will do."""

BASE_DOWNLOAD, BASE_DISK = 150 * MEGABYTE, 460 * MEGABYTE
"""What server.txt takes, with uv and a Python, measured on Linux."""

LEARNED_DOWNLOAD, LEARNED_DISK = 30 * MEGABYTE, 150 * MEGABYTE
"""What learned.txt takes on top, without torch."""

SPARE = 200 * MEGABYTE

CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where systems keep them; a Python that was built elsewhere may look in a place that is not there."""


@dataclass(frozen=True)
class Plan:
    """One installation.

    requirements: folder of server.txt, learned.txt, torch.txt and uv.txt; backend: folder of the package `backend`;
    user: folder of `environments`, `tools`, `cache` and `logs`; build: as in `builds`, "auto" for what suits the
    machine; offline: folder of `build_addon.py --offline`, "" to download; repair: make it anew, from new downloads;
    base_python: Blender's own Python, for the worst case; torch_index: another place for torch than the table's;
    check: modules that must import in the end, by default those the server and the build need; python: the version
    that is preferred, and, offline, the one that the packages are for;
    silence: seconds without a sign of life after which the network is taken for dead.
    """

    requirements: str
    backend: str
    user: str
    build: str = AUTOMATIC
    offline: str = ""
    repair: bool = False
    base_python: str = ""
    wheels: str = ""
    torch_index: str = ""
    check: tuple[str, ...] = ()
    python: str = PYTHON
    silence: float = 180.0

    @property
    def environments(self) -> Path:
        return Path(self.user) / "environments"

    @property
    def cache(self) -> Path:
        return Path(self.user) / "cache"

    @property
    def tools(self) -> Path:
        return Path(self.user) / "tools"

    @property
    def log(self) -> Path:
        return Path(self.user) / "logs" / "installation.log"

    @property
    def files(self) -> list[Path]:
        """The hashed locks that are installed."""
        names = ("server.txt",) if self.build == NONE else ("server.txt", "learned.txt")
        return [Path(self.requirements) / name for name in names]

    @property
    def torch_file(self) -> Path | None:
        """The pinned torch, without hashes: each build has its own."""
        return None if self.build == NONE else Path(self.requirements) / "torch.txt"

    @property
    def locks(self) -> dict[str, str]:
        """Of everything it is made from."""
        return hash_locks(self.files + ([self.torch_file] if self.torch_file else []))

    @property
    def index(self) -> str:
        """Where torch comes from; "" is the usual index."""
        return self.torch_index or (BUILDS[self.build].index if self.build in BUILDS else "")

    @property
    def modules(self) -> tuple[str, ...]:
        learned = () if self.build == NONE else ("torch", "diffusers", "transformers")
        return self.check or ("backend.server.main", "backend.pipelines.inflate.run", *learned)

    @property
    def download(self) -> int:
        """Bytes, about."""
        if self.build == NONE:
            return BASE_DOWNLOAD
        return BASE_DOWNLOAD + LEARNED_DOWNLOAD + (BUILDS[self.build].download if self.build in BUILDS else 0)

    @property
    def disk(self) -> int:
        """Bytes, about."""
        if self.build == NONE:
            return BASE_DISK
        return BASE_DISK + LEARNED_DISK + (BUILDS[self.build].disk if self.build in BUILDS else 0)

    def folder(self, python: str = "") -> Path:
        """Where the environment will lie, if it is made from this Python; the preferred one if left out."""
        return self.environments / name_of(self.locks, python or self.python, self.build)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_plan(values: dict[str, Any]) -> Plan:
    return Plan(**{**values, "check": tuple(values.get("check", ()))})


def all_locks(requirements: Path) -> dict[str, str]:
    """The hashes of every lock that an environment may be made from; {} if they are missing."""
    files = [requirements / name for name in ("server.txt", "learned.txt", "torch.txt")]
    return hash_locks([path for path in files if path.is_file()])


def blenders_python() -> str:
    """Blender's own Python program; "" if it cannot be told."""
    return sys.executable if sys.executable and os.access(sys.executable, os.X_OK) else ""
