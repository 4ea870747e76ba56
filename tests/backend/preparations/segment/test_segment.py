"""The whole preparation: from words and boxes to a shot with an instance map, with the user in between."""

from __future__ import annotations

import gc
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.camera import default_camera
from backend.contract import Progress, Warning
from backend.errors import Problem
from backend.imaging.instances import read_instances
from backend.pipelines.context import Cancelled, Context
from backend.preparations import preparations
from backend.preparations.base import Prepared
from backend.preparations.segment import MOST_OBJECTS, SEGMENT, detector, run
from backend.preparations.segment.finds import Find
from backend.preparations.segment.tiny import DETECTOR, SEGMENTER
from backend.questions import read_question
from backend.residency import residency
from backend.shot import InstanceMap, Shot

WIDTH, HEIGHT = 480, 320
SOFA = {"left": 20, "top": 40, "right": 180, "bottom": 200, "name": "sofa"}
LAMP = {"left": 300, "top": 100, "right": 460, "bottom": 260, "name": "lamp"}
FAR_LEFT = {"left": 0, "top": 220, "right": 90, "bottom": 310, "name": "lamp"}


class Job:
    """Runs the preparation and keeps what it says, asks and writes. `answer` may be a function of the question."""

    def __init__(self, answer: Any = None, cancel_at: str = "") -> None:
        self.kept: dict[str, bytes] = {}
        self.questions: list[dict[str, Any]] = []
        self.reports: list[Progress | Warning] = []
        self.answer, self.cancel_at = answer, cancel_at
        self.context = Context(
            SEGMENT, 0, self.reports.append, self._cancelled, answer=self._answered, save=self.kept.__setitem__
        )

    def run(self, **parameters: Any) -> Prepared:
        picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
        shot = Shot(
            images=(picture,),
            instances=InstanceMap(np.zeros((HEIGHT, WIDTH), np.uint16), {}),
            camera=default_camera(WIDTH, HEIGHT),
            instance_source="found",
            boxes={1: np.eye(4)},
        )
        prepared: Prepared = SEGMENT.load()(shot, SEGMENT.check(parameters), self.context)
        return prepared

    @property
    def warnings(self) -> dict[str, str]:
        return {warning.code: warning.message for warning in self.context.warnings}

    def _cancelled(self) -> bool:
        return bool(self.cancel_at) and any(self.cancel_at in getattr(one, "message", "") for one in self.reports)

    def _answered(self, question: dict[str, Any]) -> dict[str, Any]:
        self.questions.append(question)
        known = read_question(question)
        assert known is not None
        answer = self.answer(question) if self.answer else known.default_answer()
        known.check(answer)
        return answer


@pytest.fixture(autouse=True)
def installed(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(checkpoints))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")


def finding(monkeypatch: pytest.MonkeyPatch, *finds: Find) -> None:
    """The detector is loaded and run; what it found is exchanged for finds whose meaning is known."""
    look = detector.Detector.find

    def known(self, *arguments):
        look(self, *arguments)
        return list(finds)

    monkeypatch.setattr(run.Detector, "find", known)


def test_boxes_become_instances_from_left_to_right() -> None:
    job = Job()
    prepared = job.run(boxes=[LAMP, SOFA, FAR_LEFT])
    shot = prepared.shot
    assert shot.instances.names == {1: "lamp", 2: "sofa", 3: "lamp 2"}
    assert shot.instance_source == "found" and shot.instances.labels.dtype == np.uint16
    assert shot.boxes == {}, "a block-out's box belongs to an id that is another object now"
    for label, box in ((1, FAR_LEFT), (2, SOFA), (3, LAMP)):
        rows, columns = np.nonzero(shot.instances.mask(label))
        assert columns.mean() == pytest.approx((box["left"] + box["right"]) / 2, abs=16)
        assert rows.mean() == pytest.approx((box["top"] + box["bottom"]) / 2, abs=16)
    assert [one["pixels"] for one in prepared.record["instances"]] == [
        int(shot.instances.mask(label).sum()) for label in (1, 2, 3)
    ]
    assert prepared.record["detector"] is None and prepared.record["device"] == "cpu"
    assert not any("detector" in report.message for report in job.reports), "boxes alone need none"


def test_what_is_kept_shows_what_was_found() -> None:
    job = Job()
    shot = job.run(boxes=[SOFA, LAMP]).shot
    assert set(job.kept) == {"picture.png", "instances.png", "labels.png"}
    again = read_instances(job.kept["labels.png"], [], (WIDTH, HEIGHT))
    np.testing.assert_array_equal(again.labels, shot.instances.labels)
    picture = np.asarray(Image.open(io.BytesIO(job.kept["picture.png"])))
    np.testing.assert_array_equal(picture, run.on_white(shot.image))
    overlay = np.asarray(Image.open(io.BytesIO(job.kept["instances.png"])))
    (question,) = job.questions
    assert (question["picture"], question["overlay"]) == ("picture.png", "instances.png")
    for found in question["instances"]:
        inside = shot.instances.mask(found["id"])
        assert (overlay[inside] == found["color"]).all(axis=1).any(), "in the colour that the question says"


def test_the_review_decides() -> None:
    def merged(question: dict[str, Any]) -> dict[str, Any]:
        assert [one["name"] for one in question["instances"]] == ["lamp", "sofa", "lamp 2"]
        return {"instances": [{"ids": [2, 3], "name": "set"}]}

    job = Job(merged)
    prepared = job.run(boxes=[SOFA, LAMP, FAR_LEFT])
    assert prepared.shot.instances.names == {2: "set"}
    assert set(np.unique(prepared.shot.instances.labels)) == {0, 2}
    assert [one["name"] for one in prepared.record["instances"]] == ["set"]
    again = read_instances(job.kept["labels.png"], [], (WIDTH, HEIGHT))
    assert set(again.names) == {2}, "what is kept is what goes on"


def test_without_a_review_nobody_is_asked() -> None:
    job = Job()
    assert job.run(boxes=[SOFA], review=False).record["reviewed"] is False
    assert job.questions == [] and "instances.png" in job.kept


def test_words_become_instances_with_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    finding(
        monkeypatch,
        Find("chair", (20, 40, 180, 200), 0.5),
        Find("armchair", (22, 40, 180, 202), 0.7),
        Find("chair", (300, 100, 460, 260), 0.6),
    )
    job = Job()
    prepared = job.run(labels="chair, armchair, unicorn")
    rows = [(one["name"], one["score"]) for one in prepared.record["instances"]]
    assert rows == [("armchair", 0.7), ("chair", 0.6)]
    assert prepared.record["detector"] == "grounding-dino"
    assert "unicorn" in job.warnings["label-unseen"] and "chair" not in job.warnings["label-unseen"]


def test_the_networks_find_something_by_themselves() -> None:
    prepared = Job().run(labels="chair, lamp", detector="tiny")
    assert len(prepared.shot.instances.names) >= 2
    assert prepared.record["detector"] == "grounding-dino-tiny"
    again = Job().run(labels="chair, lamp", detector="tiny")
    np.testing.assert_array_equal(prepared.shot.instances.labels, again.shot.instances.labels)


def test_nothing_found_says_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    finding(monkeypatch)
    with pytest.raises(Problem, match="recognised as chair or green lamp with a certainty above") as caught:
        Job().run(labels="chair, green lamp", score_threshold=0.4)
    assert caught.value.code == "instances-not-found"
    assert all(word in caught.value.hint for word in ("threshold", "words", "boxes"))


def test_too_many_are_refused_before_they_are_outlined(monkeypatch: pytest.MonkeyPatch) -> None:
    finding(monkeypatch, *(Find("cup", (7 * n, 0, 7 * n + 6, 9), 0.5) for n in range(MOST_OBJECTS + 1)))
    job = Job()
    with pytest.raises(Problem, match="61 objects were found; 60 are the limit") as caught:
        job.run(labels="cup")
    assert caught.value.code == "instances-too-many" and "threshold" in caught.value.hint
    assert not any("segmenter" in report.message for report in job.reports)


def test_small_objects_are_left_out_with_a_word() -> None:
    job = Job()
    crumb = {"left": 200, "top": 20, "right": 240, "bottom": 60, "name": "crumb"}
    assert job.run(boxes=[SOFA, crumb], smallest=5).shot.instances.names == {1: "sofa"}
    assert "'crumb' left out: fewer than 7680 pixels" in job.warnings["instance-small"]
    with pytest.raises(Problem, match="'crumb' has") as caught:
        Job().run(boxes=[crumb], smallest=5)
    assert caught.value.code == "instances-not-found"


@pytest.mark.parametrize(("missing", "parameters"), [(DETECTOR, {"labels": "chair"}), (SEGMENTER, {"boxes": [SOFA]})])
def test_missing_weights_are_said_before_anything_is_loaded(
    missing: str, parameters: dict[str, Any], checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(checkpoints, tmp_path / "models")
    shutil.rmtree(tmp_path / "models" / missing)
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    job = Job()
    with pytest.raises(Problem, match=missing) as caught:
        job.run(**parameters)
    assert caught.value.code == "weights-missing" and job.reports == []


def test_a_foreign_checkpoint_is_a_problem_with_a_hint(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(checkpoints, tmp_path / "models")
    shutil.copy(checkpoints / DETECTOR / "config.json", tmp_path / "models" / SEGMENTER / "config.json")
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path / "models"))
    with pytest.raises(Problem, match="describes a grounding-dino") as caught:
        Job().run(boxes=[SOFA])
    assert caught.value.code == "weights-foreign" and SEGMENTER in caught.value.hint


@pytest.mark.parametrize("message", ["Loading the detector", "Looking for", "1 of "])
def test_it_stops_soon_after_it_was_cancelled(message: str) -> None:
    job = Job(cancel_at=message)
    with pytest.raises(Cancelled):
        job.run(labels="chair", boxes=[SOFA, LAMP])
    assert message in job.reports[-1].message, "nothing was reported after that"
    assert job.kept == {}


def test_networks_that_are_held_while_the_user_is_asked_can_go_to_the_last_one() -> None:
    def networks() -> int:
        gc.collect()
        names = ("GroundingDinoForObjectDetection", "SamModel")
        return sum(type(one).__name__ in names for one in gc.get_objects())

    residency.clear()
    before, asked = networks(), []

    def count(question: dict[str, Any]) -> dict[str, Any]:
        assert residency.bytes_on("cpu") > 0
        residency.clear()
        asked.append(networks())
        return {"instances": [{"ids": [one["id"]], "name": one["name"]} for one in question["instances"]]}

    Job(count).run(labels="chair", boxes=[SOFA])
    assert asked == [before]


def test_progress_grows_and_names_every_stage() -> None:
    job = Job()
    job.run(labels="chair", boxes=[SOFA, LAMP])
    progress = [report for report in job.reports if isinstance(report, Progress)]
    assert [one.fraction for one in progress] == sorted(one.fraction for one in progress)
    assert list(dict.fromkeys(one.stage for one in progress)) == [stage.name for stage in SEGMENT.stages]


def test_transparent_pixels_become_white() -> None:
    picture = np.zeros((2, 2, 4), dtype=np.uint8)
    picture[0, 0] = (10, 20, 30, 255)
    picture[1, 1] = (100, 0, 0, 128)
    white = run.on_white(picture)
    assert white[0, 0].tolist() == [10, 20, 30] and white[0, 1].tolist() == [255] * 3
    np.testing.assert_allclose(white[1, 1], [177, 127, 127], atol=1)


def test_its_description_is_light_and_listed() -> None:
    assert preparations()["segment"] is SEGMENT
    script = "import sys, backend.preparations; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "transformers", "scipy", "skimage"} & set(done.stdout.split())
