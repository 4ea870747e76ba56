"""A small optimisation for tests: a network of a large reconstruction model learns the colours of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.lrm.decoders import MeshDecoder
from models.lrm.fields import MeshField
from models.optimisation.chance import Step
from models.optimisation.loop import Loop, Settings

SIZE = 16


def picture() -> Tensor:
    """[SIZE · SIZE, 3]: a red disc on a slope of blue."""
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, SIZE)] * 2, indexing="ij")
    disc = (rows.square() + columns.square() < 0.4).float()
    return torch.stack([disc, 0.2 * torch.ones_like(disc), (columns + 1) / 2], dim=-1).view(-1, 3)


class Fitting(nn.Module):
    """Planes and a colour decoder, asked at pixels of the plane z = 0; noise and dropout so that chance matters."""

    def __init__(self, batch: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.decoder = MeshDecoder(4)
            self.planes = nn.Parameter(0.1 * torch.randn(3, 4, 8, 8))
        self.decoder.requires_grad_(False)
        self.decoder.net_rgb.requires_grad_(True)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.batch = batch
        place = torch.linspace(-0.9, 0.9, SIZE)
        points = torch.cartesian_prod(place, place, torch.zeros(1))
        self.points, self.colours = points, picture()

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        pixels = step.batch(len(self.points), self.batch)
        points = self.points[pixels] + 0.01 * step.normal(self.batch, 3)
        seen = MeshField(self.decoder, self.dropout(self.planes)).radiance(points)
        if self.training:
            self.seen += len(pixels)
        return {"colour": (seen - self.colours[pixels]).square().mean(), "size": 1e-4 * self.planes.square().mean()}

    def error(self) -> float:
        """Over the whole picture."""
        with torch.no_grad():
            return float((MeshField(self.decoder, self.planes).radiance(self.points) - self.colours).square().mean())


def make_loop(steps: int = 60, rate: float = 0.02, objective: Fitting | None = None, **settings: Any) -> Loop:
    objective = objective or Fitting(dropout=0.1)
    others = {name: settings.pop(name) for name in ("judge", "processes") if name in settings}
    trained = [each for each in objective.parameters() if each.requires_grad]
    return Loop(objective, torch.optim.AdamW(trained, rate), Settings(steps=steps, seed=3, **settings), **others)


def values(loop: Loop) -> dict[str, Tensor]:
    """All that a loop has come to."""
    found = {name: each.clone() for name, each in loop.objective.state_dict().items()}
    return found | {f"average.{name}": each.clone() for name, each in loop.averages.items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
