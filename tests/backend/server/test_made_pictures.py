"""A request without pictures, whose picture a preparation makes: accepted, made, made again."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out

QUICK = {"resolution": 48, "texture_size": 64, "background": "plain"}
DRAWN = {"pipeline": "inflate", "parameters": QUICK, "prepare": {"drawn": {}}}


def post(server: RunningServer, request: dict[str, Any], **files: bytes) -> httpx.Response:
    parts = [("request", (None, json.dumps(request), "application/json"))]
    parts += [(role, (f"{role}.bin", data, "application/octet-stream")) for role, data in files.items()]
    return server.client.post("/jobs", files=parts)


def done(server: RunningServer, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 201, answer.text
    job = server.wait(answer.json()["id"], seconds=60)
    assert job["state"] == "done", job
    result: dict[str, Any] = server.client.get(f"/jobs/{job['id']}/files/result.json").json()
    return result


def test_the_picture_is_made_and_its_object_cut_out(server: RunningServer) -> None:
    result = done(server, post(server, {**DRAWN, "seed": 3}))
    assert result["inputs"] == []
    assert (result["instance_source"], result["camera_source"]) == ("background", "default")
    assert (result["camera"]["width"], result["camera"]["height"]) == (96, 96)
    assert result["prepared"]["drawn"]["record"] == {"sheet": [1024, 1024, 4]}
    (prop,) = result["props"]
    assert prop["name"] == "Disc" and prop["watertight"]
    assert prop["mask_pixels"] == pytest.approx(3.14159 * 23**2, rel=0.05)
    named = done(server, post(server, {**DRAWN, "seed": 3, "name": "Ball"}))
    assert named["props"][0]["name"] == "Ball"


def test_it_is_made_again_with_another_seed_and_by_another_pipeline(server: RunningServer) -> None:
    first = done(server, post(server, DRAWN))
    larger = done(server, server.client.post(f"/jobs/{first['job']}/again", json={"seed": 12}))
    assert larger["props"][0]["mask_pixels"] > 1.5 * first["props"][0]["mask_pixels"]
    changes = {"pipeline": "steady", "prepare": {"drawn": {"how": "cut out"}}}
    other = done(server, server.client.post(f"/jobs/{first['job']}/again", json=changes))
    assert (other["pipeline"]["id"], other["instance_source"]) == ("steady", "alpha")
    bare = server.client.post(f"/jobs/{first['job']}/again", json={"prepare": {}})
    assert (bare.status_code, bare.json()["code"]) == (422, "request-invalid"), bare.text


def test_objects_can_be_found_in_it(server: RunningServer) -> None:
    answer = post(server, {**DRAWN, "pipeline": "steady", "parameters": {}, "prepare": {"halves": {}, "drawn": {}}})
    job = answer.json()["id"]
    server.wait(job, "needs_input", seconds=60)
    server.client.post(f"/jobs/{job}/input", json={"answer": {"chosen": [0, 1]}}).raise_for_status()
    assert server.wait(job, seconds=60)["state"] == "done"
    result = server.client.get(f"/jobs/{job}/files/result.json").json()
    assert list(result["prepared"]) == ["drawn", "halves"]
    assert result["prepared"]["halves"]["record"] == {"pixels": 96 * 96}


@pytest.mark.parametrize(
    ("change", "files", "said"),
    [
        ({}, {"image": cut_out()}, "Drawn makes the picture itself, but a picture came too."),
        ({}, {"instances": cut_out()}, "Drawn makes the picture itself, but an instance map came too."),
        ({}, {"depth": b"x"}, "Drawn makes the picture itself, but depth came too."),
        ({"photos": [{"name": "a"}]}, {}, "Drawn makes the picture itself, but a table of photos came too."),
        ({"pipeline": "pairs", "parameters": {}}, {}, "Pairs takes 2 pictures; Drawn makes one."),
        ({"prepare": {}}, {}, "Inflate takes 1 picture(s); 0 came."),
        ({"prepare": {"halves": {}}}, {}, "Inflate takes 1 picture(s); 0 came."),
        ({"prepare": {"imagine": {}, "drawn": {}}}, {}, "Imagine needs the depth of the block-out."),
        ({"prepare": {"text": {"prompt": "a cup"}, "drawn": {}}}, {}, "Text and Drawn both make the picture."),
        ({"prepare": {"text": {"prompt": " \n"}}}, {}, "the sentence is empty; write what is to be made"),
        ({"prepare": {"text": {"prompt": "x" * 1001}}}, {}, "prompt: String should have at most 1000 characters"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_sentence(
    change: dict[str, Any], files: dict[str, bytes], said: str, server: RunningServer
) -> None:
    answer = post(server, {**DRAWN, **change}, **files)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] in ("request-invalid", "parameters-invalid")
    assert said in problem["detail"] and problem["hint"]


def test_preparations_tell_that_they_make_it(server: RunningServer) -> None:
    views = {view["id"]: view["makes_picture"] for view in server.client.get("/preparations").json()}
    ours = {"text": True, "imagine": False, "segment": False, "inversion": False}
    assert views == {**ours, "halves": False, "drawn": True}
