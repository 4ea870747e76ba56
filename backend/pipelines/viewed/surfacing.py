"""The surface that views show, and its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backend.geometry.cleanup import Cleaned
from backend.geometry.vertex_colours import Carrier
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.running import Tell
from backend.scene import Mesh
from backend.weights import locate
from models.multiview import Settings, read_prior, reconstruct
from models.multiview.texture import Blend, texture, vertex_colours
from models.multiview.views import Views
from models.optimisation.hooks import Hooks


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


@torch.no_grad()
def surfaced(views: Views, resolution: int, learned: bool, number: int, context: Context, hint: str) -> Solid:
    """The surface of one object.

    Args:
        resolution: cells along the longest side. learned: take away what a network holds for unlikely.
        number: of the instance. hint: what to do about views that show something else.

    Raises:
        ValueError: the views agree on nothing.
        Problem: "weights-missing", "weights-damaged".
    """
    prior = read_prior(locate("hull-prior"), views.device) if learned else None
    hooks = Hooks(tell=lambda sentence: context.warn("views-disagree", sentence, hint, number))
    found = reconstruct(views, Settings(resolution), prior, hooks)
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
