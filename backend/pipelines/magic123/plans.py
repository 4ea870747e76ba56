"""Magic123's ladders of memory plans: the ways of asking the priors, and how many samples the first stage may have.

All ways give the same gradients of the priors up to rounding. Fewer samples widen the steps of a field that fogs up,
and of no other. The bytes of the renderers were counted on the CPU, of fields without a surface, where every sample
counts; tests/backend/test_magic123_plans.py repeats the count. All figures are predicted: none was measured on a card.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.devices import Device
from backend.memory import ITEM_BYTES, Plan, choose_dtype
from backend.pipelines.magic123 import SHRINKS, Magic123Parameters
from models.guidance.balance import Stage
from models.guidance.memory import Way, needed_bytes, ways
from models.isosurface.tetrahedra import TetrahedralGrid
from models.radiance.hash_grid import GridSettings

SAMPLES: Mapping[str, tuple[int, ...]] = {
    "full": (1 << 20, 1 << 19),
    "recomputed": (1 << 19, 1 << 18, 1 << 17),
    "alone": (1 << 17,),
}
"""Of a step at most, by way of the priors, the most generous first."""

SAMPLE_BYTES = 7_300
"""Of each, with its normal, until the way back is gone."""

RAY_BYTES = 130_000_000
"""Of the places along rays that are looked up at once."""

COPIES = 6
"""Of the field's parameters: themselves, their gradient, the optimiser's two, their average, and what a preview sets
aside."""

PIXEL_BYTES, VERTEX_BYTES = 1_050, 150
"""Of the second stage, for a pixel of what is drawn, and for a vertex of the lattice."""

TELLERS = ("text_encoder", "image_encoder")
"""Networks that nothing needs after the first step."""


def shaping_plans(
    stage: Stage, sizes: Mapping[str, Mapping[str, int]], parameters: Magic123Parameters, device: Device
) -> list[Plan]:
    """The ladder of one stage, the most generous plan first.

    The settings of a plan:
        way: see `models.guidance.memory.Way`.
        stay: whether the networks that find what the priors are told stay on the device.
        cap: samples of a step, at most; None in the second stage, which has none.

    Args:
        sizes: parameters of each network, by the name of its prior.
    """
    dtype = choose_dtype(device, parameters.precision)
    item, shrinks = ITEM_BYTES[dtype], SHRINKS[parameters.encoding]
    tellers = sum(networks.get(name, 0) for networks in sizes.values() for name in TELLERS) * item

    def plan(way: Way, cap: int | None, stay: bool) -> Plan:
        asked = needed_bytes(way, sizes, item, shrinks=shrinks) + tellers * stay
        name, manner = way.name, f"{item * 8}-bit, {way.manner}"
        if cap is not None:
            name, manner = f"{name}-{cap >> 10}k", f"{manner}, {cap:,} samples a step at most"
        needed = asked + field_bytes(parameters) + drawing_bytes(parameters, cap)
        return Plan(name, manner, needed, dtype, {"way": way, "cap": cap, "stay": stay})

    pixels = (3 * parameters.side // 2) ** 2  # of the known view, each of which must have a sample
    options: list[tuple[Way, int | None]] = []
    for way in ways(device.kind == "mps", len(sizes)):
        caps = dict.fromkeys(max(each, pixels) for each in SAMPLES[way.name])
        options += [(way, cap) for cap in (caps if stage == "coarse" else (None,))]
    return [plan(way, cap, stay=not place) for place, (way, cap) in enumerate(options)]


def field_bytes(parameters: Magic123Parameters) -> int:
    """Of the field with all that belongs to its optimisation."""
    entries = GridSettings(levels=parameters.levels, log2_entries=parameters.table).offsets[-1]
    return COPIES * 4 * (2 * entries + 10_000)


def drawing_bytes(parameters: Magic123Parameters, cap: int | None) -> int:
    """Of what a step draws. cap: samples, at most; None in the second stage, which has none."""
    if cap is not None:
        rays, steps = (2 * parameters.side) ** 2, 8 * parameters.side
        return RAY_BYTES + SAMPLE_BYTES * min(cap, rays * steps)
    lattice = TetrahedralGrid.of_resolution(parameters.chosen_resolution).vertices
    return PIXEL_BYTES * parameters.chosen_fine_side**2 + VERTEX_BYTES * lattice + 10_000_000
