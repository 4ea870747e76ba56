"""One request over a socket that never waits, against a peer that does all it should not."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blender_addon.wire import http_exchange
from blender_addon.wire.endpoints import Endpoint
from blender_addon.wire.http_exchange import Exchange, Timeouts
from blender_addon.wire.http_framing import ConnectionProblem
from blender_addon.wire.sinks import FileSink, ResumedFile
from tests.blender_addon.peer import Peer, finish, listening, turns

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"6;name=value\r\nhello \r\n05\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"
)
ENDED = b"HTTP/1.1 200 OK\r\n\r\nhello world"


@pytest.fixture
def peer() -> Iterator[Peer]:
    with listening() as made:
        yield made


def asked(peer: Peer, **options: object) -> Exchange:
    exchange = Exchange(Endpoint(peer.port), "GET", "/", **options)
    peer.request(exchange)
    return exchange


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, b"HTTP/1.1 103 Early Hints\r\n\r\n" + PLAIN])
@pytest.mark.parametrize("piece", [1, 2, 7, None])
def test_an_answer_may_come_in_any_pieces(peer: Peer, answer: bytes, piece: int | None) -> None:
    exchange = asked(peer)
    assert peer.say(exchange, answer, piece) or exchange.done or finish(exchange) is None
    assert (exchange.status, exchange.body) == (200, b"hello world")


def test_an_answer_without_a_length_ends_with_the_connection(peer: Peer) -> None:
    exchange = asked(peer)
    assert not peer.say(exchange, ENDED)
    peer.hang_up()
    finish(exchange)
    assert exchange.body == b"hello world"


def test_the_request_is_what_was_asked_for(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(range(256)))
    exchange = Exchange(
        Endpoint(peer.port), "POST", "/jobs", headers={"X-Name": "value"}, body=[b"before", path, b"after"]
    )
    head, _, body = peer.request(exchange).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /jobs HTTP/1.1",
        f"Host: 127.0.0.1:{peer.port}".encode(),
        b"Connection: close",
        b"X-Name: value",
        b"Content-Length: 267",
    ]
    assert body == b"before" + bytes(range(256)) + b"after"


def test_a_header_cannot_be_smuggled_in() -> None:
    with pytest.raises(ValueError, match="line break"):
        Exchange(Endpoint(1), "GET", "/", headers={"X": "a\r\nY: b"})


def test_advance_never_waits_and_keeps_to_its_deadline(peer: Peer, tmp_path: Path) -> None:
    """64 MB to a peer that takes nothing, then little by little: no call holds the thread."""
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    exchange = Exchange(Endpoint(peer.port), "POST", "/", body=[path])
    held: list[float] = []
    received = 0
    for _ in turns("the upload"):
        began = time.perf_counter()
        exchange.advance(began + 0.002)
        held.append(time.perf_counter() - began)
        if peer.connection is None:
            peer.accept(exchange)
            peer.connection.setblocking(False)
        try:
            received += len(peer.connection.recv(1 << 20))
        except BlockingIOError:
            continue
        if received > 64 << 20:
            break
    # A call that waited for the peer would do so turn after turn; a loaded machine adds a pause now and then.
    assert sorted(held)[len(held) // 2] < 0.05 and len(held) > 40


def test_an_early_answer_ends_the_upload(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(256 << 20)
    exchange = Exchange(Endpoint(peer.port), "POST", "/", body=[path])
    peer.accept(exchange)
    peer.connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
    finish(exchange)
    assert (exchange.status, exchange.body) == (413, b"{}")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    exchange = Exchange(Endpoint(port), "GET", "/")
    with pytest.raises(ConnectionProblem, match="not there") as caught:
        finish(exchange)
    assert caught.value.code == "refused"


@pytest.mark.parametrize("heard", [b"", b"HTTP/1.1 2", PLAIN[:-1], CHUNKED[:-2]])
@pytest.mark.parametrize("rudely", [False, True])
def test_a_cut_connection_is_told(peer: Peer, heard: bytes, rudely: bool) -> None:
    exchange = asked(peer)
    if heard:
        peer.say(exchange, heard)
    peer.hang_up(rudely)
    with pytest.raises(ConnectionProblem, match="cut") as caught:
        finish(exchange)
    assert caught.value.code == "lost"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000,
    ],
)
def test_nonsense_is_told(peer: Peer, nonsense: bytes) -> None:
    exchange = asked(peer)
    with pytest.raises(ConnectionProblem, match="cannot be understood"):
        peer.say(exchange, nonsense)
        finish(exchange)


def test_an_endless_answer_is_cut_off(peer: Peer) -> None:
    exchange = asked(peer, limit=1000)
    with pytest.raises(ConnectionProblem, match="larger than") as caught:
        peer.say(exchange, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001)
        finish(exchange)
    assert caught.value.code == "too-large"


def test_silence_is_told_after_its_time(peer: Peer) -> None:
    exchange = asked(peer, timeouts=Timeouts(silence=0.05))
    with pytest.raises(ConnectionProblem, match=r"did not answer for 0\.05 s") as caught:
        finish(exchange)
    assert caught.value.code == "timeout"


def test_a_busy_blender_is_not_the_servers_silence(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Blender renders for an hour nobody asks the server; that is no reason to give up."""
    now = [100.0]
    monkeypatch.setattr(http_exchange.time, "monotonic", lambda: now[0])
    exchange = Exchange(Endpoint(peer.port), "GET", "/", timeouts=Timeouts(connect=5.0, silence=30.0))
    while peer.connection is None:
        exchange.advance(0.0)
        peer.accept(exchange)
    now[0] += 3600.0
    assert not exchange.advance(0.0)
    for _ in range(28):
        now[0] += 1.0
        assert not exchange.advance(0.0)
    with pytest.raises(ConnectionProblem, match="did not answer"):
        for _ in range(5):
            now[0] += 1.0
            exchange.advance(0.0)


def test_a_file_is_there_whole_or_not_at_all(peer: Peer, tmp_path: Path) -> None:
    path = tmp_path / "scene.glb"
    exchange = asked(peer, sink=FileSink(path))
    peer.say(exchange, PLAIN[:-3])
    assert [item.name for item in tmp_path.iterdir()] == ["scene.glb.part"]
    peer.say(exchange, PLAIN[-3:])
    finish(exchange)
    assert [item.name for item in tmp_path.iterdir()] == ["scene.glb"]
    assert path.read_bytes() == b"hello world"


@pytest.mark.parametrize("how", ["cut", "given up"])
def test_half_a_file_is_removed(peer: Peer, tmp_path: Path, how: str) -> None:
    exchange = asked(peer, sink=FileSink(tmp_path / "scene.glb"))
    peer.say(exchange, PLAIN[:-3])
    if how == "cut":
        peer.hang_up()
        with pytest.raises(ConnectionProblem):
            finish(exchange)
    else:
        exchange.close()
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_not_written_into_the_file(peer: Peer, tmp_path: Path) -> None:
    exchange = asked(peer, sink=FileSink(tmp_path / "scene.glb"))
    peer.say(exchange, b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
    finish(exchange)
    assert exchange.body == b"{}"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_file(peer: Peer, tmp_path: Path) -> None:
    exchange = asked(peer, sink=FileSink(tmp_path / "empty"))
    peer.say(exchange, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    finish(exchange)
    assert (tmp_path / "empty").read_bytes() == b""


# a file that goes on where the line was cut


DATA = bytes(range(256)) * 40
TAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


def part(file: ResumedFile, data: bytes, first: int = 0, status: int = 206, tag: str = TAG) -> None:
    """An answer, or the beginning of one."""
    last = len(DATA) - 1
    file.begin(status, {"etag": tag, "content-range": f"bytes {first}-{last}/{len(DATA)}"})
    file.write(data)


def test_a_file_goes_on_where_the_line_was_cut(tmp_path: Path) -> None:
    file = ResumedFile(tmp_path / "scene.glb")
    assert file.asked == {}
    part(file, DATA[:1000], status=200)
    file.abandon()
    assert file.asked == {"Range": "bytes=1000-", "If-Range": TAG}
    part(file, DATA[1000:5000], 1000)
    file.abandon()
    part(file, DATA[5000:], 5000)
    file.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["scene.glb"]
    assert (tmp_path / "scene.glb").read_bytes() == DATA


def test_another_file_by_now_is_had_from_its_beginning(tmp_path: Path) -> None:
    file = ResumedFile(tmp_path / "scene.glb")
    part(file, b"of another one", status=200, tag='"1"')
    file.abandon()
    part(file, DATA, status=200)
    file.finish()
    assert (tmp_path / "scene.glb").read_bytes() == DATA


@pytest.mark.parametrize(("first", "tag"), [(999, TAG), (1001, TAG), (1000, '"other"')])
def test_a_part_that_was_not_asked_for_is_refused(tmp_path: Path, first: int, tag: str) -> None:
    file = ResumedFile(tmp_path / "scene.glb")
    part(file, DATA[:1000], status=200)
    file.abandon()
    with pytest.raises(ConnectionProblem) as caught:
        part(file, DATA[1000:], first, tag=tag)
    assert caught.value.code == "lost" and file.asked == {} and list(tmp_path.iterdir()) == []


def test_what_was_damaged_on_its_way_is_not_taken(tmp_path: Path) -> None:
    file = ResumedFile(tmp_path / "scene.glb")
    part(file, DATA[:-1] + b"?", status=200)
    with pytest.raises(ConnectionProblem) as caught:
        file.finish()
    assert caught.value.code == "result-damaged" and file.asked == {} and list(tmp_path.iterdir()) == []
