"""The surface that views show, and its colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from backend.geometry.cleanup import Cleaned
from backend.geometry.vertex_colours import Carrier
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.running import Tell
from backend.scene import Mesh
from models.multiview.surface import LEVELS, Settings, reconstruct
from models.multiview.texture import Blend, texture, vertex_colours
from models.multiview.views import Views
from models.optimisation.hooks import Hooks

COARSEST = 12
"""Cells along the longest side that the fitting begins with at least."""


@dataclass(frozen=True, eq=False)
class Solid:
    """What was reconstructed, in the frame of the views.

    vertices: (V, 3). faces: (F, 3). left_out: indices of views that show something else than the others.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    left_out: NDArray[np.int64]

    def others(self, views: Views) -> Views:
        """The views that it is made of."""
        return views.chosen([index for index in range(len(views)) if index not in self.left_out])


def settings_of(steps: int, resolution: int, flexible: bool, seed: int) -> Settings:
    """How a surface is made: as it is by itself, at another resolution and with other numbers of steps.

    Args:
        steps: of the fitting, at all its sizes together; 0: the outlines alone.
        resolution: cells along the longest side.
        flexible: whether views may disagree by a few pixels and in exposure.
    """
    finest = LEVELS[-1]
    if not steps:
        return Settings(levels=(replace(finest, cells=resolution, steps=0),), flexible=False, seed=seed)
    share = steps / sum(level.steps for level in LEVELS)
    levels = [
        replace(
            level,
            cells=max(COARSEST, round(level.cells * resolution / finest.cells)),
            steps=max(1, round(level.steps * share)),
        )
        for level in LEVELS
    ]
    return Settings(levels=tuple(levels), flexible=flexible, seed=seed)


def surfaced(views: Views, settings: Settings, number: int, context: Context, tell: Tell, hint: str) -> Solid:
    """The surface of one object.

    Args:
        number: of the instance. hint: what to do about views that show something else.

    Raises:
        ValueError: the views agree on nothing.
        Cancelled: at the next step after the user has cancelled.
    """
    hooks = Hooks(
        progress=lambda report: tell(report.step / max(report.steps, 1)),
        finish=lambda: context.finish_wanted,
        tell=lambda sentence: context.warn("views-disagree", sentence, hint, number),
    )
    found = reconstruct(views, settings, hooks)
    return Solid(
        found.vertices.detach().float().cpu().numpy(),
        found.faces.cpu().numpy(),
        np.array(found.report["left_out"], np.int64),
    )


@torch.no_grad()
def coloured(
    title: str, shape: Cleaned, views: Views, tell: Tell, *, how: Carrier, texture_size: int, level: bool, hint: str
) -> Mesh:
    """A mesh with the colours of the views, in their frame.

    Args:
        title, how, texture_size, hint: see `ending.coloured`.
        level: make views agree that are lighter or darker than others.

    Raises:
        Problem: "geometry-failed" as `ending.coloured`.
    """
    return ending.carrying(
        title,
        shape,
        views.device,
        how=how,
        at_vertices=lambda vertices, faces: vertex_colours(
            Blend.of(views, vertices, faces, level=level), vertices, faces
        ),
        baked=lambda vertices, faces: texture(vertices, faces, views, size=texture_size, level=level, progress=tell),
        hint=hint,
    )
