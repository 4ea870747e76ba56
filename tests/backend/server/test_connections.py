"""Which connection has to go, and what is left of a log that strangers fill."""

import contextlib
import logging
import os
import socket
import time
from pathlib import Path
from typing import cast

import pytest

from backend.server import log as log_module
from backend.server.connections import HEAD_SECONDS, Connection, Connections
from backend.server.log import ALIKE_WRITTEN, KEPT, LARGEST_LOG, BoundedHandler
from tests.backend.server.running_server import TOKEN, RunningServer


class Line:
    """A connection as far as the register looks at it."""

    def __init__(self) -> None:
        self.transport = self
        self.open = True

    def abort(self) -> None:
        self.open = False


def lines(register: Connections, count: int, address: str = "127.0.0.1") -> list[Line]:
    made = [Line() for _ in range(count)]
    for line in made:
        register.add(cast(Connection, line), address)
    return made


def test_the_oldest_without_the_token_makes_room() -> None:
    register = Connections(most=4, most_per_address=4)
    owner, *strangers = lines(register, 4)
    register.trust(cast(Connection, owner))
    newcomers = lines(register, 2)
    assert [line.open for line in (owner, *strangers, *newcomers)] == [True, False, False, True, True, True]


def test_strangers_cannot_push_out_who_has_shown_the_token() -> None:
    register = Connections(most=3, most_per_address=3)
    owners = lines(register, 3)
    for owner in owners:
        register.trust(cast(Connection, owner))
    crowd = lines(register, 100)
    assert all(owner.open for owner in owners)
    assert not any(line.open for line in crowd)
    register.remove(cast(Connection, owners[0]))
    assert lines(register, 1)[0].open


def test_one_address_does_not_take_the_room_of_the_others() -> None:
    register = Connections(most=10, most_per_address=4)
    quiet = lines(register, 3, "127.0.0.1")
    crowd = lines(register, 50, "127.0.0.2")
    assert all(line.open for line in quiet)
    assert [line.open for line in crowd] == [False] * 46 + [True] * 4


def test_a_connection_without_the_token_lives_ten_seconds(server: RunningServer) -> None:
    def connect(said: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=HEAD_SECONDS + 5)
        connection.sendall(said)
        return connection

    host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
    began = time.monotonic()
    silent, half = connect(b""), connect(b"GET /health HTTP/1.1\r\n" + host)
    trickling = connect(b"POST /jobs HTTP/1.1\r\nContent-Length: 1000\r\n" + host + b"\r\n")
    assert trickling.recv(65536).startswith(b"HTTP/1.1 401")
    # One that has shown the token has as long for the head of its next request.
    known = connect(b"GET /health HTTP/1.1\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n" + host + b"\r\n")
    answer = b""
    while not answer.endswith(b"}"):
        answer += known.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    known.sendall(b"GET /hea")
    trickling.settimeout(0.2)
    while time.monotonic() - began < HEAD_SECONDS + 3:
        try:
            trickling.sendall(b"x")
            if not trickling.recv(1):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    assert HEAD_SECONDS - 1 < time.monotonic() - began < HEAD_SECONDS + 3
    for connection in (silent, half, known):
        with contextlib.suppress(ConnectionResetError):  # as good an end
            assert connection.recv(1) == b""
    assert time.monotonic() - began < HEAD_SECONDS + 3


def logger_to(path: Path) -> tuple[logging.Logger, BoundedHandler]:
    stream = path.open("a", encoding="utf-8")
    handler = BoundedHandler(stream)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, handler


def test_entries_alike_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    logger, handler = logger_to(path)
    for number in range(1000):
        logger.warning("connection %d is closed", number)
    logger.warning("something else")
    assert len(path.read_text().splitlines()) == ALIKE_WRITTEN + 1
    monkeypatch.setattr(log_module, "ALIKE_SECONDS", -1.0)
    logger.warning("much later")
    assert f"{1000 - ALIKE_WRITTEN} more like: connection %d is closed" in path.read_text()
    handler.close()


def test_a_log_never_grows_beyond_a_megabyte_and_keeps_its_end_and_what_others_wrote_before(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("somebody else's\n")
    logger, handler = logger_to(path)
    for number in range(3000):
        logger.warning(f"entry {number} " + "x" * 1000)
        assert path.stat().st_size < LARGEST_LOG + 3000
    text = path.read_text()
    assert text.startswith("somebody else's\n")
    assert "entry 2999 " in text
    assert text.count("entry ") > KEPT // 1100
    handler.close()


def test_what_libraries_write_into_the_log_is_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logger, handler = logger_to(path)
    with path.open("ab") as other:
        other.write(b"y" * (LARGEST_LOG + 1))
    logger.warning("one more")
    assert path.stat().st_size < 1000
    assert os.linesep.join(["one more", ""]) in path.read_text()
    handler.close()
