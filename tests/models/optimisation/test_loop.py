"""The loop does what an optimisation needs, and comes to the same numbers however it is interrupted."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from models.loading import CheckpointDamaged, CheckpointError, CheckpointForeign, CheckpointMissing  # noqa: E402
from models.optimisation.chance import Step, shuffled  # noqa: E402
from models.optimisation.hooks import Hooks  # noqa: E402
from models.optimisation.loop import Loop, NotFinite, Settings, warm_up_then_cosine  # noqa: E402
from models.optimisation.state import FACTS, TENSORS, read_state  # noqa: E402
from tests.models.optimisation.fitting import Fitting, make_loop, same, values  # noqa: E402


class Killed(BaseException):
    """As from outside."""


def kill_at(step: int) -> Any:
    def progress(report: Any) -> None:
        if report.step == step:
            raise Killed

    return progress


def test_a_picture_is_learned() -> None:
    loop = make_loop(150, objective=Fitting(), clip=1.0)
    before = loop.objective.error()
    frozen = loop.objective.decoder.net_sdf[0].weight.clone()
    reports = []
    outcome = loop.run(Hooks(progress=lambda report: reports.append((report.step, dict(report.losses)))))
    assert (outcome.steps, outcome.early) == (150, False)
    assert loop.objective.error() < before / 20
    assert [step for step, _ in reports] == list(range(151))
    assert reports[0][1] == {} and reports[-1][1] == outcome.losses and outcome.losses.keys() == {"colour", "size"}
    assert torch.equal(loop.objective.decoder.net_sdf[0].weight, frozen)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_killed_and_resumed_it_comes_to_the_same_bits(precision: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"averaging": 0.9, "accumulation": 2, "clip": 0.5, "precision": precision}
    options |= {"judged_every": 7}
    undisturbed = make_loop(40, **options)
    expected = undisturbed.run().losses

    saved: list[Path] = []

    def save(step: int, write: Any) -> None:
        saved.append(tmp_path / str(step))
        write(saved[-1])

    for end in (13, 29, None):
        loop = make_loop(40, **options)
        torch.manual_seed(end or 0)  # whatever the process did before
        if saved:
            read_state(loop, saved[-1])
            assert loop.step == 5 * (loop.step // 5) > 0
        hooks = Hooks(checkpoint=save, checkpoint_every=5, progress=kill_at(end) if end else None)
        if end:
            with pytest.raises(Killed):
                loop.run(hooks)
    assert loop.run(hooks).losses == expected
    assert same(values(loop), values(undisturbed))
    assert loop.best is not None and undisturbed.best is not None
    assert (loop.best.step, loop.best.score) == (undisturbed.best.step, undisturbed.best.score)
    assert same(loop.best.parameters, undisturbed.best.parameters)
    again = make_loop(40, **options)
    read_state(again, saved[-1])
    assert again.run().steps == 40 and same(values(again), values(undisturbed)), "its end is kept, too"


def test_finished_early_it_gives_the_best_so_far_and_can_go_on(tmp_path: Path) -> None:
    scores = {10: 3.0, 20: 1.0, 30: 2.0, 34: 5.0, 40: 4.0, 50: 0.5}
    loops: list[Loop] = []

    def judge() -> float:
        return scores[loops[-1].step]

    def made() -> Loop:
        loops.append(make_loop(50, judge=judge, judged_every=10))
        return loops[-1]

    undisturbed = made()
    at_20: dict[str, Any] = {}
    undisturbed.run(
        Hooks(preview=lambda step: at_20.update(values(undisturbed)) if step == 20 else None, preview_every=10)
    )
    loop = made()
    outcome = loop.run(Hooks(finish=lambda: loop.step == 34, checkpoint=lambda step, write: write(tmp_path / "kept")))
    assert (outcome.steps, outcome.early) == (34, True)
    assert loop.take_best() == 20
    parameters = dict(loop.objective.named_parameters())
    assert all(torch.equal(parameters[name], at_20[name]) for name in parameters)

    later = made()
    read_state(later, tmp_path / "kept")
    assert later.run().steps == 50 and same(values(later), values(undisturbed))
    assert later.take_best() == undisturbed.take_best() == 50


def test_a_preview_sees_the_averages_and_disturbs_nothing() -> None:
    plain, shown = make_loop(20, averaging=0.9), make_loop(20, averaging=0.9)
    plain.run()

    def look(step: int) -> None:
        assert all(torch.equal(shown.parameters[name], each) for name, each in shown.averages.items())
        torch.randn(100)
        seen.append(step)

    seen: list[int] = []
    shown.run(Hooks(preview=look, preview_every=7))
    assert seen == [7, 14] and same(values(plain), values(shown))
    assert not all(torch.equal(plain.parameters[name], each) for name, each in plain.averages.items())


def test_parts_of_a_batch_come_to_what_the_whole_comes_to() -> None:
    whole, parts = make_loop(5, objective=Fitting()), make_loop(5, objective=Fitting(), accumulation=4)
    assert parts.run().losses == pytest.approx(whole.run().losses, rel=1e-5)
    for name, parameter in whole.parameters.items():
        assert torch.allclose(parameter, parts.parameters[name], atol=1e-5), name


class Wild(nn.Module):
    """Its loss, or only its gradient, is no number in some steps."""

    def __init__(self, wrong: set[int], loss: bool = True) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.ones(2))
        self.wrong, self.loss = wrong, loss

    def forward(self, step: Step) -> dict[str, Any]:
        value = self.value.square().mean()
        if step.number in self.wrong:
            value = value * math.nan if self.loss else value + (self.value - self.value).abs().sqrt().sum()
        return {"one": value, "other": 0 * value.detach()}


def wild(wrong: set[int], left_out: int, loss: bool = True) -> Loop:
    objective = Wild(wrong, loss)
    return Loop(objective, torch.optim.SGD(objective.parameters(), 0.1), Settings(9, left_out=left_out))


@pytest.mark.parametrize(("loss", "words"), [(True, "step 5 the loss 'one' is"), (False, "step 5 a gradient is")])
def test_what_is_no_number_is_told_and_left_out_or_ends_it(loss: bool, words: str) -> None:
    told: list[str] = []
    loop = wild({4, 5, 7}, 2, loss)
    assert loop.run(Hooks(tell=told.append)).steps == 9
    assert len(told) == 3 and words in told[0] and "left out" in told[0]
    assert torch.allclose(loop.objective.value, torch.full((2,), 0.9**6)), "six of nine steps were taken"
    with pytest.raises(NotFinite, match=words):
        wild({4}, 0, loss).run()
    with pytest.raises(NotFinite, match="step 6"):
        wild({4, 5, 7}, 1, loss).run()


def test_loss_scaling_is_there_for_half_precision_alone() -> None:
    scaled = make_loop(3, precision="float16")
    scaled.run()
    assert scaled.scaler.is_enabled() and all(bool(each.isfinite().all()) for each in values(scaled).values())
    assert not make_loop(3, precision="bfloat16").scaler.is_enabled()


def test_the_rate_follows_the_step() -> None:
    rate = warm_up_then_cosine(5, 45, least=0.1)
    assert [rate(0), rate(4), rate(5)] == pytest.approx([0.2, 1.0, 1.0])
    assert [rate(25), rate(45), rate(99)] == pytest.approx([0.55, 0.1, 0.1])
    objective = Wild(set())
    loop = Loop(objective, torch.optim.SGD(objective.parameters(), 0.5), Settings(46), rate)
    loop.run()
    assert loop.optimiser.param_groups[0]["lr"] == pytest.approx(0.05)


def test_every_item_has_its_turn_before_the_next_round() -> None:
    taken = torch.cat([shuffled(10, 4, step, seed=1) for step in range(10)])
    rounds = taken.view(4, 10)
    assert torch.equal(rounds.sort(dim=1).values, torch.arange(10).expand(4, 10))
    assert len({tuple(each.tolist()) for each in rounds}) == 4
    assert len(shuffled(3, 8, 5, seed=1)) == 8
    for part in (0, 1):
        assert torch.equal(Step(5, 1, part, 2).batch(10, 4), shuffled(10, 4, 5, 1)[2 * part :][:2])
    with pytest.raises(ValueError, match="evenly among 3"):
        Step(0, 1, 0, 3).batch(10, 4)
    with pytest.raises(ValueError, match="0 items"):
        shuffled(0, 4, 0, 1)


def test_a_state_that_is_not_this_ones_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    def refused(folder: Path, kind: type[CheckpointError], words: str, loop: Loop | None = None) -> None:
        loop = loop or make_loop(20)
        before = values(loop)
        with pytest.raises(kind, match=words):
            read_state(loop, folder)
        assert loop.step == 0 and same(values(loop), before)

    make_loop(10).run(Hooks(checkpoint=lambda step, write: write(tmp_path)))
    refused(tmp_path / "nothing", CheckpointMissing, "state.json is missing")
    refused(tmp_path, CheckpointForeign, r"average.\S+ is None", make_loop(20, averaging=0.9))
    wider = Fitting()
    wider.planes = nn.Parameter(torch.zeros(3, 4, 9, 9))
    refused(tmp_path, CheckpointForeign, r"objective.planes is \(3, 4, 8, 8\), not", make_loop(20, objective=wider))
    other = make_loop(20)
    other = Loop(other.objective, other.optimiser, Settings(20, seed=4))
    refused(tmp_path, CheckpointForeign, "seed 3, not 4", other)
    facts = json.loads((tmp_path / FACTS).read_text())
    for change, kind, words in (
        ({"format": 2}, CheckpointForeign, "format 2"),
        ({"step": None}, CheckpointDamaged, "not whole"),
        ({"losses": 3}, CheckpointDamaged, "not whole"),
    ):
        (tmp_path / FACTS).write_text(json.dumps(facts | change))
        refused(tmp_path, kind, words)
    (tmp_path / FACTS).write_text(json.dumps(facts))
    content = (tmp_path / TENSORS).read_bytes()
    (tmp_path / TENSORS).write_bytes(content[:-3])
    refused(tmp_path, CheckpointDamaged, "incomplete")
    (tmp_path / TENSORS).write_bytes(content)
    loop = make_loop(20)
    read_state(loop, tmp_path)
    assert loop.step == 10


def test_what_cannot_be_optimised_is_refused() -> None:
    frozen = nn.Linear(2, 2)
    optimiser = torch.optim.SGD(frozen.parameters(), 0.1)
    with pytest.raises(ValueError, match="0 steps"):
        Loop(frozen, optimiser, Settings(0))
    with pytest.raises(ValueError, match="nothing to optimise"):
        Loop(frozen.requires_grad_(False), optimiser, Settings(1))
