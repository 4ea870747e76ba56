"""Packs the extension: `python build_addon.py` writes dist/set_dresser-<version>.zip.

Needs the standard library only. The same sources give the same bytes, whenever and wherever they are packed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ADDON = "blender_addon"
BUNDLED = ("backend", "models")
LEFT_OUT = {"__pycache__", "tests", ".DS_Store"}
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The one date that every entry gets; a zip can hold none before it."""


def build(root: Path = ROOT, destination: Path | None = None) -> Path:
    """Write the zip into `destination` (`dist` if left out), whole or not at all, and return its path.

    Raises SystemExit: if the versions of add-on and backend differ.
    """
    version = _version(root)
    destination = destination or root / "dist"
    destination.mkdir(parents=True, exist_ok=True)
    path = destination / f"set_dresser-{version}.zip"
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, source in sorted(_entries(root)):
                _add(archive, name, source.read_bytes())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _entries(root: Path) -> Iterator[tuple[str, Path]]:
    """(name in the zip, file) of all that belongs into it."""
    for source in _files(root / ADDON):
        yield source.relative_to(root / ADDON).as_posix(), source
    for package in BUNDLED:
        for source in _files(root / package):
            yield f"bundle/{source.relative_to(root).as_posix()}", source
    yield "bundle/requirements.txt", root / "requirements" / "server.txt"
    yield "LICENSE", root / "LICENSE"


def _files(folder: Path) -> Iterator[Path]:
    for source in folder.rglob("*"):
        parts = source.relative_to(folder).parts
        if source.is_file() and not LEFT_OUT.intersection(parts) and source.suffix not in (".pyc", ".pyo"):
            yield source


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # the same on Windows
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, data)


def _version(root: Path) -> str:
    """The version that backend and manifest agree on."""
    text = (root / "backend" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    backend = match[1] if match else "none"
    manifest = tomllib.loads((root / ADDON / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    if backend != manifest:
        raise SystemExit(f"backend/__init__.py says version {backend}, blender_manifest.toml says {manifest}.")
    return backend


def main() -> int:
    parser = argparse.ArgumentParser(description="Pack the Blender extension.")
    parser.add_argument("--out", type=Path, help="folder to write to (default: dist)")
    print(build(destination=parser.parse_args().out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
