"""From a grey block-out, and from a photograph, to MIDI's props: preparations, questions and pipeline in one job."""

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from backend.contract import GenerateRequest, InstanceLabel, Progress, Result  # noqa: E402
from backend.imaging.instances import read_instances  # noqa: E402
from backend.jobs.run import run_job  # noqa: E402
from backend.preparations.painting.tiny import write_tiny_painting_checkpoints  # noqa: E402
from backend.preparations.segment.tiny import write_tiny_segmentation_checkpoints  # noqa: E402
from backend.residency import residency  # noqa: E402
from models.midi.tiny import write_tiny_checkpoint  # noqa: E402
from tests.backend.ray_caster import Solid, cast, look  # noqa: E402

MIDI = {"steps": 1, "resolution": 64, "faces": 500, "texture_size": 64, "smallest_mask": 20}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_checkpoint(folder / "VAST-AI" / "MIDI-3D")
    write_tiny_segmentation_checkpoints(folder)
    write_tiny_painting_checkpoints(folder)
    return folder


@pytest.fixture(autouse=True)
def _environment(models: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(models))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    residency.clear()


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def job(folder: Path, request: GenerateRequest, **inputs: bytes) -> Path:
    (folder / "inputs").mkdir(parents=True)
    (folder / "request.json").write_text(request.model_dump_json())
    for name, data in inputs.items():
        (folder / "inputs" / name.replace("_", ".").replace("image.", "image-0.")).write_bytes(data)
    return folder


def answered(folder: Path, questions: list[dict[str, Any]], answer: dict[str, Any]) -> Result:
    told: list[float] = []

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        questions.append(question)
        return answer

    def report(said: Any) -> None:
        if isinstance(said, Progress):
            told.append(said.fraction)

    result = run_job("job", folder, report, lambda: False, ask)
    assert told == sorted(told)
    assert json.loads((folder / "output" / "result.json").read_text())["job"] == "job"
    return result


def test_a_grey_block_out_is_painted_and_every_box_becomes_a_prop(tmp_path: Path) -> None:
    camera = look((0, -3.5, 1.4), math.radians(15), 0, 35, 96)
    solids = [Solid("box", (0.8, 0.5, 0.6), (-0.7, 0.3, 0.3), 0.4), Solid("sphere", (0.7, 0.7, 0.7), (0.5, 0.0, 0.35))]
    labels, depth = cast(solids, camera)
    stream = io.BytesIO()
    np.save(stream, depth)
    request = GenerateRequest(
        pipeline="midi",
        parameters=MIDI,
        prepare={"imagine": {"prompt": "a workshop", "model": "sd15", "candidates": 2, "steps": 1}},
        camera=camera,
        instances=[InstanceLabel(id=1, name="Old chest"), InstanceLabel(id=2, name="Globe")],
    )
    grey = png(np.full((96, 96, 3), 128, np.uint8))
    folder = job(
        tmp_path, request, image_bin=grey, instances_bin=png(labels.astype(np.uint8)), depth_npy=stream.getvalue()
    )
    questions: list[dict[str, Any]] = []

    result = answered(folder, questions, {"chosen": [1]})

    assert [question["kind"] for question in questions] == ["choose"] and len(questions[0]["choices"]) == 2
    assert [prop.name for prop in result.props] == ["Old chest", "Globe"]
    record = result.prepared["imagine"]["record"]
    assert record["chosen"] == 1 and "chest" in record["prompt"] and "globe" in record["prompt"]
    chosen, used = ((folder / "kept" / name).read_bytes() for name in ("candidate-1.png", "picture.png"))
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in (chosen, used)))


def test_a_photograph_is_cut_into_objects_that_the_user_has_looked_through(tmp_path: Path) -> None:
    boxes = [(8, 30, 36, 80, "stool"), (40, 40, 62, 78, "cup"), (66, 20, 92, 84, "lamp")]
    named = [dict(zip(("left", "top", "right", "bottom", "name"), box, strict=True)) for box in boxes]
    request = GenerateRequest(pipeline="midi", parameters=MIDI, prepare={"segment": {"boxes": named}})
    photograph = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    folder = job(tmp_path, request, image_bin=png(photograph))
    questions: list[dict[str, Any]] = []

    result = answered(
        folder, questions, {"instances": [{"ids": [1], "name": "Stool"}, {"ids": [2, 3], "name": "Lamp and cup"}]}
    )

    assert [found["name"] for found in questions[0]["instances"]] == ["stool", "cup", "lamp"]
    assert [(prop.id, prop.name) for prop in result.props] == [(1, "Stool"), (2, "Lamp and cup")]
    assert result.instance_source == "found"
    kept = read_instances((folder / "kept" / "labels.png").read_bytes(), [], (96, 96))
    assert list(kept.names) == [1, 2]
    assert (folder / "kept" / questions[0]["overlay"]).is_file()
