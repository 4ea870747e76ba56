"""`generate` with something done to the shot first, and a question on the way."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.cli import main
from backend.pipelines import PIPELINES
from backend.plugins import VARIABLE
from backend.preparations import preparations
from tests.backend.cli.test_process import PLUGINS, started
from tests.backend.jobs import fake_pipelines


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The plug-ins of the processes here too, where it is only said what does not fit."""
    monkeypatch.setenv("SET_DRESSER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(VARIABLE, PLUGINS)
    for info in fake_pipelines.PIPELINES:
        monkeypatch.setitem(PIPELINES, info.id, info)
    preparations.cache_clear()
    yield
    preparations.cache_clear()


@pytest.mark.parametrize(("options", "made"), [(("--pick", "1,0"), ["left", "right"]), ((), ["right"])])
def test_what_was_picked_or_else_proposed_is_made(
    options: tuple[str, ...], made: list[str], picture: Path, tmp_path: Path
) -> None:
    arguments = ("generate", "--pipeline", "steady", "--image", picture, "--out", tmp_path / "out", "--quiet")
    with started(tmp_path / "home", *arguments, "--prepare", "halves", *options) as process:
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [prop["name"] for prop in result["props"]] == made


def test_an_option_of_a_preparation_asks_for_it(picture: Path, tmp_path: Path) -> None:
    arguments = ("generate", "--pipeline", "steady", "--image", picture, "--out", tmp_path / "out", "--quiet")
    with started(tmp_path / "home", *arguments, "--halves-steps", "4") as process:
        process.communicate(timeout=60)
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["prepared"]["halves"]["parameters"]["steps"] == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--prepare", "thirds"), "No preparation is called 'thirds'."),
        (("--prepare", "halves", "--pick", "left"), "--pick takes numbers"),
        (("--prepare", "halves", "--pick", "5"), "Choose different ones of 0 to 1"),
        (("--halves-steps", "many"), "steps"),
    ],
)
@pytest.mark.usefixtures("plugged")
def test_what_does_not_fit_is_a_sentence(
    options: tuple[str, ...], said: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("generate", "--pipeline", "steady", "--image", str(picture), "--out", str(tmp_path / "out"))
    assert main([*arguments, *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "There is neither a picture nor a text to make something of."),
        (("--text", " "), "the sentence is empty; write what is to be made"),
        (("--text", "a cup", "--image", "PICTURE"), "Text makes the picture itself, but a picture came too."),
        (("--text", "a cup", "--pipeline", "pairs"), "Pairs takes 2 pictures; Text makes one."),
    ],
)
@pytest.mark.usefixtures("plugged")
def test_words_in_place_of_a_picture_are_checked(
    options: tuple[str, ...], said: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [str(picture) if option == "PICTURE" else option for option in options]
    assert main(["generate", "--pipeline", "steady", "--out", str(tmp_path / "out"), *chosen]) == 2
    assert said in capsys.readouterr().err


def test_a_made_picture_takes_the_place_of_an_image(tmp_path: Path) -> None:
    arguments = ("generate", "--pipeline", "steady", "--drawn-how", "cut out", "--out", tmp_path / "out", "--quiet")
    with started(tmp_path / "home", *arguments) as process:
        _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    assert json.loads((tmp_path / "out" / "result.json").read_text())["inputs"] == []
