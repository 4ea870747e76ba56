"""From pictures to planes: objects and distances of the source camera side by side, as many as the plan allows.

Where the distance is searched, every object is looked at from each of `DISTANCES`, and what comes of each is drawn from
the very camera that the network was told of. The one whose outline is nearest to the picture's is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from backend import weights
from backend.pipelines.mira.sources import Source
from backend.pipelines.running import Tell
from models.isosurface import FieldError
from models.lrm.cameras import SOURCE_DISTANCE, canonical_pose, source_vectors
from models.lrm.fields import DensityField
from models.lrm.pictures import view
from models.lrm.single_view import SingleViewModel
from models.lrm.single_view_files import SingleViewClaims, claims, open_single_view

DISTANCES = (1.5, 1.75, 2.0, 2.3, 2.65)
"""Those that are tried. OpenLRM was trained with 1.9 to 2.6, MIRA with 1.5 to 3."""

SKETCH, SAMPLES = 48, 32
"""Pixels along a side of the outlines that are compared, and samples along their rays."""

AS_GOOD = 0.005
"""Overlaps that differ by less count as equal; then the distance nearest to the published one is taken."""


@dataclass(frozen=True, eq=False)
class Planes:
    """What the network made of one object.

    planes: [3, C, R, R] float32.
    distance: of the source camera.
    fit: overlap of outlines at this distance, 0 to 1; None where it was not searched.
    tried: the same at every distance that was tried.
    """

    planes: Tensor
    distance: float
    fit: float | None = None
    tried: Mapping[float, float] = field(default_factory=dict)


def open_model(identifier: str, device: str, dtype: torch.dtype) -> SingleViewModel:
    """The networks of a model of `backend/weights`.

    Raises:
        Problem: weights-missing, weights-damaged.
        CheckpointError: see `models.lrm.single_view_files.open_single_view`.
    """
    return open_single_view(_file(identifier), device, dtype)


def claims_of(identifier: str) -> SingleViewClaims:
    """What a model is by its headers; nothing is allocated. Raises as `open_model`."""
    return claims(_file(identifier))


def make_planes(
    model: SingleViewModel, sources: Sequence[Source], distances: Sequence[float], batch: int, tell: Tell
) -> dict[int, Planes]:
    """The planes of each object, by its id. An object of which no numbers came is left out: see `found`.

    Args:
        distances: of the source camera; of several the one that fits best.
        batch: rows at once: objects times distances.
    """
    config, device = model.config, model.pos_embed.device
    rows = [(source, distance) for source in sources for distance in distances]
    layers = config.encoder.layers + config.layers
    done, whole = 0, layers * -(-len(rows) // batch)

    def after_layer() -> None:
        nonlocal done
        done += 1
        tell(done / whole)

    fits: dict[int, dict[float, float]] = {source.instance: {} for source in sources}
    best: dict[int, Planes] = {}
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        pictures = torch.from_numpy(np.stack([source.picture for source, _ in part])).movedim(3, 1).float() / 255
        cameras = source_vectors(config, [distance for _, distance in part])
        for (source, distance), planes in zip(
            part, model.planes(pictures.to(device), cameras.to(device), after_layer).float(), strict=True
        ):
            if not bool(planes.isfinite().all()):
                continue
            if len(distances) == 1:
                best[source.instance] = Planes(planes.clone(), distance)
                continue
            fit = overlap(model, planes, distance, source)
            fits[source.instance][distance] = fit
            former = best.get(source.instance)
            if former is None or _better(fit, distance, former):
                best[source.instance] = Planes(planes.clone(), distance, fit)
    return {
        number: Planes(found.planes, found.distance, found.fit, fits[number]) for number, found in sorted(best.items())
    }


def found(planes: Mapping[int, Planes], number: int) -> Planes:
    """The planes of an object. Raises FieldError: no numbers came of it."""
    if number not in planes:
        raise FieldError("The network gave planes that are not finite numbers.")
    return planes[number]


def overlap(model: SingleViewModel, planes: Tensor, distance: float, source: Source) -> float:
    """How far the outline of a field agrees with the picture's, both seen from the source camera, 0 to 1."""
    field = DensityField(model.synthesizer.decoder, planes)
    drawn = view(field, canonical_pose(distance), SKETCH, SAMPLES).weight
    cover = torch.from_numpy(source.cover).to(planes)[None, None]
    wanted = interpolate(cover, size=(SKETCH, SKETCH), mode="area")[0, 0]
    union = float(torch.maximum(drawn, wanted).sum())
    return float(torch.minimum(drawn, wanted).sum()) / union if union > 0 else 0.0


def _better(fit: float, distance: float, former: Planes) -> bool:
    gain = fit - (former.fit or 0.0)
    if abs(gain) < AS_GOOD:
        return abs(distance - SOURCE_DISTANCE) < abs(former.distance - SOURCE_DISTANCE)
    return gain > 0


def _file(identifier: str) -> Path:
    return weights.locate(identifier) / weights.row_of(identifier).required[-1]
