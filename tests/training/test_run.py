"""A training run outlives what happens to it, and several processes come to what one comes to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from tests.training import run_fitting  # noqa: E402
from training.checkpoints import Checkpoints  # noqa: E402

PROGRAM = Path(__file__).with_name("run_fitting.py")
DEADLINE = 120


def start(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *launcher, str(PROGRAM), str(folder), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_here(folder: Path, steps: int, batch: int, slow: bool = False) -> None:
    """The same program in this process, which has PyTorch already."""
    threads = torch.get_num_threads()
    try:
        run_fitting.main(folder, steps, batch, slow)
    finally:
        torch.set_num_threads(threads)


def finished(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    return output


def steps(folder: Path) -> list[int]:
    file = folder / "losses.jsonl"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("}")]


def wait_for(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + DEADLINE
    while not (done := steps(folder)) or done[-1] < step:
        assert process.poll() is None and time.monotonic() < end, "it has ended, or does not get on"
        time.sleep(0.02)


def losses(folder: Path) -> list[tuple[int, float]]:
    found = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    return [(line["step"], line["colour"]) for line in found]


def test_killed_asked_to_end_and_resumed_a_run_comes_to_the_same_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_here(tmp_path / "undisturbed", 60, 64, slow=True)
    folder = tmp_path / "disturbed"
    killed = start(folder, "60", "64", "--slow")
    wait_for(folder, 25, killed)
    killed.kill()
    killed.communicate(timeout=DEADLINE)
    (folder / "checkpoints" / ".1234.partial").mkdir()
    with (folder / "losses.jsonl").open("a") as stream:
        stream.write('{"step": 9')
    assert Checkpoints(folder / "checkpoints").latest() is not None

    asked = start(folder, "60", "64", "--slow")
    wait_for(folder, 35, asked)
    asked.send_signal(signal.SIGTERM)
    word, reached = finished(asked).split()
    assert word == "early" and 35 <= int(reached) < 60
    assert Checkpoints(folder / "checkpoints").all()[-1][0] == int(reached)

    run_here(folder, 60, 64, slow=True)
    assert capsys.readouterr().out == 2 * "whole 60\n"
    one, other = (load_file(tmp_path / name / "parameters-0.safetensors") for name in ("undisturbed", "disturbed"))
    assert all(torch.equal(one[name], other[name]) for name in one) and len(one) > 5
    assert losses(folder) == losses(tmp_path / "undisturbed") and len(losses(folder)) == 60
    assert [step for step, _ in Checkpoints(folder / "checkpoints").all()] == sorted({int(reached), 40, 50, 60})[-3:]
    assert not list((folder / "checkpoints").glob(".*"))


def test_two_processes_come_to_what_one_with_twice_the_batch_comes_to(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    two = start(tmp_path / "two", "5", "64", launcher=launcher)
    run_here(tmp_path / "one", 5, 64)
    finished(two)
    alone = load_file(tmp_path / "one" / "parameters-0.safetensors")
    for rank in (0, 1):
        shared = load_file(tmp_path / "two" / f"parameters-{rank}.safetensors")
        assert all(torch.allclose(shared[name], alone[name], atol=1e-6) for name in alone)
    assert losses(tmp_path / "two") == [
        (step, pytest.approx(loss, rel=1e-5)) for step, loss in losses(tmp_path / "one")
    ]


def test_a_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "some", kept=2)
    assert checkpoints.latest() is None

    def broken(folder: Path) -> None:
        (folder / "part").write_text("half")
        raise OSError("the disk is full")

    for step in (99, 109, 9, 109):
        checkpoints.save(step, lambda folder, step=step: (folder / "part").write_text(str(step)))
    with pytest.raises(OSError, match="full"):
        checkpoints.save(200, broken)
    latest = checkpoints.latest()
    assert latest is not None and (latest / "part").read_text() == "109", "by number, not by spelling"
    assert [each.name for each in sorted((tmp_path / "some").iterdir())] == ["step-00000099", "step-00000109"]
