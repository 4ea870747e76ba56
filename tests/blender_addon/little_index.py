"""A package index of three tiny packages on this machine, which can hang, break off, lie and refuse; and a uv that can
be stopped between two of its doings."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blender_addon.installer.plan import Plan
from blender_addon.installer.wheels import sums
from tests.blender_addon.conftest import script

PACKAGES = {"little-a": 300_000, "little-b": 1000, "little-torch": 2000}
"""name -> bytes that do not compress."""


def make_wheel(folder: Path, name: str, body: str = "", filling: int = 1000, version: str = "1.0") -> Path:
    """A wheel with one module of the package's name."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    noise = hashlib.shake_128(name.encode()).digest(filling)
    files = {
        f"{module}.py": body.encode() or b"value = 1\n",
        f"{module}_data.bin": noise,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_sum(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    wheel.write_bytes(stream.getvalue())
    return wheel


def _sum(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Bundle:
    """Requirements like those of the add-on, of tiny packages, and the plans that install them."""

    def __init__(self, root: Path, user: Path, uv: Path | None) -> None:
        self.root, self.user = root, user
        self.wheels = root / "offline" / "wheels"
        self.requirements = root / "requirements"
        self.requirements.mkdir(parents=True)
        self.hold = root / "hold"
        self.hold.mkdir()
        for name, size in PACKAGES.items():
            make_wheel(self.wheels, name, filling=size)
        self.lock("server.txt", "little-a")
        self.lock("learned.txt", "little-b")
        (self.requirements / "torch.txt").write_text("little-torch==1.0\n")
        (self.requirements / "uv.txt").write_text("uv==0.0 --hash=sha256:" + 64 * "0" + "\n")
        if uv is not None:
            (user / "tools" / "uv-0").mkdir(parents=True)
            script(user / "tools" / "uv-0" / "uv", STOPPING_UV.format(hold=self.hold, uv=uv))

    def lock(self, name: str, *packages: str, digest: str = "") -> None:
        lines = []
        for package in packages:
            (wheel,) = self.wheels.glob(f"{package.replace('-', '_')}-*.whl")
            version = wheel.name.split("-")[1]
            lines.append(f"{package}=={version} --hash=sha256:{digest or sha256(wheel)}\n")
        (self.requirements / name).write_text("".join(lines))

    def plan(self, build: str = "none", *, offline: bool = False, **values: object) -> Plan:
        if offline:
            contents = json.dumps({"wheels": sums(self.wheels)})
            (self.wheels.parent / "contents.json").write_text(contents, encoding="utf-8")
        checked = ("little_a",) if build == "none" else ("little_a", "little_b", "little_torch")
        given = {
            "requirements": str(self.requirements),
            "backend": str(self.root),
            "user": str(self.user),
            "build": build,
            "offline": str(self.wheels.parent) if offline else "",
            "check": checked,
            **values,
        }
        return Plan(**given)  # type: ignore[arg-type]

    def stop_at(self, point: str) -> Path:
        """Have uv stop there until the file that is returned is removed; a file beside it tells that it has."""
        path = self.hold / point
        path.touch()
        return path


STOPPING_UV = """#!/bin/sh
wait_at() {{
    if [ -e "{hold}/$1" ]; then
        touch "{hold}/$1.reached"
        while [ -e "{hold}/$1" ]; do sleep 0.05; done
    fi
}}
wait_at "before-$1"
if [ -e "{hold}/after-$1" ]; then
    "{uv}" "$@" || exit $?
    wait_at "after-$1"
    exit 0
fi
exec "{uv}" "$@"
"""


class Index(http.server.ThreadingHTTPServer):
    """A simple index (PEP 503) of a folder of wheels."""

    daemon_threads = True

    def __init__(self, wheels: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.wheels = wheels
        self.status = 200
        self.hang_in = ""
        self.hanging = threading.Event()
        self.go_on = threading.Event()
        self.served: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple"


class _Answer(http.server.BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        index = self.server
        name = self.path.strip("/").split("/")[-1]
        if index.status != 200:
            self.send_error(index.status)
        elif self.path.startswith("/simple/"):
            links = [
                f'<a href="/files/{path.name}#sha256={sha256(path)}">{path.name}</a>'
                for path in index.wheels.glob(f"{name.replace('-', '_')}-*.whl")
            ]
            self._send("\n".join(links).encode(), "text/html")
        else:
            index.served.append(name)
            self._send((index.wheels / name).read_bytes(), "application/octet-stream")

    do_HEAD = do_GET

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "max-age=0" if kind == "text/html" else "max-age=9999999, immutable")
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(data) // 2 if self.server.hang_in and self.server.hang_in in self.path else len(data)
        self.wfile.write(data[:half])
        if half < len(data):
            self.wfile.flush()
            self.server.hanging.set()
            self.server.go_on.wait()
            self.wfile.write(data[half:])

    def log_message(self, *arguments: object) -> None:
        """Nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked was killed: that is what the tests do


@contextmanager
def serving(wheels: Path) -> Iterator[Index]:
    index = Index(wheels)
    thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield index
    finally:
        index.go_on.set()
        index.shutdown()
        index.server_close()
        thread.join()


def find_uv(cache: Path, lock: Path) -> Path | None:
    """uv of this machine, or one fetched once into `cache`; None if there is neither uv nor a network."""
    from blender_addon.installer import uv
    from blender_addon.installer.events import Failure

    found = uv.find_here(cache, [], lock) or shutil.which("uv")
    if found is not None:
        return Path(found)
    try:
        return uv.fetch(cache, lock, {}, lambda count, total: None)
    except Failure:
        return None
