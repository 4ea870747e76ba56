"""A job again, with the pictures it has kept; and what the jobs hold of the disk."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until


def data_of(server: RunningServer) -> Path:
    arguments = server.process.args
    assert isinstance(arguments, list)
    return Path(arguments[arguments.index("--data") + 1])


def stored(server: RunningServer, job: str) -> dict[str, Any]:
    return dict(json.loads((data_of(server) / "jobs" / job / "request.json").read_text()))


def again(server: RunningServer, job: str, **changes: Any) -> Any:
    return server.client.post(f"/jobs/{job}/again", json=changes)


def test_the_same_pictures_make_a_new_job(server: RunningServer) -> None:
    request = {"pipeline": "steady", "parameters": {"steps": 3}, "seed": 4, "name": "Corner"}
    files = {"image": ("a.png", cut_out()), "instances": ("i.png", cut_out())}
    first = server.post_job({**request, "instances": [{"id": 1, "color": [255, 255, 255]}]}, files).json()
    answer = again(server, first["id"], seed=9)
    made = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/jobs/{made['id']}"
    assert (made["state"], made["name"], made["pipeline"]) == ("queued", "Corner", "steady")
    assert made["id"] != first["id"]
    assert stored(server, made["id"]) == {**stored(server, first["id"]), "seed": 9}
    for job in (first["id"], made["id"]):
        assert server.wait(job)["state"] == "done"
    results = [server.client.get(f"/jobs/{job}/files/result.json").json() for job in (first["id"], made["id"])]
    assert results[0]["inputs"] == results[1]["inputs"] and len(results[1]["inputs"]) == 2
    assert [result["seed"] for result in results] == [4, 9]


FORMER = Path(__file__).resolve().parents[1] / "former" / "inflate.request.json"


def test_a_job_of_the_version_before_is_made_again(server: RunningServer) -> None:
    files = {"image": ("a.png", cut_out())}
    request = {"pipeline": "inflate", "parameters": {"texture_size": 64}}
    job = server.wait(server.post_job(request, files).json()["id"])["id"]
    former = json.loads(FORMER.read_text()) | {"instances": []}
    assert "detail" in former["parameters"]
    (data_of(server) / "jobs" / job / "request.json").write_text(json.dumps(former))
    made = again(server, job)
    assert made.status_code == 201, made.text
    assert server.wait(made.json()["id"])["state"] == "done"
    result = server.client.get(f"/jobs/{made.json()['id']}/files/result.json").json()
    kept = {name: value for name, value in former["parameters"].items() if name != "detail"}
    assert result["parameters"] == {**kept, "resolution": 64, "colour": "texture", "background": "auto"}
    assert (result["seed"], result["name"]) == (7, "Corner")


def grey(*rectangles: tuple[int, slice, slice]) -> bytes:
    labels = np.zeros((32, 32), np.uint8)
    for number, rows, columns in rectangles:
        labels[rows, columns] = number
    stream = io.BytesIO()
    Image.fromarray(labels).save(stream, "PNG")
    return stream.getvalue()


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.full((32, 32), 2.0, np.float32))
    return stream.getvalue()


def test_whole_outlines_come_with_a_job_and_are_used_again(server: RunningServer) -> None:
    seen = grey((1, slice(4, 28), slice(4, 16)), (2, slice(4, 28), slice(16, 28)))
    whole = [grey((1, slice(4, 28), slice(4, 16))), grey((2, slice(4, 28), slice(8, 28)))]
    files = [("image", ("a.png", cut_out())), ("instances", ("i.png", seen))]
    files += [("outlines", (f"{number}.png", data)) for number, data in enumerate(whole)]
    files += [("outline_depths", (f"{number}.npy", npy())) for number in range(2)]
    request = {"pipeline": "inflate", "parameters": {"texture_size": 64}}
    first = server.client.post("/jobs", data={"request": json.dumps(request)}, files=files)
    assert first.status_code == 201, first.text
    made = again(server, first.json()["id"]).json()
    for job in (first.json()["id"], made["id"]):
        assert server.wait(job)["state"] == "done"
        result = server.client.get(f"/jobs/{job}/files/result.json").json()
        assert [prop["seen"] for prop in result["props"]] == [1.0, 0.6]
        roles = [file["role"] for file in result["inputs"]]
        assert roles == ["image", "instances", "outlines", "outlines", "outline_depths", "outline_depths"]


def test_whole_outlines_that_do_not_fit_are_refused(server: RunningServer) -> None:
    seen = grey((1, slice(4, 28), slice(4, 16)))
    request = {"request": json.dumps({"pipeline": "inflate"})}
    for parts, code in (
        ([("outlines", ("o.png", grey((7, slice(4, 28), slice(4, 16)))))], "outlines-mismatch"),
        ([("outline_depths", ("d.npy", npy()))], "request-invalid"),
        ([("outlines", ("o.png", seen))] * 65, "request-invalid"),
    ):
        files = [("image", ("a.png", cut_out())), ("instances", ("i.png", seen)), *parts]
        answer = server.client.post("/jobs", data=request, files=files)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_a_failed_job_is_tried_with_another_pipeline(server: RunningServer) -> None:
    failed = server.wait(server.submit("raising", how="problem")["id"])
    assert failed["state"] == "failed"
    made = again(server, failed["id"], pipeline="steady", parameters={"steps": 2}).json()
    assert server.wait(made["id"])["state"] == "done"
    assert server.client.delete(f"/jobs/{failed['id']}", params={"forget": True}).status_code == 204
    assert server.wait(again(server, made["id"]).json()["id"])["state"] == "done", "its pictures outlive the first job"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"seed": -1}, 422, "request-invalid"),
        ({"nonsense": 1}, 422, "request-invalid"),
        ({"pipeline": "nothing"}, 422, "pipeline-unknown"),
        ({"parameters": {"nonsense": 1}}, 422, "parameters-invalid"),
        ({"prepare": {"nothing": {}}}, 422, "preparation-unknown"),
    ],
)
def test_what_is_wrong_is_refused_with_a_sentence(
    server: RunningServer, changes: dict[str, Any], status: int, code: str
) -> None:
    job = server.wait(server.submit()["id"])["id"]
    before = len(server.client.get("/jobs").json())
    refused = again(server, job, **changes)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert refused.json()["detail"].endswith(".")
    assert len(server.client.get("/jobs").json()) == before


def test_gone_jobs_and_gone_pictures_are_told_apart(server: RunningServer) -> None:
    assert again(server, "0" * 24).json()["code"] == "job-not-found"
    job = server.wait(server.submit()["id"])["id"]
    shutil.rmtree(data_of(server) / "jobs" / job / "inputs")
    refused = again(server, job)
    assert (refused.status_code, refused.json()["code"]) == (409, "inputs-gone")
    assert "pictures" in refused.json()["detail"]


def test_the_server_tells_and_limits_what_jobs_hold(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--keep-bytes", "1000000") as server:
        job = server.wait(server.submit()["id"])["id"]
        told = server.client.get("/storage").json()
        files = [path for path in (tmp_path / "data" / "jobs").rglob("*") if path.is_file()]
        held = sum(path.stat().st_size for path in files)
        assert told == {"jobs": 1, "bytes": held, "keep_bytes": 1_000_000, "surplus": None}
        assert server.client.put("/storage", json={"keep_bytes": -1}).json()["code"] == "request-invalid"
        server.client.get(f"/jobs/{job}/files/scene.glb").raise_for_status()
        tried = server.client.get("/storage?keep_bytes=0").json()
        assert tried["surplus"] == {"jobs": 1, "bytes": tried["bytes"]}
        assert (tried["jobs"], tried["keep_bytes"]) == (1, 1_000_000), "it was only a question"
        assert server.client.put("/storage", json={"keep_bytes": 0}).json()["keep_bytes"] == 0
        nothing = {"jobs": 0, "bytes": 0, "keep_bytes": 0, "surplus": None}
        until(lambda: server.client.get("/storage").json() == nothing, "the limit")
        assert server.client.get("/jobs").json() == []
        assert server.client.put("/storage", json={"keep_bytes": None}).json()["keep_bytes"] is None
    with RunningServer(tmp_path / "data", SET_DRESSER_KEEP_BYTES="5") as server:
        assert server.client.get("/storage").json()["keep_bytes"] == 5


def test_one_object_of_several_is_made_again(server: RunningServer) -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[4:14, 4:14], labels[16:30, 12:28] = 3, 5
    stream = io.BytesIO()
    Image.fromarray(labels).save(stream, "PNG")
    files = {"image": ("a.png", cut_out()), "instances": ("i.png", stream.getvalue())}
    request = {"pipeline": "steady", "parameters": {"steps": 1}}
    first = server.wait(server.post_job(request, files).json()["id"])
    refused = again(server, first["id"], only=[4])
    assert (refused.status_code, refused.json()["code"]) == (422, "instances-mismatch")
    assert "Object 4" in refused.json()["detail"]
    made = again(server, first["id"], only=[5])
    assert made.status_code == 201, made.text
    assert stored(server, made.json()["id"])["only"] == [5]
    assert server.wait(made.json()["id"])["state"] == "done"
    whole = again(server, made.json()["id"], only=[])
    assert stored(server, whole.json()["id"])["only"] == [], "and all of them again"
