"""Pictures, one after the other → a video, kept with the job only if it is whole."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem

Pixels = NDArray[np.uint8]

PATIENCE = 60
"""Seconds that the encoder may take to finish the file after the last picture."""


def encoded(pictures: Iterator[Pixels], side: int, rate: int, what: str) -> bytes:
    """An MP4 (H.264).

    Args:
        pictures: each side x side x 3; an exception from them ends the work, and nothing is left of it.
        rate: how many a second shows.
        what: how to speak of it: "turntable".

    Raises:
        Problem: "video-failed" if it cannot be encoded.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, count = Path(folder) / "film.mp4", 0
        with _encoder(path, side, rate, what) as encoder:
            for picture in pictures:
                _send(encoder, np.ascontiguousarray(picture), what)
                count += 1
        return _complete(path, count, what)


@contextmanager
def _encoder(path: Path, side: int, rate: int, what: str) -> Iterator[Generator[None, Pixels | None, None]]:
    """What takes picture after picture; it has ended at the end of the block, however that ends."""
    import imageio_ffmpeg

    encoder = imageio_ffmpeg.write_frames(
        str(path),
        (side, side),
        fps=rate,
        codec="libx264",
        quality=8,
        ffmpeg_log_level="error",
        ffmpeg_timeout=PATIENCE,
    )
    _send(encoder, None, what)
    try:
        yield encoder
    finally:
        encoder.close()


def _send(encoder: Generator[None, Pixels | None, None], picture: Pixels | None, what: str) -> None:
    """Hand over a picture; None begins. Raises Problem("video-failed")."""
    try:
        encoder.send(picture)
    except (OSError, RuntimeError) as error:  # it cannot be found, cannot be started, or has ended
        raise _failed(error, what) from error


def _complete(path: Path, count: int, what: str) -> bytes:
    """The file, if all pictures are in it: an encoder that fails at the very end says nothing."""
    import imageio_ffmpeg

    try:
        frames, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
        if frames == count:
            return path.read_bytes()
    except (OSError, RuntimeError) as error:
        raise _failed(error, what) from error
    raise Problem("video-failed", f"The {what} could not be encoded: it has {frames} of {count} pictures.")


def _failed(error: Exception, what: str) -> Problem:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".:")
    return Problem("video-failed", f"The {what} could not be encoded: {reason}.")
