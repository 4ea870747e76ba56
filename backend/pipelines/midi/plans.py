"""MIDI's ladder of memory plans: what each way of working needs on the device, derived from the architecture.

A unit is one activation of one network at its width. How many units are alive at the worst moment was counted by hand
and agrees within 3 % with a count of every tensor of a run at the published sizes on the meta device, which
tests/backend/test_midi_plans.py repeats. What a count of tensors cannot see is left to the margin of
`backend/memory.py`. All figures are predicted: none was measured on a graphics card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from backend.devices import Device
from backend.memory import ITEM_BYTES, Plan, Precision, choose_dtype

PARTS = ("image_encoder_1", "image_encoder_2", "transformer", "vae")
ENCODERS = PARTS[:2]

# Denoising, at the feed-forward of the first block with a skip connection: 9 kept outputs of earlier blocks, the one
# that was popped, the block's input, its hidden state and the norm of that, and the four-fold widening before and
# after GELU. 9 + 1 + 1 + 1 + 1 + 4 + 4, and a little for what is small.
DENOISING_UNITS = 21.1
# The same in self-attention: 9 + 1 + 1 + 1 + 1 again, the three projections, normed queries and keys, the result before
# and after the output projection. Beside them lie the three weights, put together to one.
ATTENTION_UNITS = 20.1
# Noise, latents and velocities of both halves on their way to one step, in float32.
LATENT_COPIES = 8

# Decoding, per query point: embedded points, input, hidden state, norm, widening before and after GELU.
QUERY_UNITS = 11.1
# The stack over the latents before: about the same per token, and less than any chunk of points.
LATENT_UNITS = 11.5
# The lattice of `models/isosurface`, per square of its points along an edge: surfaces grow with the square. A ball that
# fills its box was counted with 2,400 at 257 and 513 points; chairs and plants have more surface.
LATTICE_BYTES = 5_000
# Encoding, per token of DINOv2; CLIP has a fifth of its tokens and runs before.
ENCODER_UNITS = 18

FULL_CHUNK = 50_000
SMALL_CHUNK = 16_000


@dataclass(frozen=True)
class Shape:
    """The extents that activations depend on; the defaults are those of the published checkpoint."""

    tokens: int = 2048
    channels: int = 64
    width: int = 2048
    heads: int = 16
    layers: int = 21
    condition_tokens: int = 1297
    encoder_width: int = 1024
    decoder_width: int = 1024
    decoder_heads: int = 8


PUBLISHED = Shape()


def midi_plans(
    sizes: Mapping[str, int],
    instances: int,
    device: Device,
    precision: Precision = "auto",
    shape: Shape = PUBLISHED,
    *,
    rows: int | None = None,
    resolution: int = 257,
) -> list[Plan]:
    """The ladder for one run, the most generous plan first.

    The settings of a plan:
        keep_parts: networks stay on the device, for the next run too; if not, each leaves it after its use, for main
            memory where there is room: the encoders after encoding, the transformer after denoising, the autoencoder
            at the end.
        one_batch: both halves of the guidance at once (`Guidance.one_batch`).
        chunk: points that the field is asked for at once.

    Every plan decodes one instance at a time and gives the same result up to rounding.

    Args:
        sizes: parameters per part, see `read_sizes`.
        instances: that go through the transformer together.
        device, precision: decide the dtype, see `choose_dtype`.
        shape: see `read_shape`.
        rows: instances of all passes, those in several passes counted in each, where the instances are too many for
            one: the keys and values of all are kept over all steps. As many as `instances` if None.
        resolution: of the lattice of one instance.

    Raises:
        KeyError: a part is missing from `sizes`.
    """
    dtype = choose_dtype(device, precision)
    item, fused, rows = ITEM_BYTES[dtype], device.kind != "mps", max(rows or 0, instances)
    weights = {part: sizes[part] * item for part in PARTS}

    def plan(name: str, manner: str, keep_parts: bool, one_batch: bool, chunk: int) -> Plan:
        stages = (
            (ENCODERS, encoding_bytes(shape, rows, item)),
            (("transformer",), denoising_bytes(shape, instances, item, one_batch, fused, rows)),
            (("vae",), decoding_bytes(shape, chunk, item, fused, resolution)),
        )
        if keep_parts:
            needed = sum(weights.values()) + max(activations for _, activations in stages)
        else:
            needed = max(sum(weights[part] for part in parts) + activations for parts, activations in stages)
        settings = {"keep_parts": keep_parts, "one_batch": one_batch, "chunk": chunk}
        return Plan(name, f"{item * 8}-bit, {manner}", needed, dtype, settings)

    return [
        plan("full", "everything stays loaded", True, True, FULL_CHUNK),
        plan("parts", "one part at a time", False, True, FULL_CHUNK),
        plan("halves", "one part at a time, guidance in two halves, points in small chunks", False, False, SMALL_CHUNK),
    ]


def encoding_bytes(shape: Shape, instances: int, item: int) -> int:
    """Activations of the image encoders, which see all instances at once."""
    return round(ENCODER_UNITS * instances * shape.condition_tokens * shape.encoder_width * item)


def denoising_bytes(
    shape: Shape, instances: int, item: int, one_batch: bool, fused: bool = True, rows: int | None = None
) -> int:
    """Activations of one step, and the keys and values of all blocks that are kept over all steps.

    Args:
        instances, rows: see `midi_plans`.
        item: bytes per number.
        one_batch: both halves of the guidance at once.
        fused: attention without its matrix of scores. PyTorch has no such attention for MPS, where the joint
            attention of all instances holds scores and softmax, [halves, heads, n·T, n·T] each.
    """
    halves = 2 if one_batch else 1
    # The time is one more token.
    tokens = shape.tokens + 1
    unit = halves * instances * tokens * shape.width * item
    rows = max(rows or 0, instances)
    conditions = rows * shape.condition_tokens * (shape.encoder_width + 2 * shape.width * shape.layers) * item
    kept = conditions + LATENT_COPIES * rows * shape.tokens * shape.channels * 4
    scores = 0 if fused else 2 * halves * shape.heads * (instances * tokens) ** 2 * item
    attention = ATTENTION_UNITS * unit + 3 * shape.width**2 * item + scores
    return kept + round(max(DENOISING_UNITS * unit, attention))


def decoding_bytes(shape: Shape, chunk: int, item: int, fused: bool = True, resolution: int = 0) -> int:
    """Activations of one chunk of points with the lattice, or of the stack over the latents before; one instance."""
    latents = round(LATENT_UNITS * shape.tokens * shape.decoder_width * item)
    context = 2 * shape.tokens * shape.decoder_width * item
    points = context + LATTICE_BYTES * resolution**2 + round(QUERY_UNITS * chunk * shape.decoder_width * item)
    if not fused:
        points += 2 * shape.decoder_heads * chunk * shape.tokens * item
        latents += 2 * shape.decoder_heads * shape.tokens**2 * item
    return max(latents, points)


def read_sizes(folder: Path) -> dict[str, int]:
    """Parameters per part of a checkpoint, from the headers of its files; nothing is allocated.

    Raises:
        CheckpointError: see `models.loading.read_headers`.
    """
    from models.loading import read_headers

    stems = {part: "model" if part in ENCODERS else "diffusion_pytorch_model" for part in PARTS}
    return {
        part: sum(prod(header.shape) for header in read_headers(folder / part, stem).values())
        for part, stem in stems.items()
    }


def read_shape(folder: Path) -> Shape:
    """The extents of a checkpoint, from its configuration files.

    Raises:
        CheckpointError: a file is missing, damaged, or of another network.
    """
    from models.image_processor import Preprocessor
    from models.loading import CheckpointForeign, read_config, read_json
    from models.midi.transformer import TransformerConfig
    from models.midi.vae import VaeConfig

    transformer = read_config(folder / "transformer" / "config.json", TransformerConfig, "TripoSGDiTModel")
    vae = read_config(folder / "vae" / "config.json", VaeConfig, "TripoSGVAEModel")
    pixels = Preprocessor.from_file(folder / "feature_extractor_2" / "preprocessor_config.json").crop
    file = folder / "image_encoder_2" / "config.json"
    encoder = read_json(file)
    try:
        patch, width = int(encoder["patch_size"]), int(encoder["hidden_size"])
        condition_tokens = 1 + (pixels[0] // patch) * (pixels[1] // patch)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise CheckpointForeign(f"{file} does not describe a DINOv2: {error!r}") from error
    return Shape(
        # The published pipeline has as many tokens as its transformer is wide.
        tokens=transformer.width,
        channels=transformer.in_channels,
        width=transformer.width,
        heads=transformer.num_attention_heads,
        layers=transformer.num_layers,
        condition_tokens=condition_tokens,
        encoder_width=width,
        decoder_width=vae.width_decoder,
        decoder_heads=vae.num_attention_heads,
    )
