"""What MIDI's published code does between a field and a mesh, kept for comparison: dense, smoothed, shrunk.

The lattice is evaluated completely, twice: over the given box, then over the box of all points that were inside,
0.05 larger on each side. A 3³ box mean with zeros beyond the border smooths the values; marching cubes follows; and
vertices are scaled by the number of points instead of the number of cells, which shrinks every mesh by
(resolution - 1) / resolution towards the lower corner of its box.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import avg_pool3d

from models.isosurface.marching import Triangles, march
from models.isosurface.sampling import Bounds, EmptySurface, Field, Progress, Report, Sampler, part, planes

PAD = 0.05


def decode_dense(sampler: Sampler, meter: Progress) -> npt.NDArray[np.float32]:
    """The value of every lattice point, `[resolution, resolution, resolution]`, axis order x, y, z."""
    count = sampler.resolution
    volume = np.empty((count, count, count), dtype=np.float32)
    step = max(sampler.chunk // count**2, 1)
    for start in range(0, count, step):
        stop = min(start + step, count)
        meter.stage(stop / count)
        values = sampler(planes(range(start, stop), count, sampler.device), meter)
        volume[start:stop] = values.reshape(-1, count, count).cpu().numpy()
    meter.finish()
    return volume


def inside_box(volume: npt.NDArray[np.float32], bounds: Bounds, pad: float = PAD) -> Bounds:
    """The box of all points with a value of at most zero, `pad` larger on each side.

    Raises:
        EmptySurface: there is no such point. (The published code goes on with the box of the instance before.)
    """
    found = np.argwhere(volume <= 0)
    if not len(found):
        raise EmptySurface(inside=False)
    axes = bounds.axes(len(volume))
    low, high = (axes[np.arange(3), index] for index in (found.min(0), found.max(0)))
    margin = np.float32(pad)  # the published code stays in float32 here, which decides the last bit of every point
    return Bounds.of((low - margin).tolist(), (high + margin).tolist())


def box_mean(volume: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean over 3³ neighbours, zeros beyond the border."""
    smoothed: npt.NDArray[np.float32] = avg_pool3d(torch.from_numpy(volume)[None], 3, stride=1, padding=1)[0].numpy()
    return smoothed


def reference_surface(
    field: Field,
    bounds: Bounds,
    resolution: int,
    *,
    passes: int,
    chunk: int,
    device: torch.device | None,
    progress: Report | None,
) -> Triangles:
    """The mesh as the published code makes it, from `passes` (1 or 2) dense evaluations.

    Raises:
        EmptySurface: no point is inside, or smoothing left no zero crossing.
    """
    queries = 0
    for number in range(passes):
        sampler = Sampler(field, bounds, resolution, chunk, device)
        volume = decode_dense(sampler, Progress(part(progress, number / passes, (number + 1) / passes)))
        queries += sampler.queries
        if number + 1 < passes:
            bounds = inside_box(volume, bounds)
    vertices, faces = march(box_mean(volume))
    if not len(faces):
        raise EmptySurface(inside=bool(volume[0, 0, 0] <= 0))
    world = vertices / resolution * bounds.size + np.asarray(bounds.minimum)
    return Triangles(world.astype(np.float32), faces, bounds, resolution, queries)
