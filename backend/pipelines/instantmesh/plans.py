"""InstantMesh's ladder of memory plans: what each way of making views needs on the device.

The activations were counted on the meta device at the published sizes; tests/backend/test_instantmesh_plans.py repeats
the count. All figures are predicted: none was measured on a card. The reconstruction comes after the views and needs
less than the most frugal of their plans: of the large model 1.51 GB for its weights in 32 bit and 0.37 GB to encode six
views; the surface at 128 takes 0.11 GB. The diffusion networks stay beside it where there is room.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.devices import Device
from backend.memory import ITEM_BYTES, Plan, Precision, choose_dtype

# Numbers alive at the worst moment: per row of the UNet with its stored states, to encode a photo, to decode a sheet.
ROW_NUMBERS = 94_000_000
ENCODING_NUMBERS = 171_000_000
DECODING_NUMBERS = 478_000_000

RECONSTRUCTION_NUMBERS = 93_000_000
"""Of the large model, to encode six views; the surface and the smaller model need less."""

ROW_NUMBERS_WITH_SCORES = 1_390_000_000
"""Of a row where attention has a matrix of scores, as PyTorch's for MPS: 5 heads, 9600 places of the sheet, 13,696 of
sheet and photo, before and after the softmax."""


def view_plans(sizes: Mapping[str, int], device: Device, precision: Precision = "auto") -> list[Plan]:
    """The ladder for making views, the most generous plan first.

    The settings of a plan:
        keep_parts: networks stay on the device until all views are made; if not, each leaves it after its use, for
            main memory where there is room.
        rows: rows of the UNet at once, None for both halves of the guidance.

    Args:
        sizes: parameters of "unet", "vae" and "vision_encoder".
        device, precision: decide the dtype.
    """
    dtype = choose_dtype(device, precision)
    item = ITEM_BYTES[dtype]
    weights = {part: count * item for part, count in sizes.items()}
    row = ROW_NUMBERS_WITH_SCORES if device.kind == "mps" else ROW_NUMBERS

    def plan(name: str, manner: str, keep_parts: bool, rows: int | None) -> Plan:
        stages = (
            (("vision_encoder", "vae"), ENCODING_NUMBERS * item),
            (("unet",), row * (rows or 2) * item),
            (("vae",), DECODING_NUMBERS * item),
        )
        if keep_parts:
            needed = sum(weights.values()) + max(work for _, work in stages)
        else:
            needed = max(sum(weights[part] for part in parts) + work for parts, work in stages)
        return Plan(name, f"{item * 8}-bit, {manner}", needed, dtype, {"keep_parts": keep_parts, "rows": rows})

    return [
        plan("full", "everything stays loaded", True, None),
        plan("parts", "one part at a time", False, None),
        plan("halves", "one part at a time, guidance in two halves", False, 1),
    ]


def reconstruction_plans(numbers: int) -> list[Plan]:
    """The one way of reconstructing: in 32 bit, as the model was trained. numbers: its parameters."""
    needed = ITEM_BYTES["float32"] * (numbers + RECONSTRUCTION_NUMBERS)
    return [Plan("whole", "32-bit, everything stays loaded", needed, "float32")]
