"""From chosen views to a surface with colours: the large reconstruction model and what is drawn from its field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backend import weights
from backend.errors import Problem
from backend.pipelines.instantmesh import InstantMeshParameters
from backend.pipelines.instantmesh.choosing import Picked
from backend.pipelines.running import Tell
from models.isosurface import EmptySurface, FieldError
from models.isosurface.flexicubes import extract_surface
from models.lrm.cameras import RADIUS, slot_cameras, view_cameras
from models.lrm.decoding import density_surface
from models.lrm.fields import DensityField, MeshField
from models.lrm.model import InstantMeshModel

ENCODED = 0.5
"""Share of the time of one object after which its planes are there."""

HINT = "Choose other views, generate them anew with another seed, or take a clearer photo."


@dataclass(frozen=True, eq=False)
class Solid:
    """One object as triangles in the frame of the reconstruction, z up, seen by the photo from +x; and its field."""

    picked: Picked
    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    field: MeshField | DensityField


def open_model(identifier: str, device: str) -> InstantMeshModel:
    """The reconstruction model with its weights, in 32 bit as it was trained; on "meta" it is only looked whether its
    file can be used.

    Args:
        identifier: of `backend/weights`.

    Raises:
        Problem: weights-missing, weights-damaged.
        CheckpointError: see `InstantMeshModel.from_checkpoint`.
    """
    file = weights.locate(identifier) / weights.WEIGHTS[identifier].required[0]
    return InstantMeshModel.from_checkpoint(file, device, torch.float32, converted=weights.converted_folder(identifier))


def size_of(identifier: str) -> int:
    """How many parameters the model has; nothing is allocated. Raises as `open_model`."""
    return sum(parameter.numel() for parameter in open_model(identifier, "meta").network.parameters())


def reconstruct(model: InstantMeshModel, picked: Picked, parameters: InstantMeshParameters, tell: Tell) -> Solid:
    """The surface that the model sees in the chosen views.

    Raises:
        EmptySurface: it sees none.
        Problem: "geometry-failed" if it gives numbers that are not finite.
    """
    planes = model.encode(_tensor(picked), cameras(picked, parameters), lambda share: tell(ENCODED * share))
    field = model.field(planes)

    def later(share: float) -> None:
        tell(ENCODED + (1 - ENCODED) * share)

    resolution = parameters.resolution
    try:
        if isinstance(field, MeshField):
            found = extract_surface(field, resolution, device=planes.device, progress=later)
            if found.empty:
                raise EmptySurface(inside=False)
            vertices, faces = found.vertices.cpu().numpy(), found.faces.cpu().numpy()
        else:
            # The published lattice of the NeRF variants is twice as fine as that of the others.
            drawn = density_surface(field, 2 * resolution + 1, progress=later)
            vertices, faces = drawn.vertices, drawn.faces
    except FieldError as error:
        detail = f"{picked.subject.title} could not be reconstructed: {error}"
        raise Problem("geometry-failed", detail, HINT) from error
    # A field afresh: the one that was asked for the surface holds tables that its colours do not need.
    return Solid(picked, vertices.astype(np.float32), faces.astype(np.int64), model.field(planes))


def cameras(picked: Picked, parameters: InstantMeshParameters) -> torch.Tensor:
    """What the model is told of each view's camera, [V, 16]."""
    radius = RADIUS * parameters.scale
    if not picked.true_cameras:
        return slot_cameras(radius, slots=picked.slots)
    azimuths, elevations = zip(*((view.azimuth, view.elevation) for view in picked.views), strict=True)
    return view_cameras(azimuths, elevations, radius)


def _tensor(picked: Picked) -> torch.Tensor:
    """[V, 3, H, W], 0 to 1."""
    return torch.from_numpy(np.stack(picked.pictures)).movedim(3, 1).float() / 255
