"""A training run as a program: `python run_fitting.py FOLDER STEPS BATCH [--slow]`, also under torchrun."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.optimisation.loop import Loop, Settings
from models.writing import write_safetensors
from tests.models.optimisation.fitting import Fitting
from training.processes import started
from training.run import train


def main(folder: Path, steps: int, batch: int, slow: bool) -> None:
    torch.set_num_threads(1)
    with started(cards=False) as (processes, device):
        objective = Fitting(batch, dropout=0.1 if slow else 0.0).to(device)
        optimiser = torch.optim.SGD([each for each in objective.parameters() if each.requires_grad], 0.5)
        settings = Settings(steps, seed=5, averaging=0.9, judged_every=0)
        loop = Loop(objective, optimiser, settings, processes=processes)
        preview = (lambda step: time.sleep(0.02)) if slow else None
        outcome = train(loop, folder, preview=preview, preview_every=1, checkpoint_every=10, log_every=1)
        write_safetensors(folder / f"parameters-{processes.rank}.safetensors", loop.parameters)
        print("early" if outcome.early else "whole", outcome.steps)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), "--slow" in sys.argv)
