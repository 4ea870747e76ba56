"""What finding and outlining objects need on the device: one way each, in 32 bit, as neither network bears 16.

The activations were counted over all tensors of a run at the published sizes, Grounding DINO's for a picture of
800 x 1333 on the CPU, SAM's, whose square is always of 1024, on the meta device. None was measured on a card.
"""

from __future__ import annotations

from backend.memory import ITEM_BYTES, Plan

DETECTING_BYTES = 1_430_000_000
OUTLINING_BYTES = 1_690_000_000


def detector_plans(numbers: int) -> list[Plan]:
    """The ladder for finding objects. numbers: parameters of the detector."""
    return [_whole(numbers, DETECTING_BYTES)]


def segmenter_plans(numbers: int) -> list[Plan]:
    """The ladder for outlining them. numbers: parameters of the segmenter."""
    return [_whole(numbers, OUTLINING_BYTES)]


def _whole(numbers: int, work: int) -> Plan:
    return Plan("whole", "32-bit, everything stays loaded", numbers * ITEM_BYTES["float32"] + work, "float32")
