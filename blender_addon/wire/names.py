"""Names of machines → addresses. The system may take as long as the network likes to tell, so a child process asks."""

from __future__ import annotations

import json
import socket
import subprocess
import time

from ..installer.events import NO_WINDOW
from ..installer.plan import blenders_python
from .http_framing import ConnectionProblem

LOOKUP_SECONDS = 10.0

PROGRAM = """
import json, socket, sys
try:
    found = socket.getaddrinfo(sys.argv[1], None, type=socket.SOCK_STREAM)
    print(json.dumps([[int(family), place[0]] for family, _, _, _, place in found]))
except OSError as error:
    print(json.dumps(str(error)))
"""


class Lookup:
    """One question, asked by a process of Blender's own Python. It is this object's: `close` ends it."""

    def __init__(self, host: str) -> None:
        """Raises ConnectionProblem if it cannot be asked."""
        self._host = host
        self._began = time.monotonic()
        try:
            self._process = subprocess.Popen(
                [blenders_python(), "-I", "-S", "-c", PROGRAM, host],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=NO_WINDOW,
            )
        except OSError as error:
            message = f"The name '{host}' cannot be looked up: Blender's own Python does not start."
            hint = "Type the server's address in numbers, if its certificate has them."
            raise ConnectionProblem(message, hint, "name-unknown", str(error)) from error

    def poll(self) -> list[tuple[socket.AddressFamily, str]] | None:
        """Its addresses, in the order in which they are to be tried; None until they are known.

        Raises ConnectionProblem if there is no such machine, or nobody says.
        """
        if self._process.poll() is None:
            if time.monotonic() - self._began > LOOKUP_SECONDS:
                message = f"Nobody could say within {LOOKUP_SECONDS:g} seconds where '{self._host}' is."
                hint = "Check that this computer is on the studio's network, or connect its VPN."
                raise ConnectionProblem(message, hint, "timeout")
            return None
        assert self._process.stdout is not None
        said = self._process.stdout.read().decode("utf-8", "replace")
        try:
            pairs = [(socket.AddressFamily(family), str(place)) for family, place in json.loads(said)]
        except (ValueError, TypeError):  # what is wrong, in the words of the system
            pairs = []
        if not pairs:
            hint = "Check how it is written, and that this computer is on the studio's network or its VPN."
            raise ConnectionProblem(f"There is no machine called '{self._host}'.", hint, "name-unknown", said.strip())
        return list(dict.fromkeys(pairs))

    def close(self) -> None:
        """Let go of the process; one that still waits for an answer is ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()  # it is gone at once: nothing of it catches that
        if self._process.stdout is not None:
            self._process.stdout.close()
