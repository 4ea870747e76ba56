"""imagine from a shot to a prepared shot, with tiny random checkpoints in the published layout."""

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend.errors import Problem  # noqa: E402
from backend.pipelines.context import Cancelled  # noqa: E402
from backend.preparations import preparations  # noqa: E402
from backend.preparations.base import Prepared  # noqa: E402
from backend.preparations.imagine import IMAGINE, ImagineParameters  # noqa: E402
from backend.preparations.imagine.outlines import agreement  # noqa: E402
from backend.preparations.imagine.run import prepare  # noqa: E402
from backend.preparations.painting import candidates as painting  # noqa: E402
from backend.preparations.painting.painter import NoPicture, Painter, PaintingRequest  # noqa: E402
from backend.questions import read_question  # noqa: E402
from backend.residency import residency  # noqa: E402
from backend.shot import InstanceMap, Shot  # noqa: E402
from backend.weights import locate  # noqa: E402
from tests.backend.preparations.imagine.room import NAMES, Told, room  # noqa: E402

FAST = ImagineParameters(prompt="a cosy room", model="sd15", steps=2, candidates=2, choose="never")


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def refused(code: str, shot: Shot, parameters: ImagineParameters = FAST) -> Problem:
    with pytest.raises(Problem) as caught:
        prepare(shot, parameters, Told().context)
    assert caught.value.code == code
    assert caught.value.detail
    assert caught.value.hint
    return caught.value


@contextmanager
def painted_by(
    paint: Callable[[PaintingRequest, int], np.ndarray], monkeypatch: pytest.MonkeyPatch, native: int = 1024
) -> Iterator[None]:
    """Someone else paints, at another size; everything around stays as it is."""

    class Other:
        def __init__(self, request: PaintingRequest) -> None:
            self.request = request

        def paint(self, seed: int, on_step: Callable[[int], None]) -> np.ndarray:
            on_step(self.request.steps)
            return paint(self.request, seed)

    @contextmanager
    def open_other(*arguments: Any) -> Iterator[Other]:
        yield Other(arguments[4])

    with monkeypatch.context() as patch:
        patch.setattr(painting, "open_painter", open_other)
        patch.setattr(painting, "native_side", lambda folder: native)
        yield


@pytest.mark.parametrize("model", ["sdxl", "sd15"])
def test_the_whole_way(model: str, models: Path) -> None:
    shot = room(96)
    labels = shot.instances.labels.copy()
    told = Told(answer=lambda question: {"chosen": [1]})
    parameters = FAST.model_copy(update={"model": model, "candidates": 3, "choose": "several"})
    done: Prepared = IMAGINE.load()(shot, parameters, told.context)

    assert sorted(told.files) == ["candidate-0.png", "candidate-1.png", "candidate-2.png", "picture.png"]
    assert done.shot.image.shape == (96, 96, 4)
    assert (done.shot.image[..., 3] == 255).all()
    assert (done.shot.image[..., :3] == opened(told.files["candidate-1.png"])).all()
    assert told.files["picture.png"] == told.files["candidate-1.png"]
    assert done.shot == replace(shot, images=done.shot.images)  # all else is what it was
    assert (done.shot.instances.labels == labels).all()
    assert done.shot.images[1] is shot.images[1]

    assert done.record["prompt"] == "a cosy room, two armchairs"
    assert [one["seed"] for one in done.record["candidates"]] == [7, 8, 9]
    assert done.record["chosen"] == 1
    assert set(done.record["agreement"]) <= set(NAMES)

    fractions = [progress.fraction for progress in told.progress]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert {progress.message for progress in told.progress} >= {f"Candidate {number} of 3" for number in (1, 2, 3)}


def test_the_question_shows_what_was_measured_and_proposes_the_best(models: Path) -> None:
    shot = room(96)
    told = Told(answer=lambda question: {"chosen": question["default"]})
    done = prepare(shot, FAST.model_copy(update={"candidates": 3, "choose": "several"}), told.context)
    question = read_question(told.questions[0])
    assert question is not None
    question.check({"chosen": [2]})
    choices = told.questions[0]["choices"]
    measured = [agreement(opened(told.files[choice["file"]]), shot.instances.labels).overall for choice in choices]
    assert [choice["label"] for choice in choices] == ["Seed 7", "Seed 8", "Seed 9"]
    assert [choice["note"] for choice in choices] == [f"outlines kept {round(100 * kept)} %" for kept in measured]
    assert told.questions[0]["default"] == [int(np.argmax(measured))]
    assert done.record["chosen"] == int(np.argmax(measured))


def test_a_seed_means_the_same_picture_wherever_it_stands(models: Path) -> None:
    first, second = Told(seed=7), Told(seed=8)
    for told in (first, second):
        prepare(room(64), FAST, told.context)
    assert first.files["candidate-1.png"] == second.files["candidate-0.png"]
    assert first.files["candidate-0.png"] != first.files["candidate-1.png"]


def test_what_comes_back_lies_on_the_depth_pixel_for_pixel(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A painter that returns the control picture: its edges are the depth's to less than a pixel."""
    shot = room(150)

    def echo(request: PaintingRequest, seed: int) -> np.ndarray:
        assert request.control is not None
        assert request.control.shape != (150, 150, 3)
        return (request.control * 255).round().astype(np.uint8)

    with painted_by(echo, monkeypatch):
        done = prepare(shot, FAST, Told().context)
    assert shot.depth is not None
    picture = done.shot.image[..., 0].astype(float)
    # The horizon of the ground: below it there is depth, above it nothing. Where the columns cross from black.
    outside = np.isnan(shot.depth)
    for column in range(2, 148, 5):
        if (shot.instances.labels[:, column] == 0).all():
            edge = int(np.flatnonzero(~outside[:, column])[0])
            level = picture[edge + 3, column]
            crossing = edge + 3 - (picture[edge - 4 : edge + 3, column] / level).clip(0, 1).sum()
            assert crossing == pytest.approx(edge, abs=0.75)
    assert agreement(done.shot.image, shot.instances.labels).overall > 0.6


def test_the_best_is_taken_where_nobody_is_asked_and_lost_objects_are_named(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shot = room(256)
    colours = np.array([[70, 80, 90], [200, 60, 60], [60, 170, 80], [230, 200, 60]], np.uint8)
    labels = shot.instances.labels

    def paint(request: PaintingRequest, seed: int) -> np.ndarray:
        seen = {7: np.zeros_like(labels), 8: np.where(labels == 2, 0, labels), 9: labels // 3 * 3}[seed]
        return np.asarray(Image.fromarray(colours[seen]).resize(request.size, Image.Resampling.NEAREST))

    told = Told(seed=7)
    with painted_by(paint, monkeypatch):
        done = prepare(shot, FAST.model_copy(update={"candidates": 3}), told.context)
    assert done.record["chosen"] == 1
    agreements = [one["agreement"] for one in done.record["candidates"]]
    assert agreements[0] == 0 < agreements[2] < agreements[1]
    assert told.codes() == ["outline-lost"]
    assert (told.warnings[0].instance, "'Cube.003'" in told.warnings[0].message) == (2, True)


@pytest.mark.parametrize("after", [0.0, 0.05, 0.5])
def test_cancelling_ends_it_at_the_next_step(after: float, models: Path) -> None:
    told = Told(cancelled=lambda progress: bool(progress) and progress[-1].fraction >= after)
    with pytest.raises(Cancelled):
        prepare(room(64), FAST.model_copy(update={"candidates": 4}), told.context)
    assert told.progress[-1].fraction < after + 0.3
    assert "picture.png" not in told.files


def test_memory_that_runs_out_midway_costs_no_candidate(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Painter.paint, []

    def paint(self: Painter, seed: int, on_step: Callable[[int], None]) -> np.ndarray:
        calls.append(seed)
        if calls == [7, 8]:
            on_step(1)
            residency.clear()  # else what is held, the text encoders, would go first and the same plan be tried again
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, seed, on_step)

    monkeypatch.setattr(Painter, "paint", paint)
    told = Told(seed=7)
    done = prepare(room(64), FAST.model_copy(update={"candidates": 3}), told.context)
    assert calls == [7, 8, 8, 9]
    assert len(done.record["candidates"]) == 3
    assert "memory-short" in told.codes()
    fractions = [progress.fraction for progress in told.progress]
    assert fractions == sorted(fractions)


def fails_of(seeds: set[int], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds that are painted from now on; of some of them no picture comes."""
    real, calls = Painter.paint, []

    def paint(self: Painter, seed: int, on_step: Callable[[int], None]) -> np.ndarray:
        calls.append(seed)
        if seed in seeds:
            raise NoPicture(f"The picture of the seed {seed} came out black all over.")
        return real(self, seed, on_step)

    monkeypatch.setattr(Painter, "paint", paint)
    return calls


def test_a_seed_of_which_no_picture_comes_is_told_and_the_others_go_on(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fails_of({8}, monkeypatch)
    told = Told(seed=7, answer=lambda question: {"chosen": [1]})
    parameters = FAST.model_copy(update={"candidates": 3, "choose": "several"})
    done = prepare(room(64), parameters, told.context)
    assert calls == [7, 8, 9]
    assert [choice["file"] for choice in told.questions[0]["choices"]] == ["candidate-0.png", "candidate-2.png"]
    assert [one["seed"] for one in done.record["candidates"]] == [7, 9]
    assert told.files["picture.png"] == told.files["candidate-2.png"]
    left_out = [warning for warning in told.warnings if warning.code == "candidate-left-out"]
    assert [(warning.message, bool(warning.hint)) for warning in left_out] == [
        ("The picture of the seed 8 came out black all over. It was left out.", True)
    ]

    later = Told(seed=7, answer=lambda question: {"chosen": [1]})  # the job was put aside meanwhile
    later.context.restore = told.files.get
    again = prepare(room(64), parameters, later.context)
    assert calls == [7, 8, 9], "nothing is painted again, nor is what failed"
    assert later.questions == told.questions and again.record == done.record
    assert "candidate-left-out" in later.codes()


def test_where_no_seed_gives_a_picture_it_says_so(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_of({7, 8}, monkeypatch)
    assert "seed 8" in refused("picture-failed", room(64)).detail


def test_words_that_do_not_fit_are_told(models: Path) -> None:
    told = Told()
    prepare(room(64), FAST.model_copy(update={"prompt": "long " * 30, "candidates": 1}), told.context)
    cut = [warning for warning in told.warnings if warning.code == "prompt-cut"]
    assert len(cut) == 1
    assert "armchairs" in cut[0].message


def test_without_words_depth_or_objects_it_says_so(models: Path) -> None:
    shot = room(64)
    nameless = replace(shot, instances=InstanceMap(shot.instances.labels, dict.fromkeys(NAMES, "Cube.001")))
    refused("parameters-invalid", nameless, FAST.model_copy(update={"prompt": "  "}))
    refused("parameters-invalid", shot, FAST.model_copy(update={"prompt": "", "names": False}))
    refused("request-invalid", replace(shot, depth=None))
    refused("request-invalid", replace(shot, depth=np.full((64, 64), np.nan, np.float32)))
    refused("request-invalid", replace(shot, instances=InstanceMap(np.zeros((64, 64), np.uint16), {})))


@pytest.mark.parametrize(
    ("file", "harm", "code"),
    [
        ("unet/diffusion_pytorch_model.fp16.safetensors", "cut", "weights-damaged"),
        ("text_encoder/model.fp16.safetensors", "gone", "weights-missing"),
        ("text_encoder/config.json", "other", "weights-foreign"),
        ("unet/config.json", "other", "weights-foreign"),
        ("scheduler/scheduler_config.json", "broken", "weights-damaged"),
        ("tokenizer/vocab.json", "broken", "weights-damaged"),
        ("tokenizer/vocab.json", "gone", "weights-missing"),
        ("vae", "exchanged", "weights-foreign"),
        ("control", "exchanged", "weights-foreign"),
    ],
)
def test_broken_weights_are_named(
    file: str, harm: str, code: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    base = tmp_path / "stable-diffusion-v1-5" / "stable-diffusion-v1-5"
    path = base / file
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif harm == "gone":
        path.unlink()
    elif harm == "broken":
        path.write_text("{")
    elif harm == "other":
        path.write_text('{"_class_name": "Transformer2DModel", "model_type": "bert", "sample_size": 8}')
    elif file == "control":
        name = "diffusion_pytorch_model.fp16.safetensors"
        path = locate("controlnet-depth-sd15") / name
        shutil.copyfile(locate("controlnet-depth-sdxl") / name, path)
        file = name
    else:
        shutil.rmtree(path)
        shutil.copytree(base / "unet", path)
        (path / "config.json").write_bytes((models / base.relative_to(tmp_path) / "vae" / "config.json").read_bytes())
    with monkeypatch.context() as patch:  # nothing is loaded to find that out
        patch.setattr(painting, "open_painter", lambda *arguments: pytest.fail("the painter was opened"))
        problem = refused(code, room(64))
    assert Path(file).name in problem.detail or Path(file).parent.name in problem.detail


def test_weights_that_are_not_there_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    problem = refused("weights-missing", room(64))
    assert "stable-diffusion-v1-5" in problem.detail
    assert "hf download" in problem.hint


def test_it_is_offered_before_objects_are_looked_for() -> None:
    assert list(preparations())[:3] == ["text", "imagine", "segment"]
    assert ImagineParameters(model="sdxl").needed_weights() == ("sdxl", "controlnet-depth-sdxl")
    for name, field in ImagineParameters.model_fields.items():
        assert field.title and field.description, name
    for wrong in ({"candidates": 9}, {"model": "flux"}, {"prompt": "x" * 1001}, {"strength": 2.5}, {"colour": 1}):
        with pytest.raises(Problem):
            IMAGINE.check(wrong)
