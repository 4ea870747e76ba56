"""Help, versions, pipelines, jobs, schemas."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from backend import __version__
from backend.cli import main
from backend.cli.generate import methods_of
from backend.cli.listing import properties
from backend.cli.main import _parser
from backend.contract import GenerateRequest, Result
from backend.jobs.store import JobStore
from backend.pipelines import PIPELINES

Capture = pytest.CaptureFixture[str]


def test_no_command_is_answered_with_a_hint(capsys: Capture) -> None:
    assert main([]) == 2
    assert "--help" in capsys.readouterr().err


def test_an_unknown_command_is_named(capsys: Capture) -> None:
    assert main(["dance"]) == 2
    sentence, hint = capsys.readouterr().err.splitlines()
    assert "dance" in sentence and "generate" in sentence and "--help" in hint


def test_help_names_every_command(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert all(command in text for command in ("generate", "pipelines", "jobs", "serve", "schema"))


def test_help_shows_the_named_pipelines_options_with_their_ranges(home: Path, capsys: Capture) -> None:
    for pipeline, shown, absent in (("balls", "--colour-count", "--thickness"), ("inflate", "--thickness", "--size")):
        with pytest.raises(SystemExit):
            main(["generate", "--pipeline", pipeline, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert shown in text and absent not in text
        assert "[1 to 9; default 3]" in text or "[0.05 to 3.0; default 1.0]" in text


@pytest.mark.parametrize("command", ["generate", "batch"])
@pytest.mark.parametrize("pipeline", sorted(PIPELINES))
def test_every_pipeline_has_options_beside_those_of_the_preparations(
    home: Path, capsys: Capture, command: str, pipeline: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--pipeline", pipeline, "--help"])
    assert left.value.code == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  --")}
    assert names >= {"--" + name.replace("_", "-") for name in properties(PIPELINES[pipeline])}


def test_an_option_of_a_preparation_that_the_pipeline_has_too_is_given_with_another_name(home: Path) -> None:
    given = ["generate", "--pipeline", "magic123", "--out", "x", "--text-guidance", "50", "--text-prompt", "a pot"]
    parameters, prepare = methods_of(_parser(given).parse_args(given))
    assert parameters == {"text_guidance": 50} and prepare == {"text": {"prompt": "a pot"}}
    given += ["--prepare-text-guidance", "2"]
    parameters, prepare = methods_of(_parser(given).parse_args(given))
    assert parameters == {"text_guidance": 50} and prepare == {"text": {"prompt": "a pot", "guidance": 2}}


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"Set Dresser {__version__}\n"


def test_pipelines_are_listed_with_their_parameters(home: Path, capsys: Capture) -> None:
    assert main(["pipelines"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["inflate", "3", "Inflate"] for line in lines)
    assert any(line.split()[:4] == ["--colour-count", "1", "to", "9"] for line in lines)
    assert any(line.split()[:3] == ["--shape", "round,", "flat"] for line in lines)
    assert [line.split(":")[0] for line in lines if "--seed has no effect" in line] == ["inflate", "mira", "multiview"]


def test_pipelines_as_json_are_those_of_the_server(home: Path, capsys: Capture) -> None:
    assert main(["pipelines", "--json"]) == 0
    listed = {view["id"]: view for view in json.loads(capsys.readouterr().out)}
    assert {"inflate", "balls"} <= set(listed)
    assert listed["balls"]["parameters"]["properties"]["size"]["maximum"] == 10
    assert listed["inflate"]["images"] == {"least": 1, "most": 1}


def test_jobs_are_listed_newest_first(home: Path, picture: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["jobs"]) == 0
    assert capsys.readouterr().out == "There are no jobs.\n"
    for name in ("one", "two"):
        command = ["generate", "--pipeline", "balls", "--image", str(picture), "--out", str(tmp_path / "out")]
        assert main([*command, "--name", name]) == 0
    capsys.readouterr()
    assert main(["jobs"]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[-1] for row in rows] == ["two", "one"]
    assert main(["jobs", "--json"]) == 0
    views = json.loads(capsys.readouterr().out)
    assert [(view["name"], view["state"], view["pipeline"]) for view in views] == [
        ("two", "done", "balls"),
        ("one", "done", "balls"),
    ]
    assert [view["id"] for view in views] == [row.split()[0] for row in rows]


def test_a_queued_job_is_put_before_another(home: Path, capsys: Capture) -> None:
    assert main(["jobs"]) == 0  # makes the list
    store = JobStore(home / "jobs.sqlite3")
    first, second = "1" * 24, "2" * 24
    for job in (first, second):
        store.add(job, "a" * 16, "a chair", "balls")
    capsys.readouterr()
    assert main(["priority", second, "5"]) == 0
    assert capsys.readouterr().out == "The job is queued.\n"
    assert main(["priority", first, "-5"]) == 0
    assert capsys.readouterr().out == "The job is queued; jobs before it: 1.\n"
    assert [store.get(job).view.priority for job in (first, second)] == [-5, 5]
    store.close()
    for wrong in (["priority", first, "101"], ["priority", first, "high"], ["priority", first]):
        assert main(wrong) == 2
    assert main(["priority", "3" * 24, "1"]) == 1
    assert "There is no job" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["--json-schema"], ["schema"]])
def test_schemas_describe_what_is_read_and_written(
    command: list[str], home: Path, picture: Path, tmp_path: Path, capsys: Capture
) -> None:
    main(["generate", "--pipeline", "balls", "--image", str(picture), "--out", str(tmp_path / "out")])
    capsys.readouterr()
    documents = {
        "request": next(home.glob("jobs/*/request.json")).read_text(encoding="utf-8"),
        "result": (tmp_path / "out" / "result.json").read_text(encoding="utf-8"),
    }
    for (name, document), model in zip(documents.items(), (GenerateRequest, Result), strict=True):
        assert main([*command, name]) == 0
        schema = json.loads(capsys.readouterr().out)
        assert schema == model.model_json_schema()
        validator = jsonschema_rs.validator_for(schema)
        assert [str(error) for error in validator.iter_errors(json.loads(document))] == []
        assert not validator.is_valid({"format": 2})


def test_an_unknown_schema_is_refused(capsys: Capture) -> None:
    assert main(["schema", "weather"]) == 2
    assert "weather" in capsys.readouterr().err
