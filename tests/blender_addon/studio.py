"""A studio's server for tests: `backend serve` with TLS and users, run by the backend's Python; its certificates."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.backend.server.certificates import Authority
from tests.blender_addon.conftest import HERE, ROOT, backend_python

ENVIRONMENT = {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE / 'plugin'}", "SET_DRESSER_PLUGINS": "box_pipeline"}


class StudioServer:
    """Anna is a user and Farm an administrator; it can be ended and started again on the same port.

    certificate: of the authority that has signed its own. tokens: of each, by name.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self._python = str(backend_python())
        authority = Authority(folder / "authority")
        self.certificate = authority.certificate
        self._pair = authority.sign("server")
        self._options = options
        self.tokens = {"anna": self.add("anna"), "farm": self.add("farm", "--administrator")}
        self.port = _free_port()
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")

    def users(self, *arguments: str) -> str:
        """`python -m backend users`; what it prints."""
        command = [self._python, "-m", "backend", "users", *arguments, "--users", str(self.folder / "users")]
        told = {"capture_output": True, "text": True, "timeout": 60, "check": False}
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, **told)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add(self, name: str, *options: str) -> str:
        """The token of somebody new."""
        return self.users("add", name, *options)

    def start(self) -> None:
        command = [self._python, "-m", "backend", "serve", "--data", str(self.folder / "data")]
        command += ["--listen", f"127.0.0.1:{self.port}", "--tls", *map(str, self._pair)]
        command += ["--users", str(self.folder / "users"), "--watch-stdin", "--grace-seconds", "1", *self._options]
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **ENVIRONMENT},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log
        handshake: dict[str, Any] = json.loads(line)
        self.port = int(handshake["port"])

    def stop(self) -> None:
        """End it, as an administrator would."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


def _free_port() -> int:
    """One that a server finds free again when it is started anew: below those that systems give to clients."""
    for port in random.sample(range(20000, 30000), 50):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("there is no free port")
