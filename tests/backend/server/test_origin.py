"""Where a job came from, in the client's own words: kept, told again, and never read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.contract import LARGEST_ORIGIN
from tests.backend.server.running_server import RunningServer
from tests.backend.server.test_again import again, data_of, stored
from tests.backend.small_pictures import cut_out

ORIGIN = {"file": "/sets/küche.blend", "block_outs": ["Sofa", None, ["Rug", "/sets/lib.blend"]], "height": 1.5}


def post(server: RunningServer, **request: Any) -> Any:
    request = {"pipeline": "steady", "parameters": {"steps": 1}, **request}
    return server.post_job(request, {"image": ("a.png", cut_out())})


def test_it_is_told_wherever_the_job_is_and_is_no_part_of_the_result(server: RunningServer) -> None:
    made = post(server, origin=ORIGIN).json()
    assert made["origin"] == ORIGIN
    ended = server.wait(made["id"])
    assert ended["origin"] == ORIGIN
    assert server.client.get("/jobs").json()[0]["origin"] == ORIGIN
    assert stored(server, made["id"])["origin"] == ORIGIN
    assert "origin" not in server.client.get(f"/jobs/{made['id']}/files/result.json").json()
    assert post(server).json()["origin"] == {}
    logs = [path.read_text(errors="replace") for path in data_of(server).rglob("*.log")]
    logs += [path.read_text(errors="replace") for path in data_of(server).rglob("log.txt")]
    assert logs and not any("küche" in text or "k\\u00fcche" in text for text in logs)


def test_what_is_made_again_has_an_origin_of_its_own(server: RunningServer) -> None:
    job = post(server, origin=ORIGIN).json()["id"]
    assert again(server, job, seed=3).json()["origin"] == {}, "the former one is not that of whoever asks"
    made = again(server, job, seed=4, origin={"file": "other"}).json()
    assert made["origin"] == {"file": "other"} == stored(server, made["id"])["origin"]


def exactly(size: int) -> dict[str, str]:
    """As large as this, as JSON."""
    return {"file": "ü" + "x" * (size - len('{"file":"ü"}'.encode()))}


def test_it_has_a_largest_size_and_that_is_said(server: RunningServer) -> None:
    largest = exactly(LARGEST_ORIGIN)
    assert post(server, origin=largest).json()["origin"] == largest
    before = len(server.client.get("/jobs").json())
    for refused in (post(server, origin=exactly(LARGEST_ORIGIN + 1)), again(server, "0" * 24, origin=exactly(5000))):
        assert (refused.status_code, refused.json()["code"]) == (422, "request-invalid")
        assert "origin: has " in refused.json()["detail"] and "4096 are the limit" in refused.json()["detail"]
    assert len(server.client.get("/jobs").json()) == before


@pytest.mark.parametrize("origin", [None, [], "set.blend", 1, json.loads('{"a":' * 900 + "1" + "}" * 900)])
def test_it_is_an_object_of_bearable_depth(server: RunningServer, origin: Any) -> None:
    refused = post(server, origin=origin)
    assert refused.status_code == 422, refused.text
    assert "origin" in refused.json()["detail"] or "JSON" in refused.json()["detail"]


def test_a_job_tells_whether_somebody_has_had_its_result(server: RunningServer) -> None:
    job = post(server).json()["id"]
    assert server.wait(job)["fetched"] is False
    for name, fetched in (("result.json", False), ("thumbnail.png", False), ("scene.glb", True)):
        assert server.client.get(f"/jobs/{job}/files/{name}").status_code == 200
        assert server.client.get(f"/jobs/{job}").json()["fetched"] is fetched
