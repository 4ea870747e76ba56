"""Two users of one server: neither sees, fetches, cancels or guesses what is the other's, on any route there is.

The routes are those of the app's OpenAPI: one that is added and not thought of here fails the first test.
"""

import hashlib
import io
import json
import statistics
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.downloads.manager import Downloads
from backend.jobs.service import JobService
from backend.server.app import create_app
from backend.server.entrance import FOR_THIS_MACHINE
from backend.server.limits import Limits
from backend.server.middleware import the_one
from tests.backend.server.users_server import UsersServer
from tests.backend.small_pictures import cut_out

NOBODYS = "0123456789abcdef01234567"
SECRETS = ("anna's shot", "anna.blend", "anna@home", "Secret.Anna")
"""Words of Anna's jobs that Ben must never read."""

PICTURE = cut_out()
SHA = hashlib.sha256(PICTURE).hexdigest()

ABOUT_A_JOB: dict[str, Any] = {
    "GET /jobs/{job}": {},
    "GET /jobs/{job}/events": {},
    "POST /jobs/{job}/again": {"json": {"seed": 2}},
    "POST /jobs/{job}/continue": {},
    "POST /jobs/{job}/finish": {},
    "POST /jobs/{job}/input": {"json": {"answer": {"chosen": [0]}}},
    "POST /jobs/{job}/priority": {"json": {"priority": 100}},
    "DELETE /jobs/{job}": {},
    "GET /jobs/{job}/files/{name}": {},
    "HEAD /jobs/{job}/files/{name}": {},
}
"""What is asked on every route with the id of a job: for another's it answers as for one that is not there."""

ADMINISTRATORS: dict[str, Any] = {
    "GET /metrics": {},
    "PUT /storage": {"json": {"keep_bytes": 0}},
    "POST /models/{model}": {"json": {"accept_licence": True}},
    "DELETE /models/{model}/download": {},
    "POST /models/{model}/verify": {},
    "DELETE /models/{model}": {},
    "POST /rest": {},
    "POST /shutdown": {},
}
"""What is for administrators alone."""

ONES_OWN = (
    *("GET /health", "GET /storage", "GET /jobs", "POST /jobs", "GET /uploads/{sha256}", "PUT /uploads/{sha256}"),
    "POST /contact-sheet",
)
"""What answers differently to each; each has a test here."""

THE_SAME_FOR_ALL = ("GET /pipelines", "GET /preparations", "GET /models", "GET /models/{model}")


@dataclass
class Studio:
    """A server with a job of Anna's in every state that a job can be in, and the clients of all."""

    server: UsersServer
    gate: Path
    jobs: dict[str, str] = field(default_factory=dict)
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def anna(self) -> httpx.Client:
        return self.clients["anna"]

    @property
    def ben(self) -> httpx.Client:
        return self.clients["ben"]

    def submit(self, who: httpx.Client, pipeline: str, **parameters: Any) -> str:
        request = {"pipeline": pipeline, "parameters": parameters, "name": "anna's shot"}
        request["origin"] = {"file": "anna.blend", "who": "anna@home", "object": "Secret.Anna"}
        answer = self.server.post_job(request, {"image": ("a.png", PICTURE)}, who)
        assert answer.status_code == 201, answer.text
        assert answer.json()["user"] in ("anna", "ben")
        return str(answer.json()["id"])


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with UsersServer(folder, "--user-requests", "1000", "--verbose") as server:
        made = Studio(server, folder / "gate")
        made.clients = {name: server.client_of(name) for name in server.tokens}
        made.jobs["done"] = made.submit(made.anna, "steady")
        server.wait(made.jobs["done"], "done")
        made.jobs["failed"] = made.submit(made.anna, "raising")
        server.wait(made.jobs["failed"], "failed")
        made.jobs["asking"] = made.submit(made.anna, "asking")
        server.wait(made.jobs["asking"], "needs_input")
        made.jobs["running"] = made.submit(made.anna, "steady", gate=str(made.gate))
        server.wait(made.jobs["running"], "running")
        made.jobs["queued"] = made.submit(made.anna, "steady", gate=str(made.gate))
        sent = made.anna.put(f"/uploads/{SHA}", content=PICTURE)
        assert sent.json() == {"sha256": SHA, "received": len(PICTURE), "complete": True}
        yield made
        made.gate.touch()
        for client in made.clients.values():
            client.close()
        assert "Traceback" not in server.log.read_text()
        for token in server.tokens.values():
            assert token not in server.log.read_text()


def state(studio: Studio) -> list[dict[str, Any]]:
    """All of Anna's jobs as they are, but for what runs on by itself."""
    jobs = studio.anna.get("/jobs").json()
    return [{name: job[name] for name in job if name not in ("progress", "last_event", "position")} for job in jobs]


def ask(client: httpx.Client, route: str, *, job: str = NOBODYS, model: str = "midi", **more: Any) -> httpx.Response:
    method, path = route.split()
    names = {"job": job, "name": "scene.glb", "model": model, "sha256": SHA}
    answer = client.request(method, path.format(**names), **more)
    answer.read()
    return answer


def test_every_route_there_is_is_tried_here(studio: Studio) -> None:
    document = studio.ben.get("/openapi.json").json()
    routes = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    assert routes == {*ABOUT_A_JOB, *ADMINISTRATORS, *ONES_OWN, *THE_SAME_FOR_ALL}
    assert {route for route in routes if "{job}" in route} == set(ABOUT_A_JOB)
    for path in document["paths"].values():
        for operation in path.values():
            assert {"401", "403", "429", "503"} <= operation["responses"].keys()


def test_every_route_is_in_the_openapi(tmp_path: Path) -> None:
    """One that is left out of the description would be left out of all that is tried here."""
    service, downloads = JobService(tmp_path), Downloads(tmp_path)
    app = create_app(
        service,
        downloads,
        entrance=FOR_THIS_MACHINE,
        port=1,
        who=the_one("x" * 16),
        leave=lambda: None,
        limits=Limits(),
    )
    described = {
        f"{method.upper()} {path}" for path, operations in app.openapi()["paths"].items() for method in operations
    }
    routes = {f"{method} {route.path}" for route in app.routes for method in route.methods}  # type: ignore[attr-defined]
    assert routes - described == {"GET /openapi.json", "HEAD /openapi.json"}
    assert described <= routes
    service.stop()


@pytest.mark.parametrize("kind", ["done", "failed", "asking", "running", "queued"])
@pytest.mark.parametrize("route", ABOUT_A_JOB)
def test_a_job_of_another_is_one_that_is_not_there(studio: Studio, route: str, kind: str) -> None:
    before, job = state(studio), studio.jobs[kind]
    variants: list[dict[str, Any]] = [{}]
    if route.startswith("DELETE"):
        variants = [{}, {"params": {"forget": "true"}}]
    if "files" in route:
        variants = [{}, {"headers": {"Range": "bytes=0-3"}}]
    for variant in variants:
        theirs = ask(studio.ben, route, job=job, **ABOUT_A_JOB[route], **variant)
        nobodys = ask(studio.ben, route, job=NOBODYS, **ABOUT_A_JOB[route], **variant)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.content.replace(job.encode(), NOBODYS.encode()) == nobodys.content
        quiet = {name: value for name, value in theirs.headers.items() if name != "date"}
        assert quiet == {name: value for name, value in nobodys.headers.items() if name != "date"}
    assert state(studio) == before, "nothing has become of it"


@pytest.mark.parametrize("name", ["result.json", "thumbnail.png", "../request.json", "nothing"])
def test_no_file_of_another_is_told_from_one_that_is_not_there(studio: Studio, name: str) -> None:
    theirs, nobodys = (studio.ben.get(f"/jobs/{job}/files/{name}") for job in (studio.jobs["done"], NOBODYS))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.text.replace(studio.jobs["done"], NOBODYS) == nobodys.text


def test_the_list_has_ones_own_and_can_not_be_asked_from_anothers_place(studio: Studio) -> None:
    for more in ({}, {"ended": "true"}, {"ended": "false"}):
        assert studio.ben.get("/jobs", params={"limit": 1000, **more}).json() == []
    own = studio.submit(studio.ben, "steady")
    assert [job["id"] for job in studio.ben.get("/jobs").json()] == [own]
    assert own not in {job["id"] for job in studio.anna.get("/jobs").json()}
    theirs, nobodys = (studio.ben.get("/jobs", params={"before": job}) for job in (studio.jobs["done"], NOBODYS))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.text.replace(studio.jobs["done"], NOBODYS) == nobodys.text
    assert studio.ben.delete(f"/jobs/{own}").json()["state"] == "cancelled"
    assert studio.ben.delete(f"/jobs/{own}", params={"forget": "true"}).status_code == 204


def test_nothing_that_ben_can_read_has_a_word_of_annas(studio: Studio) -> None:
    said = ""
    for route in (*ONES_OWN, *THE_SAME_FOR_ALL):
        if route.startswith("GET"):
            answer = ask(studio.ben, route)
            assert answer.status_code == 200, route
            said += answer.text
    for word in (*SECRETS, *studio.jobs.values()):
        assert word not in said
    assert str(studio.server.list.parent) not in said, "nor where things lie on the server"
    assert all(word in studio.anna.get("/jobs").text for word in SECRETS), "the words are there to be found"


def test_a_key_that_ben_guesses_is_his_own(studio: Studio) -> None:
    """With the very request of Anna's, or with another one: he hears nothing of hers, and she nothing of his."""
    before = state(studio)
    for pipeline in ("steady", "raising"):
        request = {"pipeline": pipeline, "name": "anna's shot"}
        made = {}
        for who in ("anna", "ben", "farm", "anna", "ben", "farm"):
            data, headers = {"request": json.dumps(request)}, {"Idempotency-Key": f"guessed-{pipeline}"}
            client = studio.clients[who]
            answer = client.post("/jobs", data=data, files={"image": ("a.png", PICTURE)}, headers=headers)
            assert (answer.status_code, answer.json()["user"]) == (201, who)
            assert made.setdefault(who, answer.json()["id"]) == answer.json()["id"]
        assert len(set(made.values())) == 3
        for job, client in ((job, studio.clients[who]) for who, job in made.items()):
            assert client.delete(f"/jobs/{job}").json()["state"] == "cancelled"
            assert client.delete(f"/jobs/{job}", params={"forget": "true"}).status_code == 204
    for job, code in ((studio.jobs["done"], "job-not-found"), (NOBODYS, "job-not-found")):
        headers = {"Idempotency-Key": "guessed-again"}
        assert studio.ben.post(f"/jobs/{job}/again", json={}, headers=headers).json()["code"] == code
    assert state(studio) == before


def test_health_tells_ones_own_and_how_long_the_queue_is(studio: Studio) -> None:
    theirs, own = studio.ben.get("/health").json(), studio.anna.get("/health").json()
    assert own["running"] == studio.jobs["running"] == own["slots"][0]["running"]
    assert theirs["running"] is None and {slot["running"] for slot in theirs["slots"]} == {None}
    assert theirs["slots"][0]["worker"] == own["slots"][0]["worker"] == "busy"
    assert (own["queued"], own["own_queued"]) == (1, 1)
    assert (theirs["queued"], theirs["own_queued"]) == (1, 0)
    assert (theirs["user"], theirs["administrator"]) == ("ben", False)
    whole = studio.clients["farm"].get("/health").json()
    assert whole["running"] == studio.jobs["running"]
    assert (whole["user"], whole["administrator"]) == ("farm", True)


def test_storage_tells_what_is_ones_own(studio: Studio) -> None:
    theirs, own, whole = (studio.clients[name].get("/storage").json() for name in ("ben", "anna", "farm"))
    assert (theirs["jobs"], theirs["bytes"], theirs["keep_bytes"]) == (0, 0, None)
    assert own["jobs"] == whole["jobs"] == len(studio.jobs)
    assert own["bytes"] > 1000
    assert own["share_used"] > len(PICTURE) and own["share_bytes"] == 100_000_000_000
    refused = studio.ben.get("/storage", params={"keep_bytes": 0})
    assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
    assert studio.clients["farm"].get("/storage", params={"keep_bytes": 0}).json()["surplus"]["jobs"] == 1


@pytest.mark.parametrize("route", ADMINISTRATORS)
def test_what_is_for_administrators_is_refused_to_others(studio: Studio, route: str) -> None:
    before = state(studio)
    answer = ask(studio.ben, route, **ADMINISTRATORS[route])
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
    assert answer.json()["detail"] == "'ben' is no administrator of this server."
    unknown = ask(studio.ben, route, model="nothing", **ADMINISTRATORS[route])
    assert unknown.content == answer.content
    assert state(studio) == before


def test_an_upload_of_another_is_not_there(studio: Studio) -> None:
    assert studio.anna.get(f"/uploads/{SHA}").json()["complete"]
    assert studio.ben.get(f"/uploads/{SHA}").json() == {"sha256": SHA, "received": 0, "complete": False}
    request = {"request": json.dumps({"pipeline": "steady"}), "image": f"sha256:{SHA}"}
    named = studio.ben.post("/jobs", files=[(name, (None, value)) for name, value in request.items()])
    assert (named.status_code, named.json()["code"]) == (409, "upload-not-found")
    assert studio.ben.put(f"/uploads/{SHA}", content=PICTURE[:-1]).json()["code"] == "upload-damaged"
    assert studio.anna.get(f"/uploads/{SHA}").json()["complete"]


@pytest.mark.parametrize("kind", ["done", "failed", "running"])
def test_no_contact_sheet_shows_a_job_of_another(studio: Studio, kind: str) -> None:
    def sheet(client: httpx.Client, job: str) -> dict[str, bytes]:
        asked = {"name": "Set", "pipeline": "inflate", "rows": [{"name": "Shot", "job": job}]}
        answer = client.post("/contact-sheet", json=asked)
        assert answer.status_code == 200, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
            texts = [name for name in packed.namelist() if not name.endswith(".png")]  # that draws the id, too
            return {name: packed.read(name).replace(job.encode(), NOBODYS.encode()) for name in texts}

    job = studio.jobs[kind]
    theirs, nobodys, own = sheet(studio.ben, job), sheet(studio.ben, NOBODYS), sheet(studio.anna, job)
    assert theirs == nobodys != own
    assert b"data:image" not in theirs["contact-sheet.html"] and b"data:image" in own["contact-sheet.html"]
    assert b"job-not-found" in theirs["batch.csv"] and b"job-not-found" not in own["batch.csv"]


def test_an_administrator_sees_all_and_may_end_all(studio: Studio) -> None:
    farm = studio.clients["farm"]
    listed = {job["id"]: job["user"] for job in farm.get("/jobs").json()}
    assert {listed[job] for job in studio.jobs.values()} == {"anna"}
    assert farm.get(f"/jobs/{studio.jobs['done']}/files/result.json").status_code == 200
    again = farm.post(f"/jobs/{studio.jobs['done']}/again", json={}).json()
    assert again["user"] == "farm"
    assert studio.anna.get(f"/jobs/{again['id']}").status_code == 404
    assert farm.delete(f"/jobs/{again['id']}").status_code == 200
    assert farm.delete(f"/jobs/{again['id']}", params={"forget": "true"}).status_code == 204


def test_how_long_an_answer_takes_does_not_tell_that_a_job_is_there(studio: Studio) -> None:
    """A difference that could be measured over a network would be far above that of two medians here."""
    took: dict[str, list[float]] = {studio.jobs["done"]: [], NOBODYS: []}
    for _ in range(60):
        for job, times in took.items():
            began = time.perf_counter()
            assert studio.ben.get(f"/jobs/{job}").status_code == 404
            times.append(time.perf_counter() - began)
    theirs, nobodys = (statistics.median(times) for times in took.values())
    assert abs(theirs - nobodys) < max(0.002, 0.3 * nobodys)


@pytest.mark.parametrize("token", ["x", "é" * 20, "Bearer", "A" * 43])
def test_who_has_no_token_of_a_user_hears_nothing(studio: Studio, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode()}
    with httpx.Client(base_url=studio.ben.base_url, headers=headers, trust_env=False, verify=False) as stranger:
        for route in (*ABOUT_A_JOB, *ADMINISTRATORS, *ONES_OWN, *THE_SAME_FOR_ALL, "GET /openapi.json", "GET /static"):
            answer = ask(stranger, route, job=studio.jobs["done"])
            assert answer.status_code == 401
            assert route.startswith("HEAD") or answer.json()["code"] == "token-wrong"


def test_the_worker_of_a_job_knows_no_token(studio: Studio) -> None:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told = entry.read_bytes() + entry.with_name("environ").read_bytes()
        except OSError:
            continue  # it has ended, or is somebody else's
        for token in studio.server.tokens.values():
            assert token.encode() not in told
