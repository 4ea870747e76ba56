"""Hi3D's ladders of memory plans: the ways of `models/hi3d/memory.py`, at the precision of a device."""

from __future__ import annotations

from collections.abc import Mapping

from backend.devices import Device
from backend.memory import ITEM_BYTES, Plan, Precision, choose_dtype
from models.hi3d.files import Stage
from models.hi3d.memory import needed_bytes, ways


def stage_plans(stage: Stage, sizes: Mapping[str, int], device: Device, precision: Precision = "auto") -> list[Plan]:
    """The ladder of one stage, the most generous plan first. All give the same views up to rounding.

    The setting of a plan: way, see `models.hi3d.memory.Way`.

    Args:
        sizes: parameters of each network, see `models.hi3d.loading.stage_sizes`.
        device, precision: decide the dtype.
    """
    dtype = choose_dtype(device, precision)
    item = ITEM_BYTES[dtype]
    scores = device.kind == "mps"
    return [
        Plan(
            way.name,
            f"{item * 8}-bit, {way.manner}",
            needed_bytes(stage, way, sizes, item, scores=scores),
            dtype,
            {"way": way},
        )
        for way in ways(stage, scores)
    ]
