"""A word is learned in a job, goes on after kill -9, and is kept by the picture: the next job opens no weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import load_file  # noqa: E402

import backend.preparations.inversion.run as run_module  # noqa: E402
from backend.contract import GenerateRequest, Preview, Progress, Result, Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.imaging.png import as_png  # noqa: E402
from backend.jobs.run import run_job  # noqa: E402
from backend.preparations.inversion import INVERSION, InversionParameters, words  # noqa: E402
from backend.shot import Shot, Word  # noqa: E402
from backend.weights import models_kept_in  # noqa: E402

STEPS = 5


def teapot(size: int) -> bytes:
    """A cut-out square, red on its left and blue on its right."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[20:44, 20:44] = (200, 60, 40, 255)
    pixels[20:44, 20 : 20 + size] = (40, 60, 200, 255)
    return as_png(pixels)


class Killed(BaseException):
    """As if by kill -9."""


Run = Callable[..., Result]


@pytest.fixture
def run(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job that learns a word and inflates; its name is that of its folder."""
    monkeypatch.setattr(run_module, "VIEWS", 4)
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", None)
    monkeypatch.setattr(run_module, "optimise", lambda *each, **more: OPTIMISE(*each, **more, checkpoint_every=1))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def run(name: str, report: Callable[[Any], Any] = lambda said: None, size: int = 16, **values: Any) -> Result:
        folder = tmp_path / name
        if not folder.is_dir():
            chosen = {"steps": STEPS, "initial": "teapot", **values}
            request = GenerateRequest(pipeline="inflate", prepare={"inversion": chosen}, seed=3)
            (folder / "inputs").mkdir(parents=True)
            (folder / "inputs" / "image-0.bin").write_bytes(teapot(size))
            (folder / "request.json").write_text(request.model_dump_json())
        with models_kept_in(tmp_path / "data"):
            return run_job("job", folder, report, lambda: False, lambda question: {})

    (tmp_path / "data").mkdir()
    yield run
    torch.set_num_threads(threads)


OPTIMISE = run_module.optimise


def word(tmp_path: Path, name: str) -> Any:
    ((text, embedding),) = load_file(tmp_path / name / "kept" / "word-1.safetensors").items()
    assert text == "<this>"
    return embedding


def forgotten(tmp_path: Path) -> list[Path]:
    """The words beside the jobs, which are removed."""
    files = list((tmp_path / "data" / "words").iterdir())
    for file in files:
        file.unlink()
    return files


def source(result: Result) -> str:
    (found,) = result.prepared["inversion"]["record"]["words"]
    assert found["id"] == 1 and found["word"] == "<this>"
    return str(found["source"])


def test_killed_at_any_step_it_ends_with_the_same_word(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    result = run("undisturbed", said.append)
    assert source(result) == "learned" and [each.id for each in result.weights] == ["sd15"]
    assert any(isinstance(each, Preview) for each in said)
    assert len(forgotten(tmp_path)) == 1
    for moment in (2, 4):

        def report(said: Any, moment: int = moment) -> None:
            # The first tenth is the encoding; the steps share the rest, and inflating comes after.
            if isinstance(said, Progress) and said.stage == "learn" and said.fraction >= share(moment):
                raise Killed

        with pytest.raises(Killed):
            run("killed", report)
    assert not (tmp_path / "killed" / "kept" / "word-1.safetensors").exists()
    steps: list[int] = []
    learn = run_module.Inversion.forward

    def noted(self: Any, step: Any) -> Any:
        steps.append(step.number)
        return learn(self, step)

    monkeypatch.setattr(run_module.Inversion, "forward", noted)
    run("killed")
    assert sorted(set(steps)) == [4], "it did not begin anew"
    assert torch.equal(word(tmp_path, "killed"), word(tmp_path, "undisturbed"))
    assert source(run("killed")) == "learned", "an attempt recalls what one before has kept"


def share(step: int) -> float:
    """How far the whole job is when the word has learned so many steps."""
    weights = sum(stage.weight for stage in INVERSION.stages)
    from backend.pipelines.inflate import INFLATE

    whole = weights + sum(stage.weight for stage in INFLATE.stages)
    return weights / whole * (0.1 + 0.9 * step / STEPS)


def test_the_same_picture_opens_no_weights(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("first")
    with monkeypatch.context() as closed:
        closed.setattr(run_module, "InversionNetworks", None)
        result = run("second", word="<teapot>")
    ((text, embedding),) = load_file(tmp_path / "second" / "kept" / "word-1.safetensors").items()
    assert result.prepared["inversion"]["record"]["words"] == [{"id": 1, "word": "<teapot>", "source": "kept"}]
    assert text == "<teapot>" and torch.equal(embedding, word(tmp_path, "first"))
    assert source(run("other steps", steps=STEPS + 1)) == "learned"
    assert source(run("other picture", size=20)) == "learned"
    assert len(list((tmp_path / "data" / "words").iterdir())) == 3
    assert not [path for path in (tmp_path / "data").rglob("*") if path.name.endswith(".partial")]


def test_a_damaged_file_is_learned_again_and_the_oldest_go(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("first")
    (file,) = (tmp_path / "data" / "words").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert source(run("again")) == "learned"
    monkeypatch.setattr(words, "MOST_WORDS", 2)
    with models_kept_in(tmp_path / "data"):
        for number in range(3):
            words.keep(f"{number:064d}", Word("<it>", np.full(4, number, np.float32)))
        found = words.recalled(f"{2:064d}", "<that>")
        assert found is not None and found.text == "<that>" and found.embedding.tolist() == [2, 2, 2, 2]
        assert words.recalled(f"{0:064d}", "<that>") is None
    assert len(list((tmp_path / "data" / "words").iterdir())) == 2


def test_the_shot_has_the_word_and_is_as_it_was(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[Shot, Shot]] = []
    prepare = run_module.prepare

    def watched(shot: Shot, parameters: InversionParameters, context: Any) -> Any:
        done = prepare(shot, parameters, context)
        seen.append((shot, done.shot))
        return done

    monkeypatch.setattr(run_module, "prepare", watched)
    run("job")
    ((before, after),) = seen
    assert before.words == {} and list(after.words) == [1]
    assert np.array_equal(after.words[1].embedding, word(tmp_path, "job").numpy())
    assert replace(after, words={}).instances is before.instances and after.images is before.images


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"initial": "  "}, "it is empty"),
        ({"word": "two words"}, "it is no word"),
        ({"word": "x"}, "at least 2"),
        ({"steps": -1}, "greater than or equal to 0"),
        ({"steps": 10**6}, "less than or equal to 10000"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Problem, match=sentence):
        INVERSION.check(values)


def test_a_word_that_exists_is_refused(run: Run) -> None:
    with pytest.raises(Problem, match="knows already") as raised:
        run("job", word="a</w>")
    assert raised.value.code == "parameters-invalid" and "<my-a</w>>" in raised.value.hint


def test_without_the_model_that_is_said(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    warnings: list[Any] = []
    with pytest.raises(Problem) as raised:
        run("job", lambda said: warnings.append(said) if isinstance(said, Warning) else None)
    assert raised.value.code == "weights-missing"
