"""Where uv, the installer, comes from: the add-on's own folder, an earlier time, or the package index.

Always by the hashes of uv.txt: a program that happens to be called uv on this machine is nobody's that is known.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from .builds import platform_name
from .events import NO_WINDOW, Failure
from .failures import explain
from .plan import CERTIFICATES

INDEX = "https://pypi.org/simple"
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
OLDEST = (0, 5)
SECONDS = 30.0
PIECE = 1 << 18
PROGRAM = "uv.exe" if sys.platform == "win32" else "uv"

WHEEL_TAGS = {
    "linux-x64": "manylinux_2_17_x86_64",
    "linux-arm64": "manylinux_2_17_aarch64",
    "windows-x64": "win_amd64",
    "windows-arm64": "win_arm64",
    "macos-arm64": "macosx_11_0_arm64",
    "macos-x64": "macosx_10_12_x86_64",
}
"""platform -> what the name of uv's wheel for it has in it."""


def locked_hashes(lock: Path) -> set[str]:
    """The SHA-256 sums of uv's wheels for every platform, from uv.txt."""
    return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.read_text(encoding="utf-8")))


def find_here(tools: Path, wheels: Iterable[Path], lock: Path) -> Path | None:
    """uv without the network; None if it is nowhere.

    Args:
        tools: where programs are unpacked; wheels: folders that may have uv's wheel; lock: uv.txt.
    """
    for folder in wheels:
        for wheel in sorted(folder.glob("uv-*.whl"), reverse=True):
            if WHEEL_TAGS.get(platform_name(), "?") in wheel.name:
                return _unpack(wheel, tools, locked_hashes(lock))
    for program in sorted(tools.glob(f"uv-*/{PROGRAM}"), reverse=True):
        if _works(program):
            return program
    return None


def fetch(tools: Path, lock: Path, variables: Mapping[str, str], arrived: Callable[[int, int], None]) -> Path:
    """uv from the package index. `arrived` gets the bytes so far and in all. Raises Failure."""
    index = next((variables[name] for name in INDEX_VARIABLES if variables.get(name)), INDEX)
    page = urllib.parse.urljoin(index.rstrip("/") + "/", "uv/")
    hashes, tag = locked_hashes(lock), WHEEL_TAGS.get(platform_name(), "?")
    try:
        with _open(page) as answer:
            links = _links(answer.read().decode("utf-8", "replace"))
        for link in links:
            address, _, digest = urllib.parse.urljoin(page, link).partition("#sha256=")
            if digest in hashes and tag in urllib.parse.unquote(address).rpartition("/")[2]:
                tools.mkdir(parents=True, exist_ok=True)
                wheel = tools / urllib.parse.unquote(address).rpartition("/")[2]
                _download(address, wheel, arrived)
                try:
                    return _unpack(wheel, tools, hashes)
                finally:
                    wheel.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # URLError, HTTPError, a time-out, a bad address
        raise explain(str(error), "Fetching the installer", type(error).__name__) from error
    message = "The package index does not have the installer (uv) for this system."
    raise Failure("no-wheel", message, "Install Python 3.11, then press Install again.")


def _works(program: Path) -> bool:
    if not program.is_file():
        return False
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            creationflags=NO_WINDOW,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.match(r"uv (\d+)\.(\d+)", done.stdout)
    return done.returncode == 0 and version is not None and (int(version[1]), int(version[2])) >= OLDEST


def _unpack(wheel: Path, tools: Path, hashes: set[str]) -> Path:
    """The program out of its wheel, into a folder named by the version. Raises Failure: if it is another wheel."""
    version = wheel.name.split("-")[1]
    program = tools / f"uv-{version}" / PROGRAM
    if _works(program):
        return program
    data = wheel.read_bytes()
    if hashlib.sha256(data).hexdigest() not in hashes:
        raise explain(f"hash of {wheel.name} is not the expected one", "Unpacking the installer", "another file")
    program.parent.mkdir(parents=True, exist_ok=True)
    part = program.with_name(f".{PROGRAM}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f".data/scripts/{PROGRAM}"))
            part.write_bytes(archive.read(name))
        part.chmod(0o755)
        part.replace(program)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise explain(f"hash of {wheel.name} is not the expected one", "Unpacking the installer", "no wheel") from error
    finally:
        part.unlink(missing_ok=True)
    return program


def _download(address: str, target: Path, arrived: Callable[[int, int], None]) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _open(address) as answer, part.open("wb") as stream:
            total, count = int(answer.headers.get("Content-Length") or 0), 0
            while piece := answer.read(PIECE):
                stream.write(piece)
                count += len(piece)
                arrived(count, total)
        if total and count != total:
            raise OSError(f"connection closed after {count} of {total} bytes")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _open(address: str) -> Any:
    """Proxies come from the environment. A second try uses the certificates of the system."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{parts.scheme} is no address of a package index")
    handlers: list[urllib.request.BaseHandler] = []
    if parts.username:  # urllib leaves them in the host's name
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        user, password = (urllib.parse.unquote(text or "") for text in (parts.username, parts.password))
        passwords.add_password(None, urllib.parse.urlunsplit(bare), user, password, is_authenticated=True)
        handlers.append(urllib.request.HTTPBasicAuthHandler(passwords))
        address = urllib.parse.urlunsplit(bare)
    request = urllib.request.Request(address, headers={"Accept": "text/html, */*", "User-Agent": "set-dresser"})
    try:
        return urllib.request.build_opener(*handlers).open(request, timeout=SECONDS)
    except urllib.error.URLError as error:
        usable = [path for path in CERTIFICATES if Path(path).is_file()]
        if not isinstance(error.reason, ssl.SSLCertVerificationError) or not usable:
            raise
        context = ssl.create_default_context(cafile=usable[0])
        handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers).open(request, timeout=SECONDS)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and (link := dict(attrs).get("href")):
            self.found.append(link)


def _links(page: str) -> list[str]:
    """The files of a package, as the simple index lists them (PEP 503)."""
    reader = _Links()
    reader.feed(page)
    return reader.found
