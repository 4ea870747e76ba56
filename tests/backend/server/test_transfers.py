"""Large files over slow lines, and what a user may take of a server."""

import asyncio
import hashlib
import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from backend.errors import Problem
from backend.server.limits import MOST_AT_ONCE, Bucket, Pace
from backend.server.shares import Shares
from backend.server.uploads import KEPT_SECONDS, Uploads
from backend.server.users import User
from tests.backend.server.cut_line import fetch_patiently, send_patiently
from tests.backend.server.relay import CutLine
from tests.backend.server.users_server import UsersServer
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

PICTURE = cut_out()
SHA = hashlib.sha256(PICTURE).hexdigest()
LARGE = random.Random(7).randbytes(5_000_000)
LARGE_SHA = hashlib.sha256(LARGE).hexdigest()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersServer]:
    limits = ("--user-jobs", "3", "--user-disk", "30000000", "--user-upload", "8000000", "--user-requests", "500")
    with UsersServer(tmp_path_factory.mktemp("transfers"), *limits) as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def anna(server: UsersServer) -> Iterator[httpx.Client]:
    with server.client_of("anna") as client:
        yield client


@pytest.fixture(scope="module")
def scene(server: UsersServer, anna: httpx.Client) -> str:
    """The address of a result of five megabytes."""
    job = server.submit("steady", anna)["id"]
    server.wait(job, "done")
    (server.list.parent / "data" / "jobs" / job / "output" / "scene.glb").write_bytes(LARGE)
    return f"/jobs/{job}/files/scene.glb"


# results


def test_a_file_says_how_long_it_is_and_what_its_hash_is(anna: httpx.Client, scene: str) -> None:
    head = anna.head(scene)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(LARGE)))
    assert head.headers["etag"] == f'"{LARGE_SHA}"'
    assert head.headers["accept-ranges"] == "bytes"
    assert head.headers["content-type"] == "model/gltf-binary"
    assert not anna.get(scene.rpartition("/files")[0]).json()["fetched"], "nobody has had it yet"


@pytest.mark.parametrize(
    ("asked", "status", "first", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-199", 206, 100, 200),
        ("bytes=4999990-", 206, 4999990, 5000000),
        ("bytes=4999990-9999999", 206, 4999990, 5000000),
        ("bytes=-7", 206, 4999993, 5000000),
        ("bytes=-9999999", 206, 0, 5000000),
        ("bytes=5-4", 200, 0, 5000000),
        ("bytes=0-1,4-5", 200, 0, 5000000),
        ("lines=1-2", 200, 0, 5000000),
        ("bytes=x", 200, 0, 5000000),
    ],
)
def test_a_part_of_a_file(anna: httpx.Client, scene: str, asked: str, status: int, first: int, end: int) -> None:
    answer = anna.get(scene, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, LARGE[first:end])
    assert answer.headers.get("content-range") == (f"bytes {first}-{end - 1}/{len(LARGE)}" if status == 206 else None)


@pytest.mark.parametrize("asked", ["bytes=5000000-", "bytes=9999999-10000000", "bytes=-0"])
def test_a_part_that_is_not_there(anna: httpx.Client, scene: str, asked: str) -> None:
    answer = anna.get(scene, headers={"Range": asked})
    assert (answer.status_code, answer.json()["code"], answer.json()["size"]) == (416, "range-unusable", len(LARGE))


def test_a_part_of_another_state_of_the_file_is_all_of_this_one(
    server: UsersServer, anna: httpx.Client, scene: str
) -> None:
    def asked(tag: str) -> int:
        return anna.get(scene, headers={"Range": "bytes=0-9", "If-Range": tag}).status_code

    assert asked(f'"{LARGE_SHA}"') == 206
    assert asked(f'"{SHA}"') == asked(f'W/"{LARGE_SHA}"') == asked("Sun, 29 Nov 2026 00:00:00 GMT") == 200
    path = server.list.parent / "data" / scene.removeprefix("/").replace("/files/", "/output/")
    path.write_bytes(LARGE[::-1])
    assert asked(f'"{LARGE_SHA}"') == 200
    assert anna.head(scene).headers["etag"] == f'"{hashlib.sha256(LARGE[::-1]).hexdigest()}"'
    path.write_bytes(LARGE)
    assert anna.head(scene).headers["etag"] == f'"{LARGE_SHA}"'


def test_a_result_counts_as_fetched_once_its_last_byte_is_on_its_way(
    server: UsersServer, anna: httpx.Client, scene: str
) -> None:
    job = server.submit("steady", anna)["id"]
    server.wait(job, "done")
    path = f"/jobs/{job}/files/scene.glb"
    size = int(anna.head(path).headers["content-length"])
    assert anna.get(path, headers={"Range": f"bytes=0-{size - 2}"}).status_code == 206
    assert not anna.get(f"/jobs/{job}").json()["fetched"]
    assert anna.get(path, headers={"Range": f"bytes={size - 1}-"}).status_code == 206
    until(lambda: anna.get(f"/jobs/{job}").json()["fetched"], "the result counting as fetched")


# uploads


def send(client: httpx.Client, sha: str, data: bytes, first: int = 0, total: int | None = None) -> httpx.Response:
    total = len(data) if total is None else total
    headers = {"Content-Range": f"bytes {first}-{first + len(data) - 1}/{total}"}
    return client.put(f"/uploads/{sha}", content=data, headers=headers)


def submit_named(client: httpx.Client, *names: str, **more: Any) -> httpx.Response:
    request = json.dumps({"pipeline": "steady", **more})
    files = [("request", (None, request)), *(("image", (None, name)) for name in names)]
    return client.post("/jobs", files=files)


def test_a_picture_is_sent_once_and_named_in_any_number_of_requests(server: UsersServer, anna: httpx.Client) -> None:
    assert anna.get(f"/uploads/{SHA}").json() == {"sha256": SHA, "received": 0, "complete": False}
    assert submit_named(anna, f"sha256:{SHA}").json()["code"] == "upload-not-found"
    assert anna.put(f"/uploads/{SHA}", content=PICTURE).json()["complete"]
    for _ in range(2):
        made = submit_named(anna, f"sha256:{SHA}")
        assert made.status_code == 201, made.text
        folder = server.list.parent / "data" / "jobs" / made.json()["id"]
        assert (folder / "inputs" / "image-0.bin").read_bytes() == PICTURE
        server.wait(made.json()["id"], "done")
    assert anna.put(f"/uploads/{SHA}", content=b"anything").json()["complete"], "it is here, and nothing is read"
    assert submit_named(anna, "sha256:../../etc/passwd").json()["code"] == "request-invalid"
    assert submit_named(anna, "a picture").json()["code"] == "request-invalid"
    uploads = server.list.parent / "data" / "uploads"
    assert [path.name for path in uploads.rglob(f"{SHA}*")] == [SHA]
    if os.name == "posix":
        assert not [path for path in (uploads, *uploads.rglob("*")) if path.stat().st_mode & 0o077]


def test_an_upload_goes_on_where_it_was_cut(anna: httpx.Client) -> None:
    data = LARGE[:300_000]
    sha = hashlib.sha256(data).hexdigest()
    assert send(anna, sha, data[:100_000], 0, 300_000).json() == {"sha256": sha, "received": 100_000, "complete": False}
    wrong = send(anna, sha, data[150_000:], 150_000, 300_000)
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["received"]) == (409, "upload-out-of-step", 100_000)
    assert anna.get(f"/uploads/{sha}").json()["received"] == 100_000
    assert submit_named(anna, f"sha256:{sha}").json()["code"] == "upload-not-found", "half of it is none"
    assert send(anna, sha, data[100_000:], 100_000, 300_000).json()["complete"]


def test_what_has_another_hash_leaves_nothing(anna: httpx.Client) -> None:
    sha = hashlib.sha256(b"another").hexdigest()
    for data in (PICTURE, b"x"):
        answer = anna.put(f"/uploads/{sha}", content=data)
        assert (answer.status_code, answer.json()["code"]) == (422, "upload-damaged")
        assert anna.get(f"/uploads/{sha}").json()["received"] == 0


@pytest.mark.parametrize(
    "content_range", ["bytes 0-1", "bytes 0-1/*", "bytes 5-4/10", "bytes 0-10/10", "bytes -1/10", "0-1/2", "bytes */10"]
)
def test_a_range_that_says_nothing_is_refused(anna: httpx.Client, content_range: str) -> None:
    sha = hashlib.sha256(content_range.encode()).hexdigest()
    answer = anna.put(f"/uploads/{sha}", content=b"xy", headers={"Content-Range": content_range})
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")
    assert anna.get(f"/uploads/{sha}").json()["received"] == 0


def test_more_or_less_than_was_announced(anna: httpx.Client) -> None:
    sha = hashlib.sha256(b"0123456789").hexdigest()
    more = anna.put(f"/uploads/{sha}", content=b"0123456789x", headers={"Content-Range": "bytes 0-4/10"})
    assert more.json()["code"] == "request-invalid"
    less = anna.put(f"/uploads/{sha}", content=b"012", headers={"Content-Range": "bytes 0-9/10"})
    assert less.json() == {"sha256": sha, "received": 3, "complete": False}
    assert anna.put(f"/uploads/{sha}", content=iter([b"01"])).json()["code"] == "request-invalid", "of unknown length"
    assert send(anna, sha, b"3456789", 3, 10).json()["complete"]


def test_a_newcomer_goes_on_although_the_former_connection_hangs(server: UsersServer, anna: httpx.Client) -> None:
    data = LARGE[:200_000]
    sha = hashlib.sha256(data).hexdigest()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as hanging:
        lines = [f"PUT /uploads/{sha} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Content-Length: 200000"]
        lines += [f"Authorization: Bearer {server.tokens['anna']}", "Content-Range: bytes 0-199999/200000"]
        hanging.sendall("\r\n".join([*lines, "", ""]).encode() + data[:50_000])
        time.sleep(0.3)
        assert send(anna, sha, data).json()["complete"]
        hanging.sendall(data[50_000:])
        assert b" 409 " in hanging.recv(200)
    assert anna.get(f"/uploads/{sha}").json()["complete"]


def test_a_line_that_is_cut_every_two_megabytes_brings_a_picture_and_a_result(server: UsersServer, scene: str) -> None:
    headers = {"Authorization": f"Bearer {server.tokens['anna']}", "Host": f"127.0.0.1:{server.port}"}
    with CutLine(server.port, 2_000_000) as line:
        base = f"http://127.0.0.1:{line.port}"

        def connect() -> httpx.Client:
            return httpx.Client(base_url=base, headers=headers, timeout=20, trust_env=False, verify=False)

        send_patiently(connect, LARGE[::-1])
        assert line.cuts >= 2
        before = line.cuts
        assert fetch_patiently(connect, scene) == LARGE
        assert line.cuts > before + 1


def test_uploads_that_nobody_uses_are_swept(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 1000, Shares(lambda user: 0, None))
    folder = uploads._folder("anna")
    folder.mkdir(parents=True)
    for name, age in (("a" * 64, 0.0), ("b" * 64, KEPT_SECONDS + 60), ("c" * 64 + ".partial", KEPT_SECONDS + 60)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert uploads.held("anna") == 3 and uploads.held("ben") == 0
    uploads.sweep()
    assert [path.name[0] for path in folder.iterdir()] == ["a"]


def test_an_upload_that_was_spoilt_on_the_disk_is_not_used(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 1000, Shares(lambda user: 0, None))
    path = uploads._folder("anna") / SHA
    path.parent.mkdir(parents=True)
    path.write_bytes(PICTURE)
    assert uploads.read("anna", SHA) == PICTURE
    path.write_bytes(PICTURE[:-1])
    with pytest.raises(Problem, match="upload-not-found"):
        uploads.read("anna", SHA)
    assert not path.exists()


# limits


def test_what_is_larger_than_a_user_may_send_is_refused(server: UsersServer, anna: httpx.Client) -> None:
    sha = hashlib.sha256(b"").hexdigest()
    announced = send(anna, sha, b"x", 0, 8_000_001)
    assert (announced.status_code, announced.json()["code"]) == (413, "request-too-large")
    assert "8000000 are the limit" in announced.json()["detail"]
    at_once = anna.post("/jobs", data={"request": "{}"}, files={"image": ("a", bytes(8_000_001))})
    assert (at_once.status_code, at_once.json()["code"]) == (413, "request-too-large")
    assert send(anna, LARGE_SHA, LARGE).json()["complete"]
    together = submit_named(anna, f"sha256:{LARGE_SHA}", f"sha256:{LARGE_SHA}")
    assert (together.status_code, together.json()["code"]) == (413, "request-too-large")


def test_who_holds_too_much_of_the_disk_sends_no_more(server: UsersServer) -> None:
    with server.client_of("ben") as ben:
        for number in range(4):
            data = random.Random(number).randbytes(6_000_000)
            assert send(ben, hashlib.sha256(data).hexdigest(), data).json()["complete"]
        data = random.Random(5).randbytes(7_000_000)
        refused = send(ben, hashlib.sha256(data).hexdigest(), data)
        assert (refused.status_code, refused.json()["code"]) == (507, "share-used-up")
        assert refused.json()["detail"] == "You hold 24.0 MB of 30.0 MB, and 7.0 MB more would come."
        assert ben.get("/storage").json()["share_used"] == 24_000_000
        assert server.submit("steady", ben)["user"] == "ben", "there is room for a small one"


def test_only_so_many_jobs_of_a_user_wait(server: UsersServer, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with server.client_of("farm") as farm:
        first = server.submit("steady", farm, gate=str(gate))["id"]
        server.wait(first, "running")
        waiting = [server.submit("steady", farm, gate=str(gate))["id"] for _ in range(3)]
        request, picture = {"pipeline": "steady"}, {"image": ("a.png", PICTURE)}
        for refused in (server.post_job(request, picture, farm), farm.post(f"/jobs/{first}/again", json={})):
            assert (refused.status_code, refused.json()["code"]) == (429, "queue-full")
            assert refused.json()["detail"] == "3 of your jobs wait, and 3 may."
        with server.client_of("anna") as anna:
            other = server.submit("steady", anna, gate=str(gate))["id"]
        for job in (*waiting, other):
            farm.delete(f"/jobs/{job}")
        gate.touch()
        server.wait(first, "done")


def paced(pace: Pace, name: str) -> Response:
    """What a user hears; a server that lets the request through answers 200."""
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    asyncio.run(pace({"type": "http", "state": {"user": User(name)}}, receive, send))
    return Response(
        told[1]["body"], told[0]["status"], {key.decode(): value.decode() for key, value in told[0]["headers"]}
    )


def test_who_asks_too_often_is_asked_to_wait_and_nobody_else() -> None:
    now = 1000.0
    pace = Pace(Response("let through"), rate=40, clock=lambda: now)
    answers = [paced(pace, "ben") for _ in range(210)]
    assert [answer.status_code for answer in answers] == [200] * 200 + [429] * 10
    problem = json.loads(answers[-1].body)
    assert (problem["code"], problem["detail"]) == ("too-many-requests", "You may send 40 requests a second.")
    assert answers[-1].headers["retry-after"] == "1"
    assert paced(pace, "anna").status_code == 200
    now += 0.5
    assert [paced(pace, "ben").status_code for _ in range(21)] == [200] * 20 + [429]


def test_a_bucket_fills_at_its_rate() -> None:
    bucket = Bucket(rate=2, now=100.0)
    assert [bucket.take(100.0) for _ in range(11)] == [0.0] * 10 + [0.5]
    assert bucket.take(100.4) == pytest.approx(0.1)
    assert [bucket.take(100.5), bucket.take(100.5)] == [0.0, pytest.approx(0.5)]
    assert [bucket.take(1000.0) for _ in range(11)] == [0.0] * 10 + [0.5]
    assert Bucket(rate=0.1, now=0.0).take(0.0) == 0.0, "a slow one lets the first through"


def test_only_so_many_answers_are_given_to_one_user_at_once(server: UsersServer, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with server.client_of("farm") as farm, server.client_of("anna") as anna:
        job = server.submit("steady", farm, gate=str(gate))["id"]
        head = f"GET /jobs/{job}/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        head += f"Authorization: Bearer {server.tokens['farm']}\r\n\r\n"
        followers = []
        for _ in range(MOST_AT_ONCE):
            followers.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            followers[-1].sendall(head.encode())
            assert followers[-1].recv(20).startswith(b"HTTP/1.1 200")
        refused = farm.get("/health")
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
        assert anna.get("/health").status_code == 200
        for follower in followers:
            follower.close()
        until(lambda: farm.get("/health").status_code == 200, "room for the next request")
        gate.touch()
        server.wait(job, "done")


def test_what_comes_counts_before_it_is_measured() -> None:
    measured = threading.Event()

    def measure(user: str) -> int:
        measured.set()
        return 50

    shares = Shares(measure, 100)
    shares.check("anna", 30)
    assert measured.is_set()
    measured.clear()
    with pytest.raises(Problem, match="share-used-up"):
        shares.check("anna", 21)
    assert not measured.is_set() and shares.held("anna") == 80
    shares.give_back("anna", 10)
    assert shares.held("anna") == 70
    shares.forget("anna")
    assert shares.held("anna") == 50 and measured.is_set()
    Shares(measure, None).check("anna", 10**15)


# behind a proxy


def test_behind_a_proxy_only_that_comes_in_under_any_port_of_its_own(tmp_path: Path) -> None:
    options = ("--behind-proxy", "127.0.0.2", "--host-name", "farm.studio.lan", "--user-requests", "1")
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with (
        UsersServer(tmp_path, *options) as server,
        httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{server.port}") as proxy,
    ):
        headers = {"Authorization": f"Bearer {server.tokens['anna']}"}
        for host in ("farm.studio.lan", "farm.studio.lan:443", "FARM.studio.lan:8443"):
            assert proxy.get("/health", headers={**headers, "Host": host}).status_code == 200
        assert proxy.get("/health", headers={**headers, "Host": "evil.example"}).status_code == 403
        page = {**headers, "Host": "farm.studio.lan", "Origin": "https://farm.studio.lan"}
        assert proxy.get("/health", headers=page).status_code == 200
        assert proxy.get("/health", headers={"Host": "farm.studio.lan"}).status_code == 401
        with pytest.raises(httpx.TransportError):
            server.client.get("/health")
        assert "it did not come through the proxy" in server.log.read_text()
        answers = [proxy.get("/health", headers=page) for _ in range(30)]
        slower = next(answer for answer in answers if answer.status_code == 429)
        assert (slower.json()["code"], slower.headers["retry-after"]) == ("too-many-requests", "1")
