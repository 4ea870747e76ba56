"""Tiny training runs as programs, under torchrun too: started, watched, and disturbed on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from torch import Tensor, nn

from models.optimisation.chance import Step
from models.optimisation.hooks import Hooks
from models.optimisation.loop import Loop
from models.writing import write_safetensors

DEADLINE = 300
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(program: Path, folder: Path, *options: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """The program, which trains in a folder."""
    return subprocess.Popen(
        [sys.executable, *launcher, str(program), str(folder), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> None:
    """Waits for it, and that it went well."""
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors


def killed_after(process: subprocess.Popen[str], folder: Path, steps: int) -> int:
    """Kills it (-9) when it has told of so many steps; how many it then had told of."""
    end = time.monotonic() + DEADLINE
    while not (folder / "losses.jsonl").is_file() or len(losses(folder)) < steps:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=DEADLINE)
    return int(max(each["step"] for each in losses(folder)))


def losses(folder: Path) -> list[dict[str, float]]:
    """What a run has told of its steps, without times."""
    lines = (folder / "losses.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def disturb(patch: pytest.MonkeyPatch, kind: type[nn.Module], slow: bool, broken: str | None) -> None:
    """Steps of an objective take longer, or the third one has a loss, `broken`, that is no number."""
    forward = kind.forward

    def disturbed(self: nn.Module, step: Step) -> Mapping[str, Tensor]:
        time.sleep(0.05 * slow)
        found = dict(forward(self, step))
        if broken and step.number == 2:
            found[broken] = found[broken] * float("nan")
        return found

    patch.setattr(kind, "forward", disturbed)


def keep_gradients(patch: pytest.MonkeyPatch, place: Path) -> None:
    """The gradients of every step are written into a folder."""
    advance = Loop._advance

    def kept(self: Loop, hooks: Hooks) -> None:
        advance(self, hooks)
        found = {name: each.grad for name, each in self.parameters.items() if each.grad is not None}
        write_safetensors(place / f"{self.step}.safetensors", found)

    patch.setattr(Loop, "_advance", kept)


def toml(value: object) -> str:
    """A value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml, value))}]"
    return repr(value) if isinstance(value, int | float) else f'"{value}"'
