"""What the server refuses, how it says so, and that it lives on."""

import http.client
import socket
from pathlib import Path

import httpx
import pytest

from tests.backend.server.running_server import TOKEN, RunningServer
from tests.backend.small_pictures import cut_out

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
MEMBERS = {"type", "title", "status", "detail", "code", "hint"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert document.keys() >= MEMBERS
    assert document["type"] == f"urn:set-dresser:problem:{code}"
    assert document["detail"].endswith((".", "!", "?")), document["detail"]
    assert document["hint"]
    assert "Traceback" not in answer.text


@pytest.fixture(autouse=True)
def _the_server_lives(server: RunningServer) -> object:
    yield
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/jobs", "/openapi.json", "/nowhere"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer wrong")],
        [("Authorization", f"Bearer {TOKEN}x")],
        [("Authorization", f"Bearer {TOKEN[:-1]}")],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", TOKEN)],
        [("Authorization", "Bearer")],
        [("Authorization", b"Bearer \xff\xfe")],
        [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"Bearer {TOKEN}")],
    ],
)
def test_without_the_token_nothing_is_told(server: RunningServer, path: str, headers: list[tuple[str, str]]) -> None:
    answer = httpx.get(f"http://127.0.0.1:{server.port}{path}", headers=headers, trust_env=False)
    assert_problem(answer, 401, "token-wrong")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.2:{port}", "a@127.0.0.1:{port}"]
)
def test_requests_for_another_host_are_refused(server: RunningServer, host: str) -> None:
    answer = server.client.get("/health", headers={"Host": host.format(port=server.port)})
    assert_problem(answer, 403, "host-refused")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "[::1]:{port}"])
def test_the_names_of_this_machine_are_accepted(server: RunningServer, host: str) -> None:
    assert server.client.get("/health", headers={"Host": host.format(port=server.port)}).status_code == 200


def test_web_pages_get_no_permission(server: RunningServer) -> None:
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = server.client.options("/jobs", headers=origin)
    assert_problem(preflight, 405, "method-not-allowed")
    answer = server.client.get("/health", headers=origin)
    assert not [name for name in (*preflight.headers, *answer.headers) if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/jobs/..%2f..%2fetc%2fpasswd", "not-found"),
        ("/jobs/%2e%2e", "job-not-found"),
        ("/jobs/%00", "job-not-found"),
        ("/jobs/" + "a" * 5000, "job-not-found"),
        ("/jobs/0123456789abcdef01234567", "job-not-found"),
        ("/jobs/0123456789ABCDEF01234567", "job-not-found"),
        ("/jobs/{job}/files/..%2frequest.json", "not-found"),
        ("/jobs/{job}/files/..", "file-not-found"),
        ("/jobs/{job}/files/%2e%2e%2f%2e%2e%2fjobs.sqlite3", "not-found"),
        ("/jobs/{job}/files/..%5crequest.json", "file-not-found"),
        ("/jobs/{job}/files/scene.glb%00.png", "file-not-found"),
        ("/jobs/{job}/files/%00", "file-not-found"),
        ("/jobs/{job}/files/" + "x" * 5000, "file-not-found"),
        ("/jobs/{job}/files/SCENE.GLB", "file-not-found"),
        ("/jobs/{job}/files/", "not-found"),
        ("/jobs/", "not-found"),
        ("//health", "not-found"),
    ],
)
def test_paths_lead_nowhere_but_to_results(server: RunningServer, path: str, code: str) -> None:
    job = server.wait(server.submit()["id"], "done")["id"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)  # sends the path as it is
    connection.request("GET", path.format(job=job), headers=AUTHORIZED)
    raw = connection.getresponse()
    answer = httpx.Response(raw.status, headers=raw.getheaders(), content=raw.read())
    connection.close()
    assert_problem(answer, 404, code)


def test_methods_that_an_address_does_not_take_are_named(server: RunningServer) -> None:
    answer = server.client.put("/jobs")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("request_part", "code"),
    [
        ("", "request-invalid"),
        ("{", "request-invalid"),
        ("[]", "request-invalid"),
        ("{}", "request-invalid"),
        ('{"pipeline": "steady", "surprise": 1}', "request-invalid"),
        ('{"pipeline": "steady", "seed": -1}', "request-invalid"),
        ('{"pipeline": "steady", "name": "\\u0000"}', "request-invalid"),
        ('{"pipeline": "steady", "name": "\\ud800"}', "request-invalid"),
        ('{"pipeline": "steady", "camera": {"fx": NaN}}', "camera-invalid"),
        ('{"pipeline": "steady", "parameters": {"steps": NaN}}', "parameters-invalid"),
        ('{"pipeline": "steady", "parameters": {"steps": 1e999}}', "parameters-invalid"),
        ('{"pipeline": "steady", "parameters": {"legs": 4}}', "parameters-invalid"),
        ('{"pipeline": "nothing like this"}', "pipeline-unknown"),
        ("[" * 100_000, "request-invalid"),
        ('{"pipeline": "steady", "seed": ' + "9" * 5000 + "}", "request-invalid"),
    ],
)
def test_a_wrong_request_is_explained(server: RunningServer, request_part: str, code: str) -> None:
    answer = server.client.post("/jobs", data={"request": request_part}, files={"image": ("a.png", cut_out())})
    assert_problem(answer, 422, code)


GOOD = {"request": '{"pipeline": "steady"}'}
PICTURE = ("image", ("a.png", cut_out()))


@pytest.mark.parametrize(
    "files",
    [
        [],
        [PICTURE] * 3,
        [PICTURE, ("request", ("request.json", GOOD["request"]))],
        [PICTURE, ("instances", ("i.png", cut_out())), ("instances", ("i.png", cut_out()))],
        [PICTURE, ("surprise", ("a.png", b"1"))],
        [PICTURE] * 100,
        [("image", (None, "not a file"))],
    ],
    ids=["no picture", "too many", "two requests", "two maps", "unknown part", "a hundred parts", "no file name"],
)
def test_a_wrong_form_is_explained(
    server: RunningServer, files: list[tuple[str, tuple[str | None, bytes | str]]]
) -> None:
    assert_problem(
        server.client.post("/jobs", data=GOOD, files=files or {"depth": ("d.npy", b"1")}), 422, "request-invalid"
    )


def test_the_request_may_be_a_file_part(server: RunningServer) -> None:
    files = [("request", ("request.json", GOOD["request"], "application/json")), PICTURE]
    answer = server.client.post("/jobs", files=files)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"


@pytest.mark.parametrize("picture", [b"", b"not a picture", cut_out()[:60]])
def test_a_bad_picture_is_refused_at_once_and_nothing_is_stored(server: RunningServer, picture: bytes) -> None:
    before = [job["id"] for job in server.client.get("/jobs").json()]
    folders = set((server.log.parent / "data" / "jobs").iterdir())
    answer = server.client.post("/jobs", data=GOOD, files={"image": ("a.png", picture)})
    assert answer.status_code == 422
    assert answer.json()["code"].startswith("image-")
    assert [job["id"] for job in server.client.get("/jobs").json()] == before
    assert set((server.log.parent / "data" / "jobs").iterdir()) == folders


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"no such boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n\xff\xfe'),
        ("application/x-www-form-urlencoded", b"request=%7B%7D"),
        ("text/plain", b""),
    ],
)
def test_a_broken_body_is_explained(server: RunningServer, kind: str, body: bytes) -> None:
    assert_problem(server.client.post("/jobs", content=body, headers={"Content-Type": kind}), 422, "request-invalid")


@pytest.mark.parametrize("value", ["-1", "one", "1.5", "9" * 30, ""])
def test_a_wrong_last_event_id_is_explained(server: RunningServer, value: str) -> None:
    job = server.wait(server.submit()["id"])["id"]
    answer = server.client.get(f"/jobs/{job}/events", headers={"Last-Event-ID": value})
    assert_problem(answer, 422, "request-invalid")


def test_files_of_a_job_that_has_not_ended_are_not_there_yet(server: RunningServer, gate: Path) -> None:
    job = server.submit(gate=str(gate))["id"]
    assert_problem(server.client.get(f"/jobs/{job}/files/scene.glb"), 409, "job-not-finished")
    gate.touch()
    server.wait(job, "done")


def test_too_large_a_body_is_refused_by_what_it_announces(server: RunningServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    headers = {**AUTHORIZED, "Content-Length": str(10**12), "Expect": "100-continue"}
    connection.request("POST", "/jobs", headers=headers)
    raw = connection.getresponse()
    assert_problem(httpx.Response(raw.status, headers=raw.getheaders(), content=raw.read()), 413, "request-too-large")
    connection.close()


def test_too_large_a_body_is_refused_by_what_comes(server: RunningServer) -> None:
    chunks = (b" " * 100_000 for _ in range(30))  # chunked: nothing is announced
    path = "/jobs/0123456789abcdef01234567/input"
    answer = server.client.post(path, content=chunks, headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "request-too-large")


def test_an_upload_without_end_is_cut_off(server: RunningServer) -> None:
    """256 MB are the limit for pictures; the announced length may lie or be missing."""
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    chunk = b"\0" * 4_000_000

    def body() -> object:
        yield head
        for _ in range(70):
            yield chunk

    answer = server.client.post("/jobs", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert_problem(answer, 413, "request-too-large")


def test_a_client_that_goes_away_during_an_upload_leaves_nothing(server: RunningServer) -> None:
    folders = set((server.log.parent / "data" / "jobs").iterdir())
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        connection.sendall(
            f"{head}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x".encode()
        )
    assert server.client.get("/health").status_code == 200
    assert set((server.log.parent / "data" / "jobs").iterdir()) == folders


def test_the_log_knows_no_token_and_no_traceback(server: RunningServer) -> None:
    log = server.log.read_text()
    assert TOKEN not in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    "photos",
    ['[{"azimuth": NaN}]', '[{"azimuth": 1e999}]', '[{"azimuth": 400}]', '[{"azimuth": "left"}]', "[{}, {}]", "{}"],
)
def test_what_cannot_be_known_of_photos_is_refused(server: RunningServer, photos: str) -> None:
    request = f'{{"pipeline": "steady", "photos": {photos}}}'
    answer = server.client.post("/jobs", data={"request": request}, files={"image": ("a.png", cut_out())})
    assert_problem(answer, 422, "request-invalid")
    assert "photo" in answer.json()["detail"]
