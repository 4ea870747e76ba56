"""The loop of `models/optimisation` in a pipeline: its hooks are the context's, and it goes on to the bit."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import backend.jobs.run
from backend.contract import GenerateRequest, Preview, Progress, Result, Warning
from backend.jobs.run import run_job
from backend.pipelines.context import Context
from backend.scene import Mesh, Scene
from backend.shot import Shot
from models.optimisation.chance import Step
from models.optimisation.hooks import Hooks
from models.optimisation.loop import Loop, Settings
from models.optimisation.state import read_state
from tests.backend.jobs.long_pipeline import EVERY, LONG, LongParameters
from tests.backend.shapes import ball, standing
from tests.backend.small_pictures import cut_out

STEPS = 160


class Bumps(nn.Module):
    """Radii that follow noise of each step."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.radii = nn.Parameter(torch.ones(count))

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        return {"radii": ((self.radii - 1 - 0.2 * torch.rand(len(self.radii))) ** 2).mean()}


def fit(shot: Shot, parameters: LongParameters, context: Context) -> Scene:
    """What a method with an optimisation of its own comes down to."""
    form = ball(0.5)
    objective = Bumps(len(form.vertices))
    optimiser = torch.optim.Adam(objective.parameters(), 0.01)
    loop = Loop(objective, optimiser, Settings(parameters.steps, seed=context.seed, averaging=0.9))
    with context.stage("optimise"):
        if (found := context.checkpoints.latest()) is not None:
            read_state(loop, found.folder)
        loop.run(
            Hooks(
                progress=lambda report: context.progress(report.step / report.steps, str(report)),
                preview=lambda step: context.preview("radii", np.full((8, 8, 3), step % 256, np.uint8), f"Step {step}"),
                checkpoint=context.checkpoints.save,
                finish=lambda: context.finish_wanted,
                checkpoint_every=EVERY,
            )
        )
    loop.take_best()
    mesh = Mesh(form.vertices * objective.radii.detach().numpy().astype(float)[:, None], form.faces)
    return Scene([standing(mesh, key, name, (0, 5, 0)) for key, name in shot.instances.names.items()])


class Killed(BaseException):
    """As if by kill -9."""


Said = Progress | Warning | Preview


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    info = replace(LONG, id="fitting")
    object.__setattr__(info, "load", functools.partial({"fit": fit}.__getitem__, "fit"))
    monkeypatch.setattr(backend.jobs.run, "find_pipeline", {"fitting": info}.__getitem__)

    def run(name: str, report: Callable[[Said], Any] = lambda said: None, **options: Any) -> Result:
        folder = tmp_path / name
        if not folder.is_dir():
            request = GenerateRequest(pipeline="fitting", parameters={"steps": STEPS}, seed=3)
            (folder / "inputs").mkdir(parents=True)
            (folder / "inputs" / "image-0.bin").write_bytes(cut_out())
            (folder / "request.json").write_text(request.model_dump_json())
        return run_job("job", folder, report, lambda: False, lambda question: {}, **options)

    return run


def scene(tmp_path: Path, name: str) -> bytes:
    return (tmp_path / name / "output" / "scene.glb").read_bytes()


def step_of(said: Said) -> int:
    words = said.message.replace(",", "").split() if isinstance(said, Progress) else []
    return int(words[1]) if words[:1] == ["step"] else 0


def test_cut_off_at_any_step_it_ends_as_if_nothing_had_been(run: Callable[..., Result], tmp_path: Path) -> None:
    run("undisturbed")
    steps: list[int] = []
    for moment in sorted(random.Random(5).sample(range(1, STEPS), 5)):

        def report(said: Said, moment: int = moment) -> None:
            steps.append(step_of(said))
            if step_of(said) >= moment:
                raise Killed

        with pytest.raises(Killed):
            run("killed", report)
    run("killed", lambda said: steps.append(step_of(said)))
    assert scene(tmp_path, "killed") == scene(tmp_path, "undisturbed")
    done = [step for step in steps if step]
    assert STEPS < len(done) <= STEPS + 6 + 5 * (EVERY + 1), "no more is done twice than lies between two checkpoints"


def test_ended_early_it_has_a_result_and_goes_on_to_the_same(run: Callable[..., Result], tmp_path: Path) -> None:
    said: list[Said] = []
    run("undisturbed")
    early = run("early", said.append, finishing=lambda: any(step_of(each) == 120 for each in said))
    assert early.finished_early and len(early.props) == 1
    assert max(map(step_of, said)) == 120
    former = scene(tmp_path, "early")
    assert former != scene(tmp_path, "undisturbed")
    assert not run("early").finished_early
    assert scene(tmp_path, "early") == scene(tmp_path, "undisturbed")
