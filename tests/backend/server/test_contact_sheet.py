"""The contact sheet of jobs that somebody names: made of what the server has of them."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

from PIL import Image

from tests.backend.server.running_server import RunningServer
from tests.backend.small_pictures import cut_out


def sheet(server: RunningServer, **asked: Any) -> dict[str, bytes]:
    answer = server.client.post("/contact-sheet", json={"name": "Set <1>", "pipeline": "inflate", **asked})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_it_has_a_row_for_each_job_and_for_what_was_left_out(server: RunningServer) -> None:
    files = {"image": ("a.png", cut_out())}
    request = {"pipeline": "inflate", "parameters": {"texture_size": 64}}
    done = server.wait(server.post_job(request, files).json()["id"])["id"]
    failed = server.wait(server.post_job({"pipeline": "raising"}, files).json()["id"], "failed")["id"]
    made = sheet(
        server,
        remarks=["Lamp was not seen."],
        rows=[
            {"name": "Chair", "job": done, "remarks": ["Chair: largest & whole"]},
            {"name": "=Table", "job": failed},
            {"name": "Lamp", "problem": {"message": "No camera sees it.", "hint": "Move it.", "code": "capture"}},
            {"name": "Rug", "job": "0123456789abcdef01234567"},
            {"name": "Sofa"},
        ],
    )
    assert list(made) == ["batch.csv", "contact-sheet.png", "contact-sheet.html"]
    rows = list(csv.DictReader(made["batch.csv"].decode("utf-8-sig").splitlines()))
    assert [row["name"] for row in rows] == ["Chair", "'=Table", "Lamp", "Rug", "Sofa"]
    assert [row["state"] for row in rows] == ["done", "left out", "left out", "left out", "waiting"]
    assert [row["pipeline"] for row in rows] == ["inflate", "raising", "inflate", "inflate", "inflate"]
    assert (rows[0]["objects"], rows[0]["job"], rows[0]["remarks"]) == ("1", done, "Chair: largest & whole")
    assert 0.5 < float(rows[0]["mask_iou"]) <= 1 and float(rows[0]["seconds"]) > 0
    assert (rows[2]["sentence"], rows[2]["hint"]) == ("No camera sees it.", "Move it.")
    assert rows[3]["problem"] == "job-not-found"
    assert "scene.glb" not in made["batch.csv"].decode(), "nothing lies beside it"
    page = made["contact-sheet.html"].decode()
    assert "Set &lt;1&gt;" in page and "Lamp was not seen." in page and "Chair: largest &amp; whole" in page
    assert "1 of 5 made, 1 object, 3 left out" in page
    assert page.count("data:image/jpeg;base64,") == 3, "two pictures, and one prop"
    with Image.open(io.BytesIO(made["contact-sheet.png"])) as picture:
        assert picture.width > 4 * 2 * 192
    assert not server.job(done)["fetched"], "to look at it is not to have it"


def test_what_makes_no_sheet_is_refused(server: RunningServer) -> None:
    for rows in ([], [{"name": ""}], [{"name": "a", "job": 3}], [{"name": "a"}] * 301, [{"name": "a", "path": "b"}]):
        answer = server.client.post("/contact-sheet", json={"name": "Set", "pipeline": "inflate", "rows": rows})
        assert answer.status_code == 422 and answer.json()["code"] == "request-invalid"
