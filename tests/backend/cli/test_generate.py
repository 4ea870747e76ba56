"""`generate` makes a result or says in two lines why not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend.camera import default_camera
from backend.cli import main
from backend.contract import JobState, Result
from backend.export import recipe
from backend.jobs.service import JobService
from tests.backend.cli.conftest import Terminal


class Outcome:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    def complaint(self, status: int) -> str:
        """The sentence, after checking that it comes with a hint and nothing else."""
        assert self.status == status, self.err
        sentence, hint = self.err.splitlines()
        assert sentence.endswith(".") and hint and self.out == ""
        return sentence


@pytest.fixture
def run(home: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object, pipeline: str = "balls", image: Path = picture) -> Outcome:
        fixed = ("generate", "--pipeline", pipeline, "--image", image, "--out", tmp_path / "out")
        status = main([str(argument) for argument in (*fixed, *arguments)])
        return Outcome(status, *capsys.readouterr())

    return run


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def result_in(folder: Path) -> Result:
    return Result.model_validate_json((folder / "result.json").read_bytes())


def jobs_in(home: Path) -> list[JobState]:
    service = JobService(home)
    try:
        return [view.state for view in service.list()]
    finally:
        service.stop()


def test_a_picture_becomes_a_scene_and_a_result(run, tmp_path: Path, home: Path) -> None:
    outcome = run("--name", "Corner", "--seed", 7)
    assert outcome.status == 0
    assert written(tmp_path / "out") == ["result.json", "scene.glb"]
    result = result_in(tmp_path / "out")
    assert (result.name, result.seed, result.pipeline.id) == ("Corner", 7, "balls")
    assert [prop.node for prop in result.props] == trimesh.load_scene(
        tmp_path / "out" / "scene.glb"
    ).graph.nodes_geometry
    assert "Corner" in outcome.out and "scene.glb" in outcome.out
    assert jobs_in(home) == [JobState.DONE]


def test_every_file_reaches_the_job(run, instance_map: Path, tmp_path: Path) -> None:
    camera, labels = tmp_path / "camera.json", tmp_path / "labels.json"
    camera.write_text(default_camera(80, 60).model_copy(update={"fx": 123.0}).model_dump_json())
    labels.write_text(json.dumps([{"id": 1, "name": "Stuhl Ö"}, {"id": 2, "name": "Lamp"}]), encoding="utf-8")
    assert run("--instances", instance_map, "--camera", camera, "--labels", labels).status == 0
    result = result_in(tmp_path / "out")
    assert result.camera.fx == 123.0
    assert [prop.name for prop in result.props] == ["Stuhl Ö", "Lamp"]
    assert [record.role for record in result.inputs] == ["image", "instances"]


def test_the_pipelines_parameters_are_options(run, tmp_path: Path) -> None:
    assert run("--size", "1.25", "--colour-count=4", "--shape", "flat").status == 0
    assert result_in(tmp_path / "out").parameters == {"size": 1.25, "colour_count": 4, "shape": "flat"}


def test_what_was_not_said_stays_unsaid_in_the_request(run, tmp_path: Path, home: Path) -> None:
    run("--size", "1.25")
    (request,) = home.glob("jobs/*/request.json")
    assert json.loads(request.read_text())["parameters"] == {"size": 1.25}
    assert recipe(result_in(tmp_path / "out")).parameters == {"size": 1.25, "colour_count": 3, "shape": "round"}


def test_json_prints_the_result_and_nothing_else(run, tmp_path: Path) -> None:
    outcome = run("--json")
    assert json.loads(outcome.out) == json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))


def test_quiet_says_nothing(run) -> None:
    outcome = run("--quiet")
    assert (outcome.status, outcome.out) == (0, "")


def test_warnings_are_shown(run) -> None:
    assert run().err.splitlines() == ["The ball is round.", "Take a box."]


def test_a_screen_shows_the_stages_and_a_pipe_does_not(run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "%" not in run().err
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert run().status == 0
    assert "roll" in screen.getvalue() and "export" in screen.getvalue() and "50 %" in screen.getvalue()
    quiet = Terminal()
    monkeypatch.setattr(sys, "stderr", quiet)
    run("--quiet")
    assert "%" not in quiet.getvalue()


def test_the_result_replaces_an_older_one(run, tmp_path: Path) -> None:
    run("--seed", 1)
    run("--seed", 2)
    assert result_in(tmp_path / "out").seed == 2
    assert written(tmp_path / "out") == ["result.json", "scene.glb"]


@pytest.mark.parametrize("option", ["--image", "--instances", "--labels", "--camera", "--depth"])
def test_a_missing_file_is_named(run, option: str, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.bin"
    outcome = run(image=missing) if option == "--image" else run(option, missing)
    sentence = outcome.complaint(2)
    assert str(missing) in sentence and "does not exist" in sentence
    assert written(tmp_path / "out") == []


def test_a_folder_in_place_of_a_file_is_named(run, tmp_path: Path) -> None:
    assert str(tmp_path) in run(image=tmp_path).complaint(2)


@pytest.mark.parametrize(
    ("option", "text", "word"),
    [
        ("--camera", "{", "JSON"),
        ("--camera", "[" * 100_000, "JSON"),
        ("--camera", "[]", "document"),
        ("--camera", json.dumps({"fx": float("nan")}), "fx"),
        ("--camera", '{"lens": 50}', "lens"),
        ("--camera", b"\xff\xfe{", "JSON"),
        ("--labels", '{"1": "Chair"}', "list"),
        ("--labels", '[{"id": 0}]', "id"),
        ("--labels", '[{"id": 1, "name": "a\\u0000b"}]', "name"),
    ],
)
def test_a_wrong_document_names_the_wrong_field(run, tmp_path: Path, option: str, text: str | bytes, word: str) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    sentence = run(option, path).complaint(2)
    assert str(path) in sentence and word in sentence


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--size", "11"), "size"),
        (("--size", "many"), "size"),
        (("--shape", "cubic"), "shape"),
        (("--seed", "-1"), "seed"),
        (("--seed", "x"), "seed"),
        (("--name", "a\nb"), "name"),
        (("--thicknes", "1"), "thicknes"),
        (("--pipeline",), "--pipeline"),
    ],
)
def test_a_wrong_option_is_named(run, arguments: tuple[str, ...], word: str, home: Path) -> None:
    assert word in run(*arguments).complaint(2)
    assert not (home / "jobs").exists()


def test_an_unknown_pipeline_is_answered_with_the_known_ones(run) -> None:
    outcome = run(pipeline="nope")
    assert "nope" in outcome.complaint(2)
    assert "inflate" in outcome.err.splitlines()[1]


def test_a_picture_that_is_none_is_refused(run, tmp_path: Path, home: Path) -> None:
    (tmp_path / "note.txt").write_text("not a picture")
    run(image=tmp_path / "note.txt").complaint(2)
    assert jobs_in(home) == []


def test_a_job_that_fails_leaves_nothing_and_tells_whose_fault_it_is(run, tmp_path: Path) -> None:
    assert run(pipeline="refuses").complaint(2) == "The object is as grey as the wall."
    assert run(pipeline="breaks").complaint(1) == "The memory was not enough."
    assert written(tmp_path / "out") == []


def test_whole_outlines_go_with_the_instance_map(run, instance_map: Path, tmp_path: Path) -> None:
    labels = np.array(Image.open(instance_map))
    whole = np.where(labels == 2, labels, 0)
    whole[20:40, 40:60] = 2
    Image.fromarray(whole).save(tmp_path / "whole.png")
    np.save(tmp_path / "whole.npy", np.where(whole > 0, 5, np.nan).astype(np.float32))
    files = ("--instances", instance_map, "--outlines", tmp_path / "whole.png")
    assert run(*files, "--outline-depths", tmp_path / "whole.npy").status == 0
    assert [prop.seen for prop in result_in(tmp_path / "out").props] == [1.0, 0.5]
    assert "one depth" in run(*files, "--outline-depths", tmp_path / "whole.npy", tmp_path / "whole.npy").err


def test_a_seed_without_effect_is_told(run, tmp_path: Path) -> None:
    outcome = run("--seed", 5, "--texture-size", 64, pipeline="inflate")
    assert outcome.status == 0 and "--seed has no effect" in outcome.err
    assert "--seed has no effect" not in run("--seed", 5).err


def test_an_option_under_its_former_name_is_understood(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--detail", 48, "--texture-size", 64, pipeline="inflate").status == 0
    assert result_in(tmp_path / "out").parameters["resolution"] == 48
    with pytest.raises(SystemExit):
        run("--help", pipeline="inflate")
    assert "--resolution" in (told := capsys.readouterr().out) and "--detail" not in told


def test_a_failed_job_leaves_an_older_result_alone(run, tmp_path: Path) -> None:
    run("--seed", 5)
    run(pipeline="breaks").complaint(1)
    assert result_in(tmp_path / "out").seed == 5


def test_an_interruption_cancels_the_job_before_it_leaves(run, tmp_path: Path, home: Path) -> None:
    assert run(pipeline="interrupted").complaint(130) == "Interrupted."
    assert jobs_in(home) == [JobState.CANCELLED]
    assert written(tmp_path / "out") == []


def test_a_question_that_nobody_can_answer_ends_the_job(run, home: Path) -> None:
    assert "question" in run(pipeline="asks").complaint(1)
    assert jobs_in(home) == [JobState.CANCELLED]


def test_an_output_folder_that_cannot_be_made_is_found_before_the_work(run, tmp_path: Path, home: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    assert str(tmp_path / "out") in run().complaint(1)
    assert not (home / "jobs").exists()


def test_the_job_is_kept_where_data_says(run, tmp_path: Path, home: Path) -> None:
    assert run("--data", tmp_path / "elsewhere").status == 0
    assert jobs_in(tmp_path / "elsewhere") == [JobState.DONE]
    assert not home.exists()
