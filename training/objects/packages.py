"""Models from Debian packages: fetched with apt, unpacked with dpkg, nothing installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from training.objects.catalogue import unpack
from training.objects.listing import Entry, ListError

PACKAGES = ("sweethome3d-furniture",)
SECONDS = 1800


def collect(folder: Path, names: Sequence[str] = (), debs: Sequence[Path] = ()) -> list[Entry]:
    """Unpacks the catalogues of packages below a folder.

    Args:
        names: packages that apt fetches.
        debs: package files that are here already.

    Raises:
        ListError: there is no apt or dpkg, a package cannot be had, or there is no catalogue in it.
    """
    entries: list[Entry] = []
    with tempfile.TemporaryDirectory() as scratch:
        files = [file.resolve() for file in debs]
        for name in names:
            place = Path(scratch, f"deb-{name}")
            place.mkdir()
            _run(["apt-get", "download", name], place)
            files += sorted(place.glob("*.deb"))
        for number, file in enumerate(files):
            place = Path(scratch, f"files-{number}")
            _run(["dpkg-deb", "--extract", str(file), str(place)], Path(scratch))
            catalogues = sorted(place.rglob("*.sh3f"))
            if not catalogues:
                raise ListError(f"{file.name} has no catalogue of Sweet Home 3D in it.")
            for catalogue in catalogues:
                entries += unpack(catalogue, folder, f"Debian package {file.stem}, {catalogue.name}")
    return entries


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise ListError(f"There is no {command[0]} on this machine; --deb takes package files on Debian's relatives.")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ListError(f"{' '.join(command[:3])} failed: {lines[-1] if lines else done.returncode}")
