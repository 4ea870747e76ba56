"""What nobody means well with, on the routes that batches use: sheets and priorities."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from backend.batches import sheet as sheets
from backend.batches.record import Entry, Item, Record
from backend.batches.sheet import sheet_files
from backend.contract import GenerateRequest
from backend.errors import Problem
from backend.imaging.reading import Picture, read_picture
from tests.backend.server.hostile_requests import JOB, ODD_NUMBERS, ODD_TEXTS
from tests.backend.server.running_server import RunningServer

TEXTS = [
    *ODD_TEXTS,
    "\x1b[31m",
    "\ufffe",
    "\U000e0001",
    "ก็" * 400,
    "<img src=x onerror=alert(1)>",
    "W" * 1000,
    "a\nb\r",
]
ROW = {"name": "a"}
PROBLEM = {"message": "m", "hint": "h", "code": "c"}


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_in_any_place_of_a_sheet_is_drawn_or_refused(server: RunningServer, text: str) -> None:
    bodies: list[dict[str, Any]] = [
        {"name": text, "rows": [ROW]},
        {"pipeline": text, "rows": [ROW]},
        {"remarks": [text] * 20, "rows": [ROW]},
        {"rows": [{"name": text}]},
        {"rows": [{**ROW, "job": text}]},
        {"rows": [{**ROW, "remarks": [text] * 3}]},
        {"rows": [{**ROW, "problem": {**PROBLEM, "message": text, "hint": text}}]},
        {"rows": [{**ROW, "problem": {**PROBLEM, "code": text}}]},
    ]
    made = 0
    for body in bodies:
        answer = server.client.post("/contact-sheet", json={"name": "Set", "pipeline": "inflate", **body})
        assert answer.status_code in (200, 422), (body, answer.text)
        if answer.status_code == 200:
            made += 1
            with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
                assert packed.testzip() is None
                page = packed.read("contact-sheet.html").decode()
                assert "<img src=x" not in page and "<script" not in page
                Image.open(io.BytesIO(packed.read("contact-sheet.png"))).load()
        else:
            assert answer.json()["code"] == "request-invalid" and answer.json()["detail"].endswith(".")
    assert made, "some places take any text"


@pytest.mark.parametrize("value", [*ODD_NUMBERS, "", "high", [1], {"a": 1}, 100, 101, -100, -101, 1.0])
def test_what_is_no_priority_is_a_sentence(server: RunningServer, value: Any) -> None:
    job = server.submit()["id"]
    answer = server.client.post(f"/jobs/{job}/priority", json={"priority": value})
    if type(value) in (int, float) and value in range(-100, 101):
        assert (answer.status_code, answer.json()["priority"]) == (200, value)
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid"), answer.text
        assert "priority" in answer.json()["detail"]
    assert server.client.post(f"/jobs/{JOB}/priority", json={"priority": 1}).json()["code"] == "job-not-found"
    server.client.delete(f"/jobs/{job}")
    server.wait(job)


def entries(name: str, count: int, picture: Path | None = None, detail: str = "m") -> list[Entry]:
    item = Item(folder=name, request=GenerateRequest(pipeline="inflate"), pictures=[str(picture)] if picture else [])
    made = [Entry(item=item) for _ in range(count)]
    for each in made:
        each.failed(Problem("internal", detail))
    return made


def test_long_words_take_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were cut letter by letter: three hundred rows held everybody's sheets for minutes."""
    measured = 0
    measure = ImageDraw.ImageDraw.textlength

    def counted(*given: Any, **more: Any) -> float:
        nonlocal measured
        measured += 1
        return float(measure(*given, **more))

    monkeypatch.setattr(ImageDraw.ImageDraw, "textlength", counted)
    sheet_files(Record(name="W" * 500, entries=entries("W" * 500, 10, detail="m" * 1000)), lambda entry: None, False)
    assert measured < 10 * 40


def test_a_large_picture_that_many_rows_show_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(data: bytes, name: str, side: int) -> Picture:
        read.append(name)
        return read_picture(data, name, side)

    monkeypatch.setattr(sheets, "read_picture", reading)
    picture = tmp_path / "large.png"
    Image.new("RGB", (64, 64), (200, 10, 10)).save(picture)
    files = sheet_files(Record(name="Set", entries=entries("a", 130, picture)), lambda entry: None, False)
    assert read == ["large.png"] and files["contact-sheet.html"].count(b"data:image/jpeg") == 130


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "\uff0b1"])
def test_no_cell_of_the_table_is_calculated(cell: str) -> None:
    table = sheet_files(Record(name="a", entries=entries(cell, 1, detail=cell)), lambda entry: None, False)["batch.csv"]
    assert f"'{cell}".encode() in table and f",{cell}".encode() not in table and f"\n{cell}".encode() not in table
