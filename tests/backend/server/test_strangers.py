"""Who has no token, or means no good, holds nobody up and leaves no trace but a line in the log."""

import json
import re
import socket
import time
from pathlib import Path

import pytest

from tests.backend.server.hostile_requests import Hostile
from tests.backend.server.running_server import TOKEN, RunningServer
from tests.backend.small_pictures import cut_out

SEED = 20261128
HOSTILE = 1000
LONE = '"\\ud800"'


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def head(server: RunningServer, method: str = "GET", path: str = "/health", *lines: str) -> bytes:
    every = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {TOKEN}", *lines]
    return "\r\n".join([*every, "", ""]).encode()


def heard(connection: socket.socket, seconds: float = 5.0) -> bytes:
    """All that comes until the other side closes; what has come when the time is up."""
    told, end = b"", time.monotonic() + seconds
    connection.settimeout(0.2)
    while time.monotonic() < end:
        try:
            data = connection.recv(65536)
        except TimeoutError:
            continue
        except ConnectionResetError:
            break
        if not data:
            break
        told += data
    return told


def test_a_thousand_hostile_requests_meet_no_5xx_and_leave_no_traceback(server: RunningServer) -> None:
    statuses: dict[int, int] = {}
    for number, request in enumerate(Hostile(SEED, server.port, TOKEN).requests(HOSTILE)):
        with connect(server) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            try:
                line = connection.recv(4096)
            except ConnectionResetError:  # it does not speak HTTP, and has not read what was left
                line = b""
        found = re.match(rb"HTTP/1.1 (\d{3})", line)
        status = int(found[1]) if found else 0
        statuses[status] = statuses.get(status, 0) + 1
        assert status < 500, (number, request[:2000], line)
    assert server.client.get("/health").status_code == 200
    assert "Traceback" not in server.log.read_text()
    assert statuses.keys() >= {200, 201, 400, 404, 405, 422}, f"hardly anything was tried: {statuses}"


def test_a_client_that_has_said_all_it_wants_still_gets_its_answer(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(head(server, "GET", "/models"))
        connection.shutdown(socket.SHUT_WR)
        answer = heard(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith((b"]", b"0\r\n\r\n"))


@pytest.mark.parametrize("rest", [b"zz\r\n", b"\0\0\0", b"-5\r\n"])
def test_malformed_http_after_an_answer_has_begun_ends_the_connection(server: RunningServer, rest: bytes) -> None:
    with connect(server) as connection:
        # The address takes no such method: it is answered before the body has come.
        connection.sendall(head(server, "PUT", "/health", "Transfer-Encoding: chunked"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 405")
        connection.sendall(rest)
        heard(connection)
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize(
    "request_part",
    [
        f'{{"pipeline": "steady", "name": {LONE}}}',
        f'{{"pipeline": {LONE}}}',
        f'{{"pipeline": "steady", {LONE}: 1}}',
        f'{{"pipeline": "steady", "parameters": {{"text": {LONE}}}}}',
        f'{{"pipeline": "steady", "parameters": {{{LONE}: 1}}}}',
        f'{{"pipeline": "steady", "prepare": {{"imagine": {{"prompt": {LONE}}}}}}}',
        f'{{"pipeline": "steady", "instances": [{{"id": 1, "name": {LONE}}}]}}',
    ],
)
def test_half_a_character_in_a_request_is_explained(server: RunningServer, request_part: str) -> None:
    answer = server.client.post("/jobs", data={"request": request_part}, files={"image": ("a.png", cut_out())})
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/jobs/{job}/again", f'{{"parameters": {{"text": {LONE}}}}}'),
        ("POST", "/jobs/{job}/again", f'{{"pipeline": {LONE}}}'),
        ("POST", "/jobs/{job}/input", f'{{"answer": {{"text": {LONE}}}}}'),
        ("PUT", "/storage", f"{{{LONE}: 1}}"),
        ("POST", "/models/midi", f'{{"accept_licence": {LONE}}}'),
    ],
)
def test_half_a_character_in_any_document_is_explained(
    server: RunningServer, method: str, path: str, body: str
) -> None:
    job = server.submit()["id"]
    answer = server.client.request(
        method, path.format(job=job), content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


@pytest.mark.parametrize("charset", ["unicode_escape", "punycode", "undefined", "utf-7", "rot13"])
def test_a_form_in_another_character_set_is_explained(server: RunningServer, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="\\ud800"\r\n\r\n1\r\n--x--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = server.client.post("/jobs", content=body, headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


CAMERA = {
    **{"fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0, "width": 64, "height": 48},
    "world_from_camera": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
}


@pytest.mark.parametrize(
    "changes",
    [
        {"world_from_camera": [[1, 0, 0, 1e300], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
        {"world_from_camera": [[1, 0, 0, 0], [0, 1, 0, -1.1e6], [0, 0, 1, 0], [0, 0, 0, 1]]},
        {"world_from_camera": [[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
        {"world_from_camera": [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]},
        {"fx": 1e-300},
        {"fy": 1e7},
        {"fx": 5.0, "fy": 50_000.0},
        {"cx": 1e300},
        {"cy": -6500.0},
        {"fx": True},
        {"width": True, "height": True},
        {"width": 65537},
    ],
)
def test_a_camera_beyond_sense_is_refused(server: RunningServer, changes: dict[str, object]) -> None:
    request = {"pipeline": "steady", "camera": {**CAMERA, **changes}}
    answer = server.post_job(request, {"image": ("a.png", cut_out())})
    assert (answer.status_code, answer.json()["code"]) == (422, "camera-invalid")
    assert "camera" in answer.json()["detail"]


def test_true_is_no_number_of_an_object(server: RunningServer) -> None:
    for changes in ({"only": [True]}, {"instances": [{"id": True}]}, {"seed": True}):
        answer = server.post_job({"pipeline": "steady", **changes}, {"image": ("a.png", cut_out())})
        assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid"), changes
    job = server.submit()["id"]
    assert server.client.post(f"/jobs/{job}/again", json={"only": [True]}).status_code == 422
    assert server.client.put("/storage", json={"keep_bytes": False}).status_code == 422


BOX = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_more_objects_than_a_map_can_have_are_refused_early(server: RunningServer) -> None:
    rows = [{"id": number, "world_from_box": BOX} for number in range(1, 1002)]
    answer = server.post_job({"pipeline": "steady", "instances": rows}, {"image": ("a.png", cut_out())})
    assert (answer.status_code, answer.json()["code"]) == (422, "instances-too-many")


def monsters() -> dict[str, str]:
    """Well-formed documents of two megabytes and more."""
    rows = ",".join(f'{{"id":{number},"world_from_box":{json.dumps(BOX)}}}' for number in range(1, 65536))
    many = ",".join(f'"a{number}":0' for number in range(1_000_000))
    return {
        "rows": f'{{"pipeline": "steady", "instances": [{rows}]}}',
        "members": f'{{"pipeline": "steady", {many}}}',
        "parameters": f'{{"parameters": {{{many[:1_900_000].rpartition(",")[0]}}}}}',
        "lists": f'{{"parameters": {{"a": [{",".join(["[]"] * 600_000)}]}}}}',
    }


@pytest.mark.parametrize("kind", ["rows", "members", "parameters", "lists"])
def test_a_monstrous_document_is_refused_by_a_glance(server: RunningServer, kind: str) -> None:
    text = monsters()[kind]
    began = time.perf_counter()
    answer = server.client.post("/jobs", data={"request": text}, files={"image": ("a.png", cut_out())})
    assert answer.status_code in (413, 422)
    job = server.submit()["id"]
    again = server.client.post(
        f"/jobs/{job}/again", content=text[:1_990_000], headers={"Content-Type": "application/json"}
    )
    assert again.status_code in (413, 422)
    assert time.perf_counter() - began < 5


def test_the_log_of_all_this_is_small(server: RunningServer, tmp_path: Path) -> None:
    assert server.log.stat().st_size < 50_000
