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
