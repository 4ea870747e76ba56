"""A short video all round a prop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import Problem
from backend.geometry.cleanup import Cleaned
from backend.pipelines.base import Context
from backend.pipelines.instantmesh.reconstruct import Solid
from models.lrm.cameras import circular_poses
from models.rendering import Camera, preview

FRAMES, RATE = 60, 20
"""Pictures all round, and how many of them a second shows."""

SIDE, SAMPLES = 512, 2
DISTANCE, ELEVATION, FIELD_OF_VIEW = 4.5, 20.0, 30.0
"""Of the camera from the middle of the reconstruction, as published: its units, and degrees."""

PATIENCE = 60
"""Seconds that the encoder may take to finish the file after the last picture."""


def keep_turntable(
    solid: Solid, shape: Cleaned, coloured: bool, context: Context, tell: Callable[[float], None]
) -> str:
    """Render the video and keep it with the job; returns its name. The camera goes once round the prop.

    Raises:
        Problem: "video-failed" if it cannot be encoded.
    """
    name = f"turntable-{solid.picked.subject.instance}.mp4"
    device = solid.field.planes.device
    vertices, faces = torch.from_numpy(shape.vertices).float().to(device), torch.from_numpy(shape.faces).to(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with _encoder(path) as encode:
            for index, pose in enumerate(circular_poses(FRAMES, DISTANCE, ELEVATION)):
                tell(index / FRAMES)
                camera = Camera.perspective(pose, FIELD_OF_VIEW)
                field = solid.field.colour if coloured else None
                seen = preview(vertices, faces, camera, field, width=SIDE, samples=SAMPLES)
                encode((seen.colour * 255).round().to(torch.uint8).cpu().numpy())
        context.keep(name, _complete(path))
    return name


@contextmanager
def _encoder(path: Path) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """A function that takes picture after picture; the encoder has ended at the end of the block, however it ends."""
    import imageio_ffmpeg

    writer = imageio_ffmpeg.write_frames(
        str(path),
        (SIDE, SIDE),
        fps=RATE,
        codec="libx264",
        quality=8,
        ffmpeg_log_level="error",
        ffmpeg_timeout=PATIENCE,
    )

    def send(picture: NDArray[np.uint8] | None) -> None:
        try:
            writer.send(picture)
        except (OSError, RuntimeError) as error:  # it cannot be found, cannot be started, or has ended
            raise _failed(error) from error

    send(None)
    try:
        yield lambda picture: send(np.ascontiguousarray(picture))
    finally:
        writer.close()


def _complete(path: Path) -> bytes:
    """The file, if all pictures are in it: an encoder that fails at the very end says nothing."""
    import imageio_ffmpeg

    try:
        frames, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
        if frames == FRAMES:
            return path.read_bytes()
    except (OSError, RuntimeError) as error:
        raise _failed(error) from error
    raise Problem("video-failed", f"The turntable could not be encoded: it has {frames} of {FRAMES} pictures.")


def _failed(error: Exception) -> Problem:
    what = (str(error) or type(error).__name__).splitlines()[0].rstrip(".:")
    return Problem("video-failed", f"The turntable could not be encoded: {what}.")
