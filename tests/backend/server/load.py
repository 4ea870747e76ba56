"""`python -m tests.backend.server.load crowd PORT COUNT SECONDS`, or `… probe PORT TOKEN SECONDS JOB`.

crowd: holds half-open connections to the server, a new one for each that it closes; prints how many it has made.
probe: asks like a client that has a moment, again and again; prints, as JSON, the seconds that each answer took,
and by how much each of its own rests of 20 milliseconds was too long: what the machine adds to everything.

Programs of their own: what they do must not slow down whoever measures. Nothing but this machine is spoken to.
"""

import contextlib
import http.client
import json
import select
import socket
import sys
import time

AGAIN = 10
"""Connections opened anew in one go, every twentieth of a second."""


def crowd(port: int, count: int, seconds: float) -> None:
    made, waiting, once = 0, {}, count
    end = time.monotonic() + seconds
    poll = select.poll()
    while time.monotonic() < end:
        for _ in range(min(once, count - len(waiting))):
            connection = socket.socket()
            connection.settimeout(2)
            with contextlib.suppress(OSError):  # the server's queue is full
                connection.connect(("127.0.0.1", port))
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: ")
                waiting[connection.fileno()] = connection
                poll.register(connection, select.POLLIN | select.POLLHUP)
                made += 1
                continue
            connection.close()
        once = AGAIN
        for descriptor, _ in poll.poll(0):
            poll.unregister(descriptor)
            waiting.pop(descriptor).close()
        time.sleep(0.05)
    sys.stdout.write(f"{made}\n")


def probe(port: int, token: str, seconds: float, job: str) -> None:
    took: list[float] = []
    late: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in ("/health", "/jobs", f"/jobs/{job}", "/health"):
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            connection.close()
            took.append(time.perf_counter() - began)
        began = time.perf_counter()
        time.sleep(0.02)
        late.append(time.perf_counter() - began - 0.02)
    sys.stdout.write(json.dumps([took, late]))


if __name__ == "__main__":
    if sys.argv[1] == "crowd":
        crowd(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    else:
        probe(int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), sys.argv[5])
