"""`batch`: whatever a folder or a list names becomes a prop, or is left out with a sentence; given again it goes on."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from filelock import FileLock
from PIL import Image

from backend.batches.record import Entry, Item, Record, read_record
from backend.batches.sheet import COLUMNS, ROWS, sheet_files
from backend.cli import main
from backend.cli.inputs import LARGEST
from backend.contract import GenerateRequest, JobState
from backend.errors import Problem
from backend.jobs.service import JobService
from tests.backend.cli.test_process import jobs_in, needs_signals, started
from tests.backend.waiting import until

Capture = pytest.CaptureFixture[str]
LONG = "tests.backend.jobs.long_pipeline"


def draw(path: Path, colour: tuple[int, int, int] = (200, 100, 50)) -> Path:
    """A cut-out picture of 80 × 60."""
    pixels = np.zeros((60, 80, 4), dtype=np.uint8)
    pixels[20:40, 30:50] = (*colour, 255)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of five pictures, the second of which is broken."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("armchair", "lamp", "rug", "stool"):
        draw(folder / f"{name}.png")
    (folder / "broken.png").write_bytes((folder / "rug.png").read_bytes()[:90])
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    return folder


def record_in(out: Path) -> Record:
    record = read_record(out)
    assert record is not None
    return record


def states(out: Path) -> dict[str, str]:
    return {entry.item.folder: entry.state for entry in record_in(out).entries}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "batch.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


FOUR_OF_FIVE = {"armchair": "done", "broken": "left out", "lamp": "done", "rug": "done", "stool": "done"}


@needs_signals
def test_a_folder_of_five_killed_in_the_third_goes_on_where_it_was(pictures: Path, tmp_path: Path) -> None:
    """Five pictures, one of them broken: four props; nothing that was finished is made again."""
    home, out = tmp_path / "home", tmp_path / "out"
    command = ("batch", pictures, "--pipeline", "inflate", "--thickness", "0.8", "--out", out)

    def third_runs() -> bool:
        record = read_record(out) if out.is_dir() else None
        return record is not None and record.entries[2].state == "running"

    with started(home, *command) as process:
        until(third_runs, "the third", 60)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert list(states(out).values()) == ["done", "left out", "running", "waiting", "waiting"]
    first = (out / "armchair" / "result.json").stat().st_mtime_ns
    with started(home, *command) as process:
        printed, complaints = process.communicate(timeout=120)
    assert process.returncode == 3, complaints
    assert states(out) == FOUR_OF_FIVE and "4 of 5 made" in printed
    assert "broken is left out: The picture ends in the middle" in complaints and "Traceback" not in complaints
    assert (out / "armchair" / "result.json").stat().st_mtime_ns == first
    assert [view.state for view in jobs_in(home)] == 4 * [JobState.DONE], "a job for each prop, and none twice"
    for name in ("armchair", "lamp", "rug", "stool"):
        assert trimesh.load_scene(out / name / "scene.glb").graph.nodes_geometry == [name]
    table = rows(out)
    assert [row["name"] for row in table] == list(FOUR_OF_FIVE)
    assert table[1]["problem"] == "image-truncated" and table[1]["hint"] and float(table[2]["seconds"]) > 0
    with Image.open(out / "contact-sheet.png") as sheet:
        assert sheet.width > 4 * 2 * 192 and len(sheet.convert("RGB").getcolors(1 << 24) or []) > 50
    page = (out / "contact-sheet.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 8 and 'href="stool/scene.glb"' in page


@needs_signals
def test_a_job_that_was_killed_on_its_way_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out, journal = tmp_path / "pictures", tmp_path / "out", tmp_path / "journal"
    folder.mkdir()
    draw(folder / "a.png")
    draw(folder / "b.png")
    journal.touch()
    monkeypatch.setattr("tests.backend.cli.test_process.PLUGINS", LONG)
    lines = [
        {"picture": "pictures/a.png", "parameters": {"steps": 80}},
        {"picture": "pictures/b.png", "parameters": {"steps": 80, "pause": 50, "journal": str(journal)}},
    ]
    (tmp_path / "list.txt").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    command = ("batch", tmp_path / "list.txt", "--pipeline", "long", "--out", out)
    with started(tmp_path / "home", *command) as process:
        until(lambda: journal.read_text().endswith(" 50\n"), "the pause", 60)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    with started(tmp_path / "home", *command) as process:
        complaints = process.communicate(timeout=120)[1]
    assert process.returncode == 0, complaints
    steps = [int(line.split()[1]) for line in journal.read_text().splitlines()]
    assert steps == [*range(1, 51), *range(41, 81)], "from the checkpoint of step 40, not from the beginning"
    # The other one was not disturbed; its steps are the same, and so is what comes of them.
    shapes = [trimesh.load_scene(out / name / "scene.glb").to_geometry().vertices for name in "ab"]
    assert np.array_equal(*shapes)
    assert [view.state for view in jobs_in(tmp_path / "home")] == 2 * [JobState.DONE]


@pytest.fixture
def run(home: Path, tmp_path: Path, capsys: Capture) -> Callable[..., tuple[int, str, str]]:
    """`batch` in this process, over a real service; its exit status and what it said."""

    def run(*arguments: object) -> tuple[int, str, str]:
        given = ("batch", *arguments, "--out", tmp_path / "out")
        return main([str(argument) for argument in given]), *capsys.readouterr()

    return run


def jobs_of(home: Path) -> list[str]:
    service = JobService(home)
    try:
        return [view.id for view in service.list()]
    finally:
        service.stop()


def listed(tmp_path: Path, *lines: dict[str, Any] | str) -> Path:
    path = tmp_path / "list.txt"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


Run = Callable[..., tuple[int, str, str]]


def test_a_list_has_paths_and_objects(run: Run, pictures: Path, tmp_path: Path) -> None:
    path = listed(
        tmp_path,
        "# what the set needs",
        "",
        "pictures/rug.png",
        {"picture": "pictures/lamp.png", "name": "Lamp <1>", "parameters": {"size": 2.0}, "seed": 5},
        {"picture": str(pictures / "lamp.png"), "pipeline": "refuses"},
        {"picture": "pictures/gone.png"},
    )
    status, said, complaints = run(path, "--pipeline", "balls", "--size", "1", "--colour-count", "4", "--name", "Set")
    out = tmp_path / "out"
    assert status == 3 and "2 of 4 made" in said
    assert states(out) == {"rug": "done", "Lamp -1-": "done", "lamp": "left out", "gone": "left out"}
    assert "as grey as the wall" in complaints and "gone.png does not exist" in complaints
    results = {name: json.loads((out / name / "result.json").read_bytes()) for name in ("rug", "Lamp -1-")}
    assert results["rug"]["parameters"] == {"size": 1.0, "colour_count": 4, "shape": "round"}
    assert results["Lamp -1-"]["parameters"] == {"size": 2.0, "colour_count": 4, "shape": "round"}
    assert [entry.item.request.seed for entry in record_in(out).entries] == [0, 5, 0, 0]
    assert record_in(out).name == "Set"
    assert rows(out)[0]["warnings"] == "The ball is round." and "The ball is round." in complaints


def test_given_again_it_makes_what_is_new_changed_or_was_left_out(
    run: Run, home: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "rug.png").rename(tmp_path / "rug.png")
    assert run(pictures, "--pipeline", "balls")[0] == 3
    first = jobs_of(home)
    assert run(pictures, "--pipeline", "balls")[0] == 3
    assert jobs_of(home) == first, "nothing was to be done"
    (tmp_path / "rug.png").rename(pictures / "rug.png")
    draw(pictures / "broken.png")
    draw(pictures / "stool.png", (1, 2, 3))
    assert run(pictures, "--pipeline", "balls")[0] == 0
    assert len(jobs_of(home)) == len(first) + 3
    assert set(states(tmp_path / "out").values()) == {"done"}
    assert run(pictures, "--pipeline", "balls", "--size", "3")[0] == 0
    assert len(jobs_of(home)) == len(first) + 3 + 5, "other parameters are other props"


def test_what_was_finished_but_not_written_down_is_fetched(
    run: Run, home: Path, pictures: Path, tmp_path: Path
) -> None:
    """As if it had been killed between the end of a job and the copy of its result."""
    run(pictures, "--pipeline", "balls")
    out, before = tmp_path / "out", jobs_of(home)
    record = record_in(out)
    record.entries[3].state, record.entries[3].job = "waiting", None
    (out / "batch.json").write_bytes(record.document())
    (out / "rug" / "result.json").unlink()
    assert run(pictures, "--pipeline", "balls")[0] == 3
    assert jobs_of(home) == before and states(out) == FOUR_OF_FIVE
    assert (out / "rug" / "result.json").is_file()


def test_results_are_as_open_as_this_user_wants_them(run: Run, home: Path, pictures: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        run(pictures, "--pipeline", "balls")
    finally:
        os.umask(before)
    out = tmp_path / "out"
    made = [out / "batch.json", out / "contact-sheet.html", out / "rug" / "scene.glb"]
    assert [path.stat().st_mode & 0o777 for path in made] == 3 * [0o644]
    assert (out / "rug").stat().st_mode & 0o777 == 0o755 and home.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "Line 2 of list.txt is not JSON"),
        ({"picture": "a.png", "colour": 1}, "Line 2 of list.txt is not valid: colour"),
        ({"picture": 3}, "Line 2 of list.txt is not valid: picture"),
        ({"picture": "a.png", "parameters": {"size": -1}}, "Line 2 of list.txt: "),
        ({"picture": "a.png", "parameters": 7}, "Line 2 of list.txt is not valid: parameters"),
        ({"picture": "a.png", "pipeline": "dance"}, "Line 2 of list.txt: No pipeline is called 'dance'"),
        ({"picture": "a.png", "pipeline": None}, "names no pipeline"),
        ({"picture": "a.png", "origin": {}}, "has an origin"),
        ({"name": "nothing"}, "has no picture"),
        ({"picture": "a\0.png"}, "Line 2 of list.txt has a path that no file can have"),
        ({"picture": "a.png", "depth": "\udce9.npy"}, "Line 2 of list.txt has a path that is not UTF-8"),
    ],
)
def test_a_line_that_says_nothing_sensible_is_told_before_anything_is_made(
    run: Run, home: Path, pictures: Path, tmp_path: Path, line: dict[str, Any] | str, sentence: str
) -> None:
    status, said, complaints = run(listed(tmp_path, "pictures/rug.png", line), "--pipeline", "balls")
    assert (status, said) == (2, "") and sentence in complaints and len(complaints.splitlines()) == 2
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_a_batch_is_told_in_a_sentence(run: Run, pictures: Path, tmp_path: Path) -> None:
    assert "names no pipeline" in run(pictures)[2]
    assert "does not exist" in run(tmp_path / "no.txt", "--pipeline", "balls")[2]
    assert "is empty" in run(listed(tmp_path, "# nothing"), "--pipeline", "balls")[2]
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    assert "is no text in UTF-8" in run(tmp_path / "list.txt", "--pipeline", "balls")[2]
    assert main(["batch", str(pictures), "--pipeline", "balls", "--out", str(pictures)]) == 2
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".batch.lock"):
        assert "by another process" in run(pictures, "--pipeline", "balls")[2]
    (tmp_path / "out" / ".batch.lock").unlink(missing_ok=True)
    (tmp_path / "out" / ".batch.lock").mkdir()
    status, _, complaints = run(pictures, "--pipeline", "balls")
    assert status == 1 and "The batch cannot be begun in" in complaints
    (tmp_path / "out" / ".batch.lock").rmdir()
    (tmp_path / "out" / "batch.json").write_text('{"format": 1', encoding="utf-8")
    status, _, complaints = run(pictures, "--pipeline", "balls")
    assert status == 2 and "batch.json is damaged" in complaints


@needs_signals
def test_a_name_that_is_no_text_is_told_before_anything_is_made(run: Run, pictures: Path, tmp_path: Path) -> None:
    try:
        draw(pictures / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("file names are text here")
    status, _, complaints = run(pictures, "--pipeline", "balls")
    assert status == 2 and "has a path that is not UTF-8: " in complaints and not (tmp_path / "out").exists()


def test_only_the_end_of_a_line_ends_it(run: Run, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(
        '{"picture": "pictures/rug.png", "name": "a\u2028b"}\r\npictures/a\x0cb.png\r\n'.encode()
    )
    assert run(tmp_path / "list.txt", "--pipeline", "balls")[0] == 3
    assert states(tmp_path / "out") == {"a-b": "done", "item-": "left out"}


def test_an_interruption_ends_the_batch_and_it_goes_on_later(run: Run, pictures: Path, tmp_path: Path) -> None:
    path = listed(tmp_path, "pictures/rug.png", {"picture": "pictures/lamp.png", "pipeline": "interrupted"})
    assert run(path, "--pipeline", "balls")[0] == 130
    assert states(tmp_path / "out")["rug"] == "done" != states(tmp_path / "out")["lamp"]
    path = listed(tmp_path, "pictures/rug.png", "pictures/lamp.png")
    assert run(path, "--pipeline", "balls")[0] == 0


def test_names_of_files_become_names_of_folders(run: Run, pictures: Path, tmp_path: Path) -> None:
    names = ["../up", "con", "a.b", "a-b", "Ä b", "x" * 150]
    lines = [{"picture": "pictures/rug.png", "name": name} for name in names]
    assert run(listed(tmp_path, *lines), "--pipeline", "balls")[0] == 0
    assert list(states(tmp_path / "out")) == ["---up", "con-", "a-b", "a-b-2", "Ä b", "x" * 60]
    assert {path.parent for path in tmp_path.rglob("scene.glb") if "home" not in path.parts} == {
        tmp_path / "out" / name for name in states(tmp_path / "out")
    }


def test_a_long_batch_has_several_pictures_of_its_sheet(tmp_path: Path) -> None:
    item = Item(folder="<b>", request=GenerateRequest(pipeline="inflate"), pictures=[])
    record = Record(name="<script>", entries=[Entry(item=item)] * (COLUMNS * ROWS + 1))
    files = sheet_files(record, lambda entry: None, linked=True)
    assert list(files) == ["batch.csv", "contact-sheet.png", "contact-sheet-2.png", "contact-sheet.html"]
    assert b"<script>" not in files["contact-sheet.html"] and b"&lt;b&gt;" in files["contact-sheet.html"]


@needs_signals
def test_what_would_never_end_is_left_out_with_a_sentence(run: Run, pictures: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(LARGEST + 1)
    path = listed(tmp_path, "pipe.png", "/dev/zero", "huge.png", "pictures", "pictures/rug.png")
    status, said, complaints = run(path, "--pipeline", "balls")
    assert status == 3 and "1 of 5 made" in said
    for sentence in ("pipe.png is no file, but a pipe.", "/dev/zero is no file, but a device.", "larger than 2 GB."):
        assert sentence in complaints
    status, _, complaints = run(tmp_path / "pipe.png", "--pipeline", "balls")
    assert status == 2 and "is no file, but a pipe." in complaints


def test_no_cell_of_the_table_is_calculated(tmp_path: Path) -> None:
    names = ('=HYPERLINK("x")', "+1", "-1", "@now", "a=1")
    items = [
        Item(folder=name, request=GenerateRequest.model_validate({"pipeline": "inflate"}), pictures=[])
        for name in names
    ]
    entries = [Entry(item=item, warnings=["=1+1"], remarks=["\t=2"]) for item in items]
    table = sheet_files(Record(name="=", entries=entries), lambda entry: None, linked=True)["batch.csv"]
    read = list(csv.DictReader(table.decode("utf-8-sig").splitlines()))
    assert [row["name"] for row in read] == [*(f"'{name}" for name in names[:4]), "a=1"]
    assert {row["warnings"] for row in read} == {"'=1+1"} and {row["remarks"] for row in read} == {"'\t=2"}


def test_each_change_is_a_line_and_all_of_it_is_written_twice(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, read = [], []
    whole, change = Record.document, Record.change

    def document(record: Record) -> bytes:
        written.append([entry.state for entry in record.entries])
        return whole(record)

    def changed(record: Record, index: int) -> bytes:
        if (tmp_path / "out" / "batch.changes").is_file():
            read.append(states(tmp_path / "out"))
        return change(record, index)

    monkeypatch.setattr(Record, "document", document)
    monkeypatch.setattr(Record, "change", changed)
    assert run(pictures, "--pipeline", "balls")[0] == 3
    assert written == [["waiting"] * 5, list(FOUR_OF_FIVE.values())]
    assert read[-1] == {**FOUR_OF_FIVE, "stool": "running"}, "read on the way it says how far it is"
    assert states(tmp_path / "out") == FOUR_OF_FIVE and not (tmp_path / "out" / "batch.changes").exists()


def test_changes_are_those_of_the_list_they_were_made_to(tmp_path: Path) -> None:
    items = [Item(folder=name, request=GenerateRequest.model_validate({"pipeline": "inflate"})) for name in "ab"]
    record = Record(name="Set", entries=[Entry(item=item) for item in items], edition=4)
    (tmp_path / "batch.json").write_bytes(record.document())
    record.entries[1] = record.entries[1].begun("digest")
    line = record.change(1)
    record.edition = 3
    (tmp_path / "batch.changes").write_bytes(record.change(0).replace(b"waiting", b"done") + line + line[:20])
    assert [entry.state for entry in record_in(tmp_path).entries] == ["waiting", "running"]
    for damaged in (b"{\n", b"[]\n", b'{"edition": 4, "index": 9, "entry": {}}\n', b'{"edition": 4, "index": 0}\n'):
        (tmp_path / "batch.changes").write_bytes(damaged)
        with pytest.raises(Problem, match="is damaged"):
            read_record(tmp_path)


def test_a_full_disk_leaves_no_empty_folder(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if (tmp_path / "out" / "armchair").is_dir():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr("backend.files.os.fsync", full)
    assert run(pictures, "--pipeline", "balls")[0] != 0
    assert not (tmp_path / "out" / "armchair").exists()
    monkeypatch.undo()
