"""The loop: losses, gradients, a step of the optimiser, and again.

    class Fitting(nn.Module):
        def forward(self, step: Step) -> Mapping[str, Tensor]: ...  # losses by name, weighted; their sum is minimised

    loop = Loop(objective, torch.optim.Adam(objective.parameters()), Settings(steps=1000, seed=7))
    outcome = loop.run(hooks)
    loop.take_best()

The same objective, settings and seed give the same parameters on the same device, bit for bit, whether the loop was
interrupted and went on from a checkpoint or not: provided the objective takes its chance from the step that it is
given, or from torch's global generators, which each step seeds anew and leaves as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from models.optimisation.chance import Step, seed_of
from models.optimisation.hooks import Hooks, Losses, Report
from models.optimisation.processes import ALONE, Processes
from models.optimisation.state import write_state

Precision = Literal["float32", "bfloat16", "float16"]
Rate = Callable[[int], float]
"""Step → what the optimiser's learning rates are multiplied by. A plain function, so a schedule has no state."""


class NotFinite(ArithmeticError):
    """A loss or a gradient is no number: the optimisation has run off."""


@dataclass(frozen=True)
class Settings:
    """How to go.

    steps, seed: of the whole run.
    accumulation: parts that each step's batch is worked off in, one after the other.
    clip: longest gradient, over all parameters together; None: any.
    precision: of the forward pass where torch's autocast allows; float16 is scaled so that small gradients survive.
    averaging: how much of the moving average of the parameters stays in each step; None: there is no average.
    window: steps over which losses are averaged for reports.
    judged_every: steps after which it is looked whether this is the best so far; 0: the last is taken for the best.
    left_out: steps in a row that may be left out because something was not finite; one more ends the run.
    """

    steps: int
    seed: int = 0
    accumulation: int = 1
    clip: float | None = None
    precision: Precision = "float32"
    averaging: float | None = None
    window: int = 100
    judged_every: int = 50
    left_out: int = 0


@dataclass(frozen=True)
class Outcome:
    """steps: how many were done. early: it was ended before the last. losses: means over the last steps."""

    steps: int
    early: bool
    losses: Mapping[str, float]


@dataclass
class Best:
    """score: the lower, the better. step: after how many steps. parameters: copies, by name."""

    score: float
    step: int
    parameters: dict[str, Tensor]


class Loop:
    """An optimisation and its state.

    Args:
        objective: its forward takes a `Step` and gives losses by name, scalars: means over the items of the step's
            part. Its parameters are on one device. Those that need no gradients are neither changed nor kept.
        optimiser: of its parameters.
        rate: see `Rate`.
        judge: how good the parameters are now, the lower the better; None: by the sum of the averaged losses. It must
            not depend on chance of its own.
        processes: with whom the work is shared.

    Attributes:
        step: how many steps are done. losses: of the last steps. best: the best so far, if it was looked for.
        averages: moving averages of the parameters by name, if there are any.
        scaler: torch's loss scaling, which does something in float16 only.
        written: after how many steps the state was last kept; None if it was not.
    """

    def __init__(
        self,
        objective: nn.Module,
        optimiser: torch.optim.Optimizer,
        settings: Settings,
        rate: Rate = lambda step: 1.0,
        judge: Callable[[], float] | None = None,
        processes: Processes = ALONE,
    ) -> None:
        self.objective, self.optimiser, self.settings, self.processes = objective, optimiser, settings, processes
        self.parameters = {name: each for name, each in objective.named_parameters() if each.requires_grad}
        if settings.steps < 1 or settings.accumulation < 1:
            raise ValueError(f"{settings.steps} steps in {settings.accumulation} parts each cannot be done.")
        if not self.parameters:
            raise ValueError("Nothing of the objective has gradients, so there is nothing to optimise.")
        self.device = next(iter(self.parameters.values())).device
        self.step, self.losses = 0, Losses(settings.window)
        self.best: Best | None = None
        self.averages = {name: each.detach().clone() for name, each in self.parameters.items()}
        if settings.averaging is None:
            self.averages.clear()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")
        self.left_out = 0
        self._rate, self._judge = rate, judge
        self._rates = [group["lr"] for group in optimiser.param_groups]
        self._module = processes.wrapped(objective, self.device)
        self.written: int | None = None

    def run(self, hooks: Hooks | None = None) -> Outcome:
        """Go on from where it is to the last step, or until it is to finish.

        Raises:
            NotFinite: more steps in a row than `Settings.left_out` had losses or gradients that are no numbers.
        """
        hooks, settings = hooks or Hooks(), self.settings
        first = self.processes.rank == 0
        early = False
        while self.step < settings.steps:
            self._progress(hooks)
            if self.processes.any(hooks.finish is not None and hooks.finish(), self.device):
                early = True
                break
            self._advance(hooks)
            self.step += 1
            last = self.step == settings.steps
            if settings.judged_every and (last or self.step % settings.judged_every == 0):
                self._look_for_best()
            if first and hooks.preview is not None and hooks.shows_after(self.step):
                with self.averaged():
                    hooks.preview(self.step)
            if not last and first and hooks.keeps_after(self.step):
                self._checkpoint(hooks)
        self._checkpoint(hooks)
        if early and settings.judged_every and self.step:
            # After the checkpoint: whoever goes on from there must not know that it was looked at here.
            self._look_for_best()
        self._progress(hooks)
        return Outcome(self.step, early, self.losses.means)

    def take_best(self) -> int:
        """Puts the best parameters so far into the objective, and ends the loop; how many steps they had taken."""
        found = self.best.parameters if self.best is not None else self.averages
        for name, value in found.items():
            self.parameters[name].detach().copy_(value)
        return self.best.step if self.best is not None else self.step

    def write(self, folder: Path) -> None:
        """The state, into an empty folder; `state.read_state` brings it back."""
        write_state(self, folder)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While it lasts, the parameters are the averaged ones, where there are averages."""
        own = {name: self.parameters[name].detach().clone() for name in self.averages}
        for name, value in self.averages.items():
            self.parameters[name].detach().copy_(value)
        try:
            yield
        finally:
            for name, value in own.items():
                self.parameters[name].detach().copy_(value)

    def _advance(self, hooks: Hooks) -> None:
        settings, parts = self.settings, self.settings.accumulation
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        found: dict[str, list[Tensor]] = {}
        for part in range(parts):
            step = Step(self.step, settings.seed, self.processes.rank * parts + part, self.processes.size * parts)
            for name, loss in self._backward(step, last=part == parts - 1).items():
                found.setdefault(name, []).append(loss.detach().float())
        self.scaler.unscale_(self.optimiser)
        longest = math.inf if settings.clip is None else settings.clip
        length = nn.utils.clip_grad_norm_(self.parameters.values(), longest)
        means = self.processes.mean(torch.stack([torch.stack(values).mean() for values in found.values()]))
        *values, gradient = torch.cat([means, length[None].to(means)]).tolist()  # the one time the device is waited for
        losses = dict(zip(found, values, strict=True))
        if self._sound(losses, gradient, hooks):
            self.scaler.step(self.optimiser)
            self._average()
            self.losses.add(losses)
        self.scaler.update()

    def _backward(self, step: Step, last: bool) -> Mapping[str, Tensor]:
        """Adds the gradients of one part of the step."""
        precision = getattr(torch, self.settings.precision)
        mixed = torch.autocast(self.device.type, precision, enabled=precision != torch.float32)
        cards = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cards), nullcontext() if last else self.processes.apart(self._module):
            torch.manual_seed(seed_of(step.seed, "global", step.number, step.part))
            with mixed:
                losses: Mapping[str, Tensor] = self._module(step)
            total = torch.stack([loss.float() for loss in losses.values()]).sum() / self.settings.accumulation
            self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        return losses

    def _sound(self, losses: Mapping[str, float], gradient: float, hooks: Hooks) -> bool:
        """Whether the step may be taken. In float16 gradients overflow now and then, which the scaling deals with."""
        wrong = next((f"the loss '{name}'" for name, value in losses.items() if not math.isfinite(value)), "")
        if not wrong and not math.isfinite(gradient) and not self.scaler.is_enabled():
            wrong = "a gradient"
        if not wrong:
            self.left_out = 0
            return True
        self.left_out += 1
        latest = ", ".join(f"{name} {value:.4g}" for name, value in self.losses.latest.items())
        sentence = f"In step {self.step + 1} {wrong} is not a finite number (before: {latest or 'nothing'})."
        if self.left_out > self.settings.left_out:
            raise NotFinite(f"{sentence} A lower learning rate, clipped gradients or a wider precision may help.")
        if hooks.tell is not None and self.processes.rank == 0:
            hooks.tell(f"{sentence} The step was left out.")
        return False

    def _average(self) -> None:
        if self.settings.averaging is None:
            return
        # At the beginning the average follows faster, or it would hold on to where the parameters began.
        stays = min(self.settings.averaging, (1 + self.step) / (10 + self.step))
        now = [self.parameters[name].detach() for name in self.averages]
        torch._foreach_lerp_(list(self.averages.values()), now, 1 - stays)

    def _look_for_best(self) -> None:
        if self._judge is None:
            score = sum(self.losses.means.values()) if self.losses.values else math.inf
        else:
            with self.averaged():
                score = self._judge()
        if math.isfinite(score) and (self.best is None or score < self.best.score):
            now = self.averages or self.parameters
            self.best = Best(score, self.step, {name: each.detach().clone() for name, each in now.items()})

    def _progress(self, hooks: Hooks) -> None:
        if hooks.progress is not None and self.processes.rank == 0:
            hooks.progress(Report(self.step, self.settings.steps, self.losses.means))

    def _checkpoint(self, hooks: Hooks) -> None:
        if hooks.checkpoint is not None and self.processes.rank == 0 and self.written != self.step:
            hooks.checkpoint(self.step, self.write)
            self.written = self.step


def warm_up_then_cosine(warm_up: int, steps: int, least: float = 0.0) -> Rate:
    """From near 0 up to 1 in `warm_up` steps, then down to `least` along half a cosine until the last of `steps`."""

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
        return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * done))

    return rate
