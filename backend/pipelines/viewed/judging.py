"""How well a finished mesh shows what the views show: drawn again from each of their cameras."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backend.scene import Mesh
from models.multiview.views import Views
from models.rendering import Texture, preview

CLEAR = 0.95
"""Alpha from which on a pixel's colour counts."""


@torch.no_grad()
def judged(mesh: Mesh, views: Views) -> dict[str, Any]:
    """For result.json: "view_ious", the overlap of outlines from each camera, 0 to 1, and with a texture "view_psnr",
    decibels between the colours of both over all views.

    mesh: in the frame of the views.
    """
    vertices, faces = torch.from_numpy(mesh.vertices).float(), torch.from_numpy(mesh.faces)
    colour = None
    if mesh.texture is not None and mesh.corner_uv is not None:
        corners = torch.arange(len(faces) * 3).reshape(-1, 3)
        colour = Texture(torch.from_numpy(mesh.texture), torch.from_numpy(mesh.corner_uv).reshape(-1, 2), corners)
    ious, errors = [], []
    side = views.cameras.width
    for index in range(len(views)):
        seen = preview(vertices, faces, views.cameras.camera(index), colour, width=side)
        alpha = views.alpha[index].cpu()
        own, other = seen.mask > 0.5, alpha > 0.5
        ious.append(round(float((own & other).sum() / (own | other).sum()), 4))
        where = own & (alpha > CLEAR)
        errors.append((seen.colour - views.pictures[index].cpu())[where].square().flatten())
    record: dict[str, Any] = {"view_ious": ious}
    error = float(torch.cat(errors).mean())
    if colour is not None and np.isfinite(error):
        record["view_psnr"] = round(-10 * float(np.log10(max(error, 1e-10))), 2)
    return record
