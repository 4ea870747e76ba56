"""MIRA's ladder of memory plans: what each way of working needs on the device, derived from the sizes of a checkpoint.

A unit is one activation of one network at its width. How many are alive at the worst moment was counted on the meta
device at the published sizes; tests/backend/test_mira_plans.py repeats the count. All figures are predicted: none was
measured on a graphics card.

The networks compute in 32 bit, as the published programs do, and in 16 only where there is no room for that, or where
the user wants it: one pass is quick enough, and there is nothing that would average errors out.
"""

from __future__ import annotations

from itertools import pairwise

from backend.devices import Device
from backend.memory import ITEM_BYTES, Dtype, Plan, Precision
from models.lrm.dinov2 import DinoV2Config
from models.lrm.single_view import SingleViewConfig

LARGEST_BATCH = 16
"""Rows at once; more of them make nothing faster."""

# Per plane token, at the feed-forward of a block: hidden state, norm, the four-fold widening before and after GELU.
BLOCK_UNITS = 10.7
# Per image token of the encoder, in the same place.
ENCODER_UNITS = 11.0
# Queries, keys and their scores where attention has a matrix of them, as PyTorch's for MPS: before and after softmax.
SCORES = 2
# The lattice, per square of its points along an edge, as surfaces grow with the square. A ball of six tenths of the box
# was counted with 800 to 1,000; chairs and plants have more surface.
LATTICE_BYTES = 5_000
# Points that the field is asked for at once, with all that lies between them and their numbers.
FIELD_BYTES = 150_000_000
# Per texel of a texture while it is baked.
TEXEL_BYTES = 100


def mira_plans(
    config: SingleViewConfig,
    parameters: int,
    rows: int,
    device: Device,
    precision: Precision = "auto",
    *,
    source_size: int,
    points: int,
    texels: int = 0,
) -> list[Plan]:
    """The ladder for one run, the most generous plan first.

    The setting of a plan: batch, how many rows go through the networks at once. Every plan of one dtype gives the same
    planes up to rounding.

    Args:
        config: of the checkpoint. parameters: how many it has.
        rows: objects, times distances of the source camera that are tried.
        device, precision: decide the dtype.
        source_size: pixels of a side of the pictures.
        points: of the lattice, along an edge.
        texels: of one object's texture.
    """
    kept = rows * plane_numbers(config) * 4
    after = FIELD_BYTES + max(LATTICE_BYTES * points**2, TEXEL_BYTES * texels)

    def plan(batch: int, dtype: Dtype) -> Plan:
        item = ITEM_BYTES[dtype]
        work = batch * row_numbers(config, source_size, fused=device.kind != "mps") * item
        needed = parameters * item + kept + max(work, after)
        together = "one object at a time" if batch == 1 else f"{batch} at a time"
        together = "all at once" if batch == rows > 1 else together
        return Plan(f"{batch}-{item * 8}", f"{item * 8}-bit, {together}", needed, dtype, {"batch": batch})

    first: Dtype = "float32" if precision == "auto" else precision
    batches = [min(rows, LARGEST_BATCH)]
    while batches[-1] > 1:
        batches.append((batches[-1] + 1) // 2)
    ladder = [plan(batch, first) for batch in batches]
    if precision == "auto":
        ladder.append(plan(1, "bfloat16" if device.bfloat16 or device.kind == "cpu" else "float16"))
    # Where what comes after the planes needs most, smaller batches save nothing.
    return ladder[:1] + [less for more, less in pairwise(ladder) if less.needs_bytes < more.needs_bytes]


def row_numbers(config: SingleViewConfig, source_size: int, fused: bool = True) -> int:
    """Numbers alive at the worst moment of one row on its way from a picture to planes."""
    tokens, places = image_tokens(config, source_size), 3 * config.low_resolution**2
    scores = 0 if fused else SCORES * max(config.encoder.heads * tokens**2, config.heads * places**2)
    encoder = ENCODER_UNITS * tokens * config.encoder.width
    blocks = BLOCK_UNITS * places * config.width + tokens * config.encoder.width
    return round(max(encoder, blocks)) + 2 * plane_numbers(config) + scores


def plane_numbers(config: SingleViewConfig) -> int:
    """Of the three planes of one object."""
    return 3 * config.plane_channels * (2 * config.low_resolution) ** 2


def image_tokens(config: SingleViewConfig, source_size: int) -> int:
    """Of one picture, in the encoder."""
    registers = config.encoder.registers if isinstance(config.encoder, DinoV2Config) else 0
    return 1 + registers + (source_size // config.encoder.patch_size) ** 2
