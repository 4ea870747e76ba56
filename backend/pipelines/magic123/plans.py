"""Magic123's ladder of memory plans: how much of the priors stays on the device, and how many samples a step may have.

All ways give the same gradients of the priors up to rounding. Fewer samples widen the steps of a field that fogs up,
and of no other.
"""

from __future__ import annotations

from typing import Any

from backend.devices import Device
from backend.memory import Plan, choose_dtype
from backend.pipelines.magic123 import Magic123Parameters
from backend.pipelines.magic123.priors import Way
from models.guidance.distillation import Frugality


def shaping_plans(stage: str, sizes: Any, parameters: Magic123Parameters, device: Device) -> list[Plan]:
    dtype = choose_dtype(device, parameters.precision)
    return [Plan("full", "all", 10**9, dtype, {"way": Way(True, False, Frugality()), "cap": 1 << 18})]
