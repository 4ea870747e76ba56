"""Runs as programs: in two processes, killed, with a loss that is no number; and what they leave behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from models.lrm.cameras import source_vectors  # noqa: E402
from models.lrm.single_view_files import claims, open_single_view  # noqa: E402
from tests.training.mira.run_small import main, write_objects  # noqa: E402
from tests.training.programs import TWO, finished, killed_after, losses, start  # noqa: E402

PROGRAM = Path(__file__).with_name("run_small.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ten steps that nothing disturbed, with gradients."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    write_objects(folder.parent / "data")
    assert main(folder, ["--gradients", "run.steps=10"]) == 0
    return folder


def test_two_processes_have_the_gradients_of_one_with_twice_the_batch(whole: Path) -> None:
    folder = whole.parent / "two"
    # Each works its share off in two parts, so that accumulation is compared too.
    options = ("--gradients", "run.steps=10", "run.accumulation=2")
    finished(start(PROGRAM, folder, *options, launcher=TWO))
    for step in range(5):
        alone = load_file(whole / "gradients-0" / f"{step}.safetensors")
        for rank in (0, 1):
            shared = load_file(folder / f"gradients-{rank}" / f"{step}.safetensors")
            assert shared.keys() == alone.keys()
            furthest = max(float((shared[name] - alone[name]).abs().max()) for name in alone)
            assert furthest < 1e-5, f"step {step}, process {rank}"
        assert max(float(each.abs().max()) for each in alone.values()) > 1e-3, "there is something to compare"


def test_killed_and_started_again_it_has_the_losses_of_the_undisturbed_run(
    whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = whole.parent / "killed"
    process = start(PROGRAM, folder, "--slow", "run.steps=10")
    reached = killed_after(process, folder, 7)
    assert 7 <= reached < 10
    with caplog.at_level("INFO"):
        assert main(folder, ["run.steps=10"]) == 0
    assert "Going on from" in caplog.text and "step-00000005" in caplog.text
    assert losses(folder) == losses(whole), "bit for bit"
    assert len(losses(folder)) == 10


def test_killed_after_a_validation_it_has_one_line_for_each_step(whole: Path) -> None:
    folder = whole.parent / "validated"
    options = ["run.steps=6", "run.validate_every=2", "run.checkpoint_every=3"]
    assert main(folder, options) == 0
    file = folder / "validation.jsonl"
    lines = file.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]
    # Killed in the middle of a line after the validation of step 4: the newest state is that of step 3.
    shutil.rmtree(folder / "checkpoints" / "step-00000006")
    file.write_text("\n".join([*lines[:2], lines[2][:9]]))
    assert main(folder, options) == 0
    assert file.read_text().splitlines() == lines
    # Of a last step that nothing divides, too, however often the command is given.
    assert main(whole, ["--gradients", "run.steps=10"]) == 0
    assert len((whole / "validation.jsonl").read_text().splitlines()) == 1


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(whole.parent / "broken", ["--broken"]) == 2
    assert "In step 3 the loss 'colour' is not a finite number" in capsys.readouterr().err


def test_what_a_run_leaves_behind_can_be_used_and_trained_on(whole: Path) -> None:
    found = claims(whole / "models")
    assert (found.generation, found.source_size, found.render_size) == ("mira", 32, 32)
    network = open_single_view(whole / "models")
    planes = network.planes(torch.rand(1, 3, 32, 32), source_vectors(found.config))
    assert planes.shape == (1, 3, 6, 8, 8) and bool(planes.isfinite().all())
    figures = json.loads((whole / "validation.jsonl").read_text().splitlines()[-1])
    assert figures["step"] == 10 and {"held_out/psnr", "held_out/ssim", "held_out/iou"} <= figures.keys()
    assert list((whole / "previews").glob("*.png"))
    names = json.loads((whole / "objects.json").read_text())
    assert len(names["held_out"]) == 1 and len(names["trained"]) == 4
