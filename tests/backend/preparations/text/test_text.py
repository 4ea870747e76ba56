"""From a sentence to a mesh, with tiny random checkpoints in the published layout."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend.contract import GenerateRequest, Progress, Result, Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.imaging.png import from_png  # noqa: E402
from backend.jobs.checks import check_job  # noqa: E402
from backend.jobs.run import run_job  # noqa: E402
from backend.pipelines import PIPELINES  # noqa: E402
from backend.pipelines.context import Cancelled  # noqa: E402
from backend.preparations.painting.painter import Painter  # noqa: E402
from backend.preparations.painting.tiny import write_tiny_painting_checkpoints  # noqa: E402
from backend.preparations.text import ALONE, NOT_ALONE, TEXT, TextParameters, full_prompt, title  # noqa: E402
from backend.preparations.text.standing import standing  # noqa: E402
from backend.residency import residency  # noqa: E402
from tests.backend.pipelines.promises import example_of  # noqa: E402

FAST = {"prompt": "a red armchair", "model": "sd15", "steps": 2, "candidates": 1, "choose": "never"}
WHOLE, PLAIN = {"background": "none"}, {"background": "plain"}
SINGLE = [info for info in PIPELINES.values() if info.images[0] == 1 and info.entry.startswith("backend.")]


@pytest.fixture(scope="module")
def all_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for info in SINGLE:
        example_of(info).write(folder)
    write_tiny_painting_checkpoints(folder)  # in the place of the Stable Diffusion that others are told by
    return folder


@pytest.fixture(autouse=True)
def _environment(all_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(all_models))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    yield
    residency.clear()


class Job:
    """A job from a sentence, in a folder as the server writes it."""

    def __init__(self, folder: Path, request: GenerateRequest) -> None:
        self.folder = folder
        self.said: list[Any] = []
        self.questions: list[dict[str, Any]] = []
        (folder / "inputs").mkdir(parents=True)
        (folder / "request.json").write_text(request.model_dump_json())

    def run(self, answer: dict[str, Any] | None = None, cancelled: Callable[[], bool] = lambda: False) -> Result:
        def ask(question: dict[str, Any]) -> dict[str, Any]:
            self.questions.append(question)
            return answer or {"chosen": question["default"]}

        return run_job("job", self.folder, self.said.append, cancelled, ask)

    def file(self, name: str) -> bytes:
        return next(path for path in self.folder.rglob(name)).read_bytes()

    @property
    def codes(self) -> list[str]:
        return [said.code for said in self.said if isinstance(said, Warning)]


def wanted(seed: int = 7, pipeline: str = "inflate", cut: dict[str, str] = WHOLE, **text: Any) -> GenerateRequest:
    quick = {**example_of(PIPELINES[pipeline]).parameters, **cut}
    return GenerateRequest(pipeline=pipeline, parameters=quick, prepare={"text": {**FAST, **text}}, seed=seed)


def refused(request: GenerateRequest, **inputs: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        check_job(request, **{"images": [], **inputs})
    assert caught.value.detail and caught.value.hint
    return caught.value


def the_disc(seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of these seeds a red disc on white is painted, of all others what comes."""
    real = Painter.paint

    def paint(self: Painter, seed: int, on_step: Callable[[int], None]) -> np.ndarray:
        painted = real(self, seed, on_step)
        if seed in seeds:
            row, column = np.mgrid[: painted.shape[0], : painted.shape[1]]
            painted[:] = 255
            painted[(row - 32) ** 2 + (column - 32) ** 2 < 20**2] = (200, 40, 30)
        return painted

    monkeypatch.setattr(Painter, "paint", paint)


@pytest.mark.parametrize("info", SINGLE, ids=lambda info: info.id)
def test_a_sentence_becomes_a_closed_mesh_by_every_pipeline_that_takes_one_picture(
    info: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_disc((8,), monkeypatch)
    request = wanted(pipeline=info.id, cut=PLAIN, candidates=3, choose="several")
    check_job(request, [])
    job = Job(tmp_path / "job", request)
    result = job.run()

    painted = result.prepared["text"]["record"]
    assert painted["prompt"] == f"a red armchair, {ALONE}"
    assert [one["seed"] for one in painted["candidates"]] == [7, 8, 9]
    choosing = next(question for question in job.questions if question["title"] == "Choose a picture")
    assert choosing["default"] == [1] and choosing["choices"][1]["note"] == "stands alone"
    assert painted["chosen"] == 1
    assert job.file("picture.png") == job.file("candidate-1.png")
    assert from_png(job.file("picture.png")).shape == (64, 64, 3)
    assert (result.inputs, result.camera_source) == ([], "default")
    (prop,) = result.props
    assert prop.name == "a red armchair"
    assert prop.watertight and prop.volume > 0
    fractions = [said.fraction for said in job.said if isinstance(said, Progress)]
    assert fractions == sorted(fractions) and fractions[-1] <= 1
    assert {"Candidate 1 of 3", "Candidate 3 of 3"} <= {said.message for said in job.said if isinstance(said, Progress)}
    assert [said.slot for said in job.said if type(said).__name__ == "Preview"][:1] == ["candidate"]


@pytest.mark.parametrize("model", ["sdxl", "sd15"])
def test_the_same_seed_makes_the_same_bytes_and_another_one_others(model: str, tmp_path: Path) -> None:
    made = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        job = Job(tmp_path / name, wanted(seed, model=model))
        job.run()
        assert job.questions == []
        made.append((job.file("scene.glb"), job.file("picture.png")))
    assert made[0] == made[1] != made[2]


def test_a_recipe_makes_it_again(tmp_path: Path) -> None:
    from backend.export import recipe

    first = Job(tmp_path / "a", wanted())
    second = Job(tmp_path / "b", recipe(first.run()))
    second.run()
    assert first.file("scene.glb") == second.file("scene.glb")


def test_it_ends_at_the_next_report_after_a_cancel(tmp_path: Path) -> None:
    stopped_at = []
    for number in range(100):
        job = Job(tmp_path / f"{number}", wanted(candidates=2, alone=False))
        try:
            job.run(cancelled=lambda job=job, number=number: len(job.said) > number)
        except Cancelled:
            progress = [said for said in job.said if isinstance(said, Progress)]
            assert len(progress) <= number + 1, "nothing more is done after the cancel"
            stopped_at.append(progress[-1].message)
            assert not list(job.folder.rglob("scene.glb"))
            continue
        break
    assert stopped_at.count("Candidate 1 of 2") >= 2 and stopped_at.count("Candidate 2 of 2") >= 2, "at each step"


def test_what_cannot_be_made_is_refused_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "the sentence is empty" in refused(wanted(prompt="  ")).detail
    assert "1000 characters" in refused(wanted(prompt="x" * 1001)).detail
    assert "candidates" in refused(wanted(candidates=5)).detail
    assert refused(wanted(), images=[b"picture"]).detail == "Text makes the picture itself, but a picture came too."
    both = GenerateRequest(pipeline="inflate", prepare={"text": FAST, "imagine": {"prompt": "x"}})
    assert refused(both).code == "request-invalid"
    monkeypatch.setenv("SET_DRESSER_MODELS", "/nowhere")
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    missing = refused(wanted())
    assert missing.code == "weights-missing" and "stable-diffusion-v1-5" in missing.detail
    assert TextParameters(prompt="x").needed_weights() == ("sdxl",), "no ControlNet is asked for"


def test_where_nothing_stands_out_it_says_what_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(self: Painter, seed: int, on_step: Callable[[int], None]) -> np.ndarray:
        return np.tile(np.linspace(200, 255, 64).astype(np.uint8)[:, None, None], (1, 64, 3))

    monkeypatch.setattr(Painter, "paint", paint)
    job = Job(tmp_path / "job", wanted(cut=PLAIN))
    with pytest.raises(Problem) as caught:
        job.run()
    assert caught.value.code == "background-unclear" and "another seed" in caught.value.hint


def test_the_words_are_those_of_the_user_first() -> None:
    assert full_prompt(TextParameters(prompt="  a  red\nchair. ")) == (
        f"a red chair, {ALONE}",
        f"blurry, deformed, text, watermark, {NOT_ALONE}",
    )
    assert full_prompt(TextParameters(prompt="a chair", negative_prompt="")) == (f"a chair, {ALONE}", NOT_ALONE)
    assert full_prompt(TextParameters(prompt="a room", alone=False, negative_prompt="")) == ("a room", "")
    assert ALONE in json.dumps(TEXT.parameters.model_json_schema(), ensure_ascii=False), "the words are told"
    assert title("a red armchair\twith\x00 legs.") == "a red armchair with legs"
    assert title("long " * 30) == " ".join(["long"] * 12) and title("x" * 100) == "x" * 60


def test_a_picture_is_judged_by_how_its_object_stands() -> None:
    white = np.full((128, 128, 3), 255, np.uint8)
    alone, cut = white.copy(), white.copy()
    alone[30:100, 40:90] = (180, 40, 40)
    cut[50:, 20:110] = (180, 40, 40)
    noise = np.random.default_rng(0).integers(0, 255, white.shape).astype(np.uint8)
    assert [standing(picture).note for picture in (alone, noise, white)] == [
        "stands alone",
        "no plain ground",
        "nothing stands out",
    ]
    assert standing(alone).rank > standing(cut).rank
