"""An object cut out by a network: U²-Net and its successors, as ONNX files that ONNX Runtime runs on the CPU.

The small network that comes along sees 320 pixels of a side, so a thing that is small in the picture, or stands among
others, is better seen from near. Where the look at the whole picture leaves many pixels in doubt, its middle is looked
at, closer and closer, and then what was found: the answer with the fewest doubtful pixels counts. What it then has
filled in, though the ground is seen through it, is opened again (holes.py).

Nothing of the process is changed but for a few threads that end with the session; nothing is sent to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.errors import Problem
from backend.imaging.background.holes import open_holes
from backend.weights import WEIGHTS, State, locate, present

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

THREADS = 4
"""Always as many, whatever the machine has, so that sums are made in the same order."""

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

SURE = 0.2
"""Doubtful pixels for each pixel of the object; below this no closer look is taken."""

DOUBTFUL = 0.1, 0.9
CLOSER = 0.1, 0.18, 0.26
"""Margins that a closer look leaves out on each side, as a share of the picture's."""

AROUND = 0.15
"""Margin around what was found, as a share of its longer side."""

CUT = 0.05
"""Share of a closer look's border that the object may touch; more, and it is cut off by it."""


@dataclass(frozen=True)
class Network:
    """What a network wants to see.

    size: side of its square input in pixels.
    mean, deviation: what its colours, 0 to 1, are normalised by.
    logits: whether its answer still has to go through a sigmoid.
    small: whether it is quick, and profits from closer looks.
    """

    size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    logits: bool = False
    small: bool = False


NETWORKS = {
    "birefnet-general": Network(1024, *IMAGENET, logits=True),
    "birefnet-general-lite": Network(1024, *IMAGENET, logits=True),
    "isnet-general-use": Network(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    "u2net": Network(320, *IMAGENET, small=True),
    "u2netp": Network(320, *IMAGENET, small=True),
}
"""By their ids in the catalogue, the best first."""


def best_network() -> str:
    """The best network that is on this machine; the last one comes with this program."""
    return next((each for each in NETWORKS if present(each) is State.ready), list(NETWORKS)[-1])


class Cutter:
    """A network that is open, to be run as often as wanted."""

    def __init__(self, identifier: str) -> None:
        """Raises Problem: engine-missing without ONNX Runtime; weights-missing, weights-damaged."""
        self.identifier = identifier
        self._network = NETWORKS[identifier]
        self._session = _open(locate(identifier) / WEIGHTS[identifier].required[0], identifier)

    def cover(self, colours: Pixels) -> Floats:
        """How much of each pixel of a picture HxWx3 uint8 sRGB the object covers, HxW from 0 to 1."""
        height, width = colours.shape[:2]
        if not self._network.small:
            return self._look(colours, (0, 0, width, height))[0]
        found = self._near_enough(colours)
        return open_holes(colours, found, _box_of(found > 0.5), lambda picture, box: self._look(picture, box)[0])

    def _near_enough(self, colours: Pixels) -> Floats:
        """The cover, as it is seen from as near as leaves the fewest pixels in doubt."""
        height, width = colours.shape[:2]
        best, doubt = self._look(colours, (0, 0, width, height))
        if doubt < SURE:
            return best
        for margin in CLOSER:
            across, down = int(margin * width), int(margin * height)
            best, doubt = self._surer(colours, (across, down, width - across, height - down), best, doubt)
        return self._surer(colours, _box_of(best > 0.5), best, doubt)[0]

    def _surer(
        self, colours: Pixels, box: tuple[int, int, int, int], best: Floats, doubt: float
    ) -> tuple[Floats, float]:
        """What a look at a part shows, and how doubtful it is, or what was known before if that is surer."""
        cover, now = self._look(colours, box)
        left, top, right, bottom = box
        part = cover[top:bottom, left:right] > 0.5
        border = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
        return (cover, now) if now < doubt and border.mean() <= CUT else (best, doubt)

    def _look(self, colours: Pixels, box: tuple[int, int, int, int]) -> tuple[Floats, float]:
        """The cover of the whole picture by what is seen in a part of it (left, top, right, bottom), and the doubt."""
        height, width = colours.shape[:2]
        left, top, right, bottom = box
        part = Image.fromarray(np.ascontiguousarray(colours[top:bottom, left:right]))
        seen = Image.fromarray(self._run(part)).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
        cover = np.zeros((height, width), np.float32)
        cover[top:bottom, left:right] = np.asarray(seen)
        inside = int((cover > 0.5).sum())
        doubtful = int(((cover > DOUBTFUL[0]) & (cover < DOUBTFUL[1])).sum())
        return cover, doubtful / inside if inside else np.inf

    def _run(self, picture: Image.Image) -> NDArray[np.float32]:
        """The network's answer to a picture: size x size, 0 to 1."""
        network = self._network
        small = picture.resize((network.size, network.size), Image.Resampling.LANCZOS)
        colours = np.asarray(small, np.float32)
        mean, deviation = (np.array(each, np.float32) for each in (network.mean, network.deviation))
        normal = (colours / max(float(colours.max()), 1.0) - mean) / deviation
        planes = np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)
        try:
            given, wanted = self._session.get_inputs()[0].name, self._session.get_outputs()[0].name
            answer = self._session.run([wanted], {given: planes})
        except Exception as error:  # ONNX Runtime has exceptions of its own
            raise _damaged(self.identifier, error) from error
        values = np.asarray(answer[0], np.float32)[0, 0]
        return _sigmoid(values) if network.logits else np.clip(values, 0, 1)


def _sigmoid(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without overflow, at whatever value: 1 / (1 + exp(-x)) is (1 + tanh(x / 2)) / 2."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values), np.float32)


def _box_of(mask: Mask) -> tuple[int, int, int, int]:
    """The bounds of a mask with some room around, as left, top, right, bottom; of an empty one all there is."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, width, height
    room = round(AROUND * max(np.ptp(rows), np.ptp(columns)) + 1)
    return (
        max(int(columns[0]) - room, 0),
        max(int(rows[0]) - room, 0),
        min(int(columns[-1]) + 1 + room, width),
        min(int(rows[-1]) + 1 + room, height),
    )


def _open(file: Path, identifier: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        detail = "The network that removes backgrounds needs onnxruntime, which this Python does not have."
        raise Problem("engine-missing", detail, "Install what requirements/server.txt names.") from error
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has exceptions of its own
        raise _damaged(identifier, error) from error


def _damaged(identifier: str, error: Exception) -> Problem:
    detail = f"The network {identifier} cannot be run: {str(error)[:200]}"
    return Problem("weights-damaged", detail, weights=identifier)
