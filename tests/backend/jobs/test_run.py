"""One job from its folder to its result, without a process around it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.contract import GenerateRequest, InstanceLabel, Progress, Warning
from backend.jobs.run import run_job


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def no_answer(question: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError(question)


def test_a_labelled_object_that_the_map_does_not_show_is_told_and_the_others_are_made(tmp_path: Path) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[20:50, 10:30] = 1
    request = GenerateRequest(
        pipeline="inflate", instances=[InstanceLabel(id=1, name="Vase"), InstanceLabel(id=7, name="Hidden stool")]
    )
    (tmp_path / "inputs").mkdir()
    (tmp_path / "request.json").write_text(request.model_dump_json())
    (tmp_path / "inputs" / "image-0.bin").write_bytes(png(np.full((64, 64, 3), 90, np.uint8)))
    (tmp_path / "inputs" / "instances.bin").write_bytes(png(labels))
    said: list[Progress | Warning] = []

    result = run_job("job", tmp_path, said.append, lambda: False, no_answer)

    assert [prop.name for prop in result.props] == ["Vase"]
    warnings = [warning for warning in said if isinstance(warning, Warning)]
    assert [(warning.code, warning.instance) for warning in warnings] == [("instance-unseen", 7)]
    assert "Hidden stool" in warnings[0].message
    assert result.warnings == warnings
    assert (tmp_path / "output" / "scene.glb").is_file()


def test_of_what_is_hardly_seen_the_whole_is_made_and_told(tmp_path: Path) -> None:
    """A wall behind a screen: a strip of it shows; its whole outline came with the capture."""
    wall, seen = np.zeros((2, 96, 96), np.uint8)
    wall[20:80, 20:80] = 2
    seen[20:80, 20:80] = 1
    seen[20:80, 70:80] = 2
    request = GenerateRequest(pipeline="inflate", instances=[InstanceLabel(id=2, name="Behind")])
    (tmp_path / "inputs").mkdir()
    (tmp_path / "request.json").write_text(request.model_dump_json())
    (tmp_path / "inputs" / "image-0.bin").write_bytes(png(np.full((96, 96, 3), 90, np.uint8)))
    (tmp_path / "inputs" / "instances.bin").write_bytes(png(seen))
    (tmp_path / "inputs" / "outlines-0.bin").write_bytes(png(wall))
    said: list[Progress | Warning] = []

    result = run_job("job", tmp_path, said.append, lambda: False, no_answer)

    front, behind = result.props
    assert (front.seen, behind.seen) == (1.0, 0.1667)
    assert behind.mask_iou > 0.97 and behind.mask_pixels == 600
    told = [(warning.code, warning.instance) for warning in result.warnings if warning.instance == 2]
    assert told == [("instance-hidden", 2)]
    assert any("Only 17 % of 'Behind' is seen" in warning.message for warning in result.warnings)
    assert [(file.role, file.width) for file in result.inputs][-1] == ("outlines", 96)
