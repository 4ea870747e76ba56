"""Packs the extension: `python build_addon.py` writes dist/set_dresser-<version>.zip.

    --platform linux-x64    one for that platform, with uv in it, so that nothing but packages is to be fetched
    --offline DIR           that, and beside it every package, for machines without a network (`build_offline.py`)

Plain packing needs the standard library only. The same sources give the same bytes, whenever and wherever they are
packed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ADDON = "blender_addon"
BUNDLED = ("backend", "models")
LEFT_OUT = {"__pycache__", "tests", ".DS_Store"}
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The one date that every entry gets; a zip can hold none before it."""


REQUIREMENTS = ("server.txt", "learned.txt", "torch.txt", "uv.txt")
MANIFEST = "blender_manifest.toml"


def build(root: Path = ROOT, destination: Path | None = None, platform: str = "", wheels: Sequence[Path] = ()) -> Path:
    """Write the zip into `destination` (`dist` if left out), whole or not at all, and return its path.

    Args:
        platform: the one platform that it is for, as Blender calls it; wheels: what it carries for that.

    Raises SystemExit: if the versions of add-on and backend differ.
    """
    version = _version(root)
    destination = destination or root / "dist"
    destination.mkdir(parents=True, exist_ok=True)
    path = destination / "-".join(["set_dresser", version, *([platform] if platform else [])])
    path = path.with_name(path.name + ".zip")
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, source in sorted(_entries(root)):
                data = source.read_bytes()
                if platform and name == MANIFEST:
                    data = data.replace(b"\n[permissions]", f'\nplatforms = ["{platform}"]\n\n[permissions]'.encode())
                _add(archive, name, data)
            for wheel in sorted(wheels):
                _add(archive, f"bundle/wheels/{wheel.name}", wheel.read_bytes())
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
    for name in REQUIREMENTS:
        yield f"bundle/requirements/{name}", root / "requirements" / name
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
    manifest = tomllib.loads((root / ADDON / MANIFEST).read_text(encoding="utf-8"))["version"]
    if backend != manifest:
        raise SystemExit(f"backend/__init__.py says version {backend}, {MANIFEST} says {manifest}.")
    return backend


def main() -> int:
    parser = argparse.ArgumentParser(description="Pack the Blender extension.")
    parser.add_argument("--out", type=Path, help="folder to write to (default: dist)")
    parser.add_argument("--platform", help="linux-x64, linux-arm64, windows-x64 or macos-arm64; this one's by default")
    parser.add_argument(
        "--offline", type=Path, metavar="DIR", help="collect everything for an installation without a network"
    )
    parser.add_argument(
        "--torch", default="cpu", help="build of torch for --offline: cpu, cu126, cu130, rocm7.2, mps or none"
    )
    parser.add_argument("--python", default="3.11", help="version of the Python that will run the backend")
    options = parser.parse_args()
    if not options.platform and not options.offline:
        print(build(destination=options.out))
        return 0
    import build_offline

    platform = options.platform or build_offline.this_platform()
    if platform not in build_offline.TAGS:
        parser.error(f"there is no platform '{platform}'; use {', '.join(build_offline.TAGS)}")
    if options.offline:
        build_offline.collect(ROOT, options.offline, platform, options.torch, options.python)
    with tempfile.TemporaryDirectory() as folder:
        uv = build_offline.fetch_uv(ROOT, options.offline / "wheels" if options.offline else Path(folder), platform)
        print(build(ROOT, options.offline or options.out, platform, [uv]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
