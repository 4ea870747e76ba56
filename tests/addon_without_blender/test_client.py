"""The HTTP contract, as the add-on speaks it."""

from __future__ import annotations

import email.parser
import email.policy
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.wire.client import Client, EventParser, ServerEvent, ServerProblem, answer
from blender_addon.wire.endpoints import Endpoint
from blender_addon.wire.http_exchange import Exchange
from blender_addon.wire.http_framing import ConnectionProblem
from tests.blender_addon.peer import Peer, finish, listening

STREAM = (
    ": still here\n\n"
    'id: 1\nevent: state\ndata: {"state":"queued"}\n\n'
    'id: 2\r\nevent: progress\r\ndata: {"message":\r\ndata: "Grüße ✓"}\r\n\r\n'
    "event: unknown\rid: x\rretry: 5\rdata:{}\r\r"
    'id: 9\ndata: {"never": "closed"}\n'
)
EVENTS = [
    ServerEvent(1, "state", {"state": "queued"}),
    ServerEvent(2, "progress", {"message": "Grüße ✓"}),
    ServerEvent(0, "unknown", {}),
]


@pytest.fixture
def peer() -> Iterator[Peer]:
    with listening() as made:
        yield made


def answered(peer: Peer, exchange: Exchange, status: str, body: bytes) -> Exchange:
    peer.request(exchange)
    peer.say(exchange, f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    finish(exchange)
    return exchange


@given(cuts=st.lists(st.integers(0, len(STREAM.encode())), max_size=40))
def test_events_may_be_cut_anywhere(cuts: list[int]) -> None:
    data = STREAM.encode()
    parser = EventParser()
    events = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        parser.write(data[start:end])
        events += parser.take()
    assert events == EVENTS


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: 5\n\n", b"data: " + b"x" * (1 << 20 | 1)])
def test_events_that_make_no_sense_are_told(data: bytes) -> None:
    with pytest.raises(ConnectionProblem):
        EventParser().write(data)


def test_a_stream_goes_on_after_the_last_event_seen(peer: Peer) -> None:
    parser = EventParser()
    exchange = Client(Endpoint(peer.port), "secret").events("a b/c", 17, parser)
    head = peer.request(exchange)
    assert head.startswith(b"GET /jobs/a%20b%2Fc/events HTTP/1.1\r\n")
    assert b"\r\nLast-Event-ID: 17\r\n" in head
    assert b"\r\nAuthorization: Bearer secret\r\n" in head
    peer.say(exchange, b"HTTP/1.1 200 OK\r\n\r\nid: 18\ndata: {}\n\n")
    assert parser.take() == [ServerEvent(18, "message", {})]
    exchange.close()


def test_a_shot_is_sent_as_a_form(peer: Peer, tmp_path: Path) -> None:
    image, depth = tmp_path / "private name.png", tmp_path / "depth.npy"
    image.write_bytes(b"\x89PNG\r\n--boundary\r\n")
    depth.write_bytes(b"\x93NUMPY")
    request = {"pipeline": "inflate", "name": "Grüße", "seed": 3}
    sent = peer.request(Client(Endpoint(peer.port), "secret").submit(request, {"image": [image], "depth": [depth]}))
    line, _, rest = sent.partition(b"\r\n")
    assert line == b"POST /jobs HTTP/1.1"
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(rest)
    parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    assert list(parts) == ["request", "image", "depth"]
    assert json.loads(parts["request"].get_payload(decode=True)) == request
    assert parts["request"].get_content_type() == "application/json"
    assert parts["image"].get_payload(decode=True) == image.read_bytes()
    assert parts["depth"].get_payload(decode=True) == depth.read_bytes()
    assert b"private name" not in sent


@pytest.mark.parametrize("key", ["my-own-key", ""])
@pytest.mark.parametrize(
    "ask", [lambda client, key: client.submit({}, {}, key), lambda client, key: client.again("a", {}, key)]
)
def test_the_key_of_a_request_for_a_job_is_sent_with_it_where_there_is_one(
    peer: Peer, ask: Callable[[Client, str], Exchange], key: str
) -> None:
    sent = peer.request(ask(Client(Endpoint(peer.port), "secret"), key))
    assert (b"\r\nIdempotency-Key: my-own-key\r\n" in sent) == bool(key) == (b"Idempotency" in sent)


def test_the_boundary_differs_each_time(peer: Peer) -> None:
    client = Client(Endpoint(peer.port), "secret")
    heads = {exchange._upload._pieces[0] for exchange in (client.submit({}, {}) for _ in range(20))}
    assert len(heads) == 20


def test_a_problem_document_arrives_unchanged(peer: Peer) -> None:
    document = {
        "title": "Nope",
        "status": 422,
        "detail": "The map is empty.",
        "code": "instances-empty",
        "hint": "Paint.",
    }
    exchange = answered(peer, Client(Endpoint(peer.port), "t").jobs(), "422 Nope", json.dumps(document).encode())
    with pytest.raises(ServerProblem) as caught:
        answer(exchange)
    problem = caught.value
    assert (problem.status, problem.title, problem.code) == (422, "Nope", "instances-empty")
    assert (problem.message, problem.hint) == ("The map is empty.", "Paint.")


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b"[]", b'{"detail": [{"loc": 1}]}', b"\xff\xfe"])
def test_a_refusal_without_a_document_still_has_a_sentence(peer: Peer, body: bytes) -> None:
    exchange = answered(peer, Client(Endpoint(peer.port), "t").jobs(), "502 Bad Gateway", body)
    with pytest.raises(ServerProblem) as caught:
        answer(exchange)
    assert caught.value.status == 502
    assert caught.value.message


@pytest.mark.parametrize(("status", "body"), [("200 OK", b"<html>"), ("200 OK", b"{"), ("302 Found", b"")])
def test_an_answer_outside_the_contract_is_told(peer: Peer, status: str, body: bytes) -> None:
    exchange = answered(peer, Client(Endpoint(peer.port), "t").jobs(), status, body)
    with pytest.raises(ConnectionProblem, match="cannot be understood"):
        answer(exchange)


def test_nothing_is_an_answer_too(peer: Peer) -> None:
    assert answer(answered(peer, Client(Endpoint(peer.port), "t").forget("x"), "204 No Content", b"")) is None
