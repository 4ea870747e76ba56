"""What MIDI cannot use is refused by the server, with a sentence, before any worker has touched the device."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from models.midi.tiny import write_tiny_checkpoint
from tests.backend.server.running_server import RunningServer

SIDE = 128


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_checkpoint(folder / "VAST-AI" / "MIDI-3D", shard_bytes=200_000)
    return folder


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    variables = {"SET_DRESSER_MODELS": str(models), "SET_DRESSER_DEVICE": "cpu", "HF_HUB_CACHE": str(models / "hub")}
    with RunningServer(tmp_path_factory.mktemp("refusals") / "data", **variables) as server:
        yield server


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def grid(count: int, side: int = SIDE, pixels: int = 8) -> bytes:
    """A map of so many squares."""
    labels = np.zeros((side, side), np.uint8)
    for number in range(count):
        row, column = divmod(number, side // 12)
        labels[12 * row : 12 * row + pixels, 12 * column : 12 * column + pixels] = number + 1
    return png(labels)


def submit(server: RunningServer, instances: bytes) -> dict:
    picture = png(np.full((SIDE, SIDE, 3), 90, np.uint8))
    request = {"pipeline": "midi", "parameters": {"steps": 1, "resolution": 64, "faces": 500, "texture_size": 64}}
    return server.post_job(request, {"image": ("a.png", picture), "instances": ("b.png", instances)}).json()


@pytest.mark.parametrize(
    ("instances", "code", "words"),
    [
        (grid(0), "instances-empty", ""),
        (grid(60), "instances-too-many", "60"),
        (grid(3, side=SIDE + 4), "instances-mismatch", "132"),
    ],
    ids=["no instances", "60 instances", "wrong size"],
)
def test_a_map_that_midi_cannot_use(server: RunningServer, instances: bytes, code: str, words: str) -> None:
    problem = submit(server, instances)
    assert problem["code"] == code and words in problem["detail"] and problem["hint"]
    assert server.client.get("/jobs").json() == []


def test_one_pixel_fails_with_a_sentence_before_anything_is_loaded(server: RunningServer) -> None:
    job = submit(server, grid(1, pixels=1))
    view = server.wait(job["id"], seconds=60)
    assert view["state"] == "failed"
    assert view["problem"]["code"] == "instances-empty" and "visible pixels" in view["problem"]["detail"]
    assert not any(data.get("stage") == "denoise" for _, _, data in server.events(job["id"]))
    server.client.delete(f"/jobs/{job['id']}", params={"forget": True})


@pytest.mark.parametrize(
    ("harm", "code"),
    [("absent", "weights-missing"), ("half a download", "weights-missing"), ("cut shard", "weights-damaged")],
)
def test_weights_that_are_not_whole(server: RunningServer, models: Path, harm: str, code: str, tmp_path: Path) -> None:
    folder = models / "VAST-AI" / "MIDI-3D"
    shard = sorted((folder / "transformer").glob("*.safetensors"))[1]
    safe = shutil.copytree(models / "VAST-AI", tmp_path / "safe")
    try:
        if harm == "absent":
            shutil.rmtree(folder)
        elif harm == "half a download":
            shard.rename(shard.with_suffix(".incomplete"))
        else:
            shard.write_bytes(shard.read_bytes()[:1000])
        listed = {view["id"]: view["ready"] for view in server.client.get("/pipelines").json()}
        assert listed["midi"] is False and listed["inflate"] is True
        problem = submit(server, grid(2))
        assert problem["code"] == code and problem["hint"] and problem["weights"] == "midi", problem
        assert server.client.get("/jobs").json() == []
    finally:
        shutil.rmtree(models / "VAST-AI")
        shutil.copytree(safe, models / "VAST-AI")
    assert server.client.get("/health").status_code == 200


def test_what_is_left_when_all_is_well_is_made(server: RunningServer) -> None:
    job = submit(server, grid(2, pixels=10))
    view = server.wait(job["id"], seconds=120)
    assert view["state"] == "done", view["problem"]
