"""What is near in the picture of an object whose depth nobody has measured: a network tells, which may be absent.

Nothing depends on it: where the network is not there, or its files are no good, that is told once and the method goes
on without.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend import devices, weights
from backend.errors import Problem
from backend.memory import ITEM_BYTES, Plan, choose_dtype
from backend.pipelines.running import Running, seen
from backend.residency import Loaded
from models.depth.loading import load_depth
from models.depth.midas import SIDE, inverse_depth, within
from models.loading import read_headers

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

IDENTIFIER = "dpt-beit-large-512"
NAME = "depth of pictures"
WORK_BYTES = 700_000_000
"""Of the activations for a picture of 512 × 512 in 32 bit: what 16 heads make of 1025 places in one layer, and the
fused maps. Predicted from their sizes, and not measured on a card."""

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
WITHOUT = "It goes on without the depth of the picture, so that hollow and round are guessed from the views alone."


class Nearness:
    """Tells what is near, object by object, in one job.

    side: pixels along a side of what the network sees.
    """

    def __init__(self, running: Running, side: int = SIDE) -> None:
        self._running, self._side, self._absent = running, side, False

    @torch.no_grad()
    def __call__(self, picture: Pixels, cover: Floats) -> Floats | None:
        """What is near of an object.

        Args:
            picture: HxWx3, sRGB, best with its own background.
            cover: HxW, how much of each pixel the object covers, 0 to 1.

        Returns:
            HxW, 1 where the object is nearest and 0 where it is farthest or is not; None without a network.

        Raises:
            Problem: "out-of-memory", "device-missing".
        """
        if self._absent:
            return None
        try:
            weights.locate(IDENTIFIER)
            found: Floats | None = self._running.by_plans(self._ladder, lambda plan: self._told(plan, picture, cover))
        except Problem as problem:
            if not problem.code.startswith("weights-"):
                raise
            self._absent = True
            self._running.context.warn("depth-missing", f"{problem.detail} {WITHOUT}", problem.hint)
            return None
        return found

    def _ladder(self, device: devices.Device) -> list[Plan]:
        dtype = choose_dtype(device)
        size = ITEM_BYTES[dtype]
        numbers = seen(NAME, [IDENTIFIER], _numbers)
        needs = numbers * size + WORK_BYTES * size // ITEM_BYTES["float32"]
        return [Plan("whole", f"{8 * size}-bit, one object at a time", needs, dtype)]

    def _told(self, plan: Plan, picture: Pixels, cover: Floats) -> Floats:
        device = self._running.device.name

        def make() -> Loaded[torch.nn.Module]:
            network = load_depth(weights.locate(IDENTIFIER), device, DTYPES[plan.dtype])
            return Loaded(network, [network])

        with self._running.networks(NAME, [IDENTIFIER], plan, make) as loaded:
            pictures = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
            inverse = inverse_depth(pictures, loaded.value, self._side)[0].cpu()
        near: Floats = within(inverse, torch.from_numpy(cover)).numpy()
        return near


def _numbers() -> int:
    """Parameters of the network, from its header. Its other tensors are numbers of places."""
    headers = read_headers(weights.locate(IDENTIFIER), "model")
    return sum(int(np.prod(header.shape)) for name, header in headers.items() if not name.endswith("position_index"))
