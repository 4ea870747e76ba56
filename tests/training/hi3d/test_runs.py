"""Tiny runs of both stages: to a falling error, killed, in two processes; and what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.hi3d.files import ORBIT, REFINE, read_stage
from models.hi3d.pipeline import OrbitPipeline, RefinePipeline
from tests.training.hi3d.run_small import FRAMES, SIZE, main
from tests.training.programs import TWO, finished, killed_after, losses, start

PROGRAM = Path(__file__).with_name("run_small.py")
STEPS = 6


def errors(folder: Path) -> list[float]:
    lines = (folder / "validation.jsonl").read_text().splitlines()
    return [float(json.loads(line)["held_out/v"]) for line in lines]


@pytest.fixture(scope="module")
def orbit(place: Path) -> Path:
    """A run of stage 1 that nothing disturbed, with gradients; validated after the first step and after the last."""
    folder = place / "orbit"
    assert main(folder, ["--gradients", f"run.steps={STEPS}", f"run.validate_every={STEPS}"]) == 0
    return folder


def test_the_error_on_an_object_that_was_not_seen_falls_from_picture_to_views(orbit: Path, place: Path) -> None:
    # One step at a rate of nothing: where the run began.
    assert main(place / "begun", ["run.steps=1", "optimiser.rate=1e-12", "validation.previews=0"]) == 0
    begun, ended = errors(place / "begun")[-1], errors(orbit)[-1]
    assert ended < 0.75 * begun, f"{begun} → {ended}"


def test_the_error_falls_from_views_to_sharp_ones(place: Path) -> None:
    folder, stage = place / "refine", 'model.stage="refine"'
    begins = ["run.steps=1", "optimiser.rate=1e-12", "validation.previews=0"]
    assert main(place / "refine begun", [stage, *begins]) == 0
    assert main(folder, [stage, f"run.steps={STEPS}"]) == 0
    begun, ended = errors(place / "refine begun")[-1], errors(folder)[-1]
    assert ended < 0.75 * begun, f"{begun} → {ended}"
    refine = RefinePipeline.from_files(folder / "models" / REFINE.file)
    frames = np.full((FRAMES, SIZE, SIZE, 3), 0.5, np.float32)
    with torch.no_grad():
        made = refine(frames, elevation=10, generator=torch.Generator().manual_seed(0), steps=1).frames
    assert made.shape == frames.shape and np.isfinite(made).all()


def test_what_a_run_writes_is_a_published_file_that_the_pipeline_opens(orbit: Path, place: Path) -> None:
    written, began = (read_stage(folder / ORBIT.file, ORBIT) for folder in (orbit / "models", place / "weights"))
    assert written.parts.keys() == began.parts.keys() and (written.frames, written.size) == (FRAMES, SIZE)
    for name, part in written.parts.items():
        same = [torch.equal(each, began.parts[name].tensors[key]) for key, each in part.tensors.items()]
        assert not all(same) if name == "unet" else all(same), name
        assert {each.dtype for each in part.tensors.values()} == {
            each.dtype for each in began.parts[name].tensors.values()
        }
    # It is the averaged weights, in 16 bits.
    state = load_file(sorted((orbit / "checkpoints").iterdir())[-1] / "state.safetensors")
    averages = {key.removeprefix("average.network."): each for key, each in state.items() if key.startswith("average.")}
    assert len(averages) > 100
    for key, each in averages.items():
        assert torch.equal(written.parts["unet"].tensors[key], each.half()), key
    pipeline = OrbitPipeline.from_files(orbit / "models" / ORBIT.file)
    picture = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    with torch.no_grad():
        found = pipeline(picture, elevation=10, generator=torch.Generator().manual_seed(0), steps=1)
    assert found.frames.shape == (FRAMES, SIZE, SIZE, 3)


def test_a_run_tells_of_itself(orbit: Path) -> None:
    figures = json.loads((orbit / "validation.jsonl").read_text().splitlines()[-1])
    assert figures["step"] == STEPS and {"held_out/v", "held_out/psnr"} <= figures.keys()
    assert list((orbit / "previews").glob("*.png"))
    names = json.loads((orbit / "objects.json").read_text())
    assert len(names["held_out"]) == 1 and len(names["trained"]) == 2
    assert not set(names["held_out"]) & set(names["trained"])


def test_killed_and_started_again_it_has_the_losses_and_weights_of_the_undisturbed_run(
    orbit: Path, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, options = place / "killed", [f"run.steps={STEPS}", f"run.validate_every={STEPS}"]
    reached = killed_after(start(PROGRAM, folder, "--slow", *options), folder, 3)
    assert 3 <= reached < STEPS
    with caplog.at_level("INFO"):
        assert main(folder, options) == 0
    assert "Going on from" in caplog.text and "step-0000000" in caplog.text
    assert losses(folder) == losses(orbit), "bit for bit"
    last = [load_file(each / "checkpoints" / f"step-{STEPS:08d}" / "state.safetensors") for each in (folder, orbit)]
    assert all(torch.equal(last[0][name], each) for name, each in last[1].items())


def test_two_processes_have_the_gradients_of_one(orbit: Path, place: Path) -> None:
    folder = place / "two"
    options = ("--gradients", "run.steps=2", f"run.validate_every={STEPS}")
    finished(start(PROGRAM, folder, *options, "validation.previews=0", launcher=TWO))
    for step in range(2):
        alone = load_file(orbit / "gradients-0" / f"{step}.safetensors")
        for rank in (0, 1):
            shared = load_file(folder / f"gradients-{rank}" / f"{step}.safetensors")
            assert shared.keys() == alone.keys()
            furthest = max(float((shared[name] - alone[name]).abs().max()) for name in alone)
            assert furthest < 1e-4, f"step {step}, process {rank}"
        assert max(float(each.abs().max()) for each in alone.values()) > 1e-3, "there is something to compare"


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(place / "broken", ["--broken", "validation.previews=0"]) == 2
    assert "In step 3 the loss 'v' is not a finite number" in capsys.readouterr().err
