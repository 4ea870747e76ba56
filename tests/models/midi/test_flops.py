"""The savings save: operations counted on the meta device, at the published size, against those of the reference.

The reference's denoising is the formula of its layers (checked against 82.2 TFLOP, measured on the reference itself for
five instances, and against the count of the benchmark's baseline): both halves of the guidance read both contexts,
which are projected anew in every step. Its decoding is two dense passes, each with the latent stack, in chunks of
50,000 points that project the decoder's context anew.
"""

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from bench import midi_baseline  # noqa: E402
from bench.shapes import SCENE  # noqa: E402
from models.midi.decoding import RESOLUTION, field_surface  # noqa: E402
from models.midi.transformer import MidiTransformer, TransformerConfig, instance_groups  # noqa: E402
from models.midi.vae import MidiVae, VaeConfig  # noqa: E402

INSTANCES, TOKENS, CONDITION_TOKENS, STEPS = 5, 2048, 1297, 50
BAR = 0.42


@pytest.fixture(scope="module")
def queries() -> dict[str, int]:
    """Points asked for at final quality, by object of the furnished scene; really decoded, before the meta device."""
    return {name: field_surface(solid, RESOLUTION).queries for name, solid in SCENE.items()}


@pytest.fixture(autouse=True)
def _inference(queries: Any) -> Any:
    with torch.inference_mode(), torch.device("meta"):
        yield


def counted(work: Any) -> tuple[Any, int]:
    with FlopCounterMode(display=False) as counter:
        result = work()
    return result, counter.get_total_flops()


def reference_step(config: TransformerConfig, instances: int) -> int:
    """Operations of one guided step as the reference computes it; a multiplication and an addition are two."""
    w, rows, row_tokens = config.width, 2 * instances, TOKENS + 1
    joint = len(config.multi_instance_blocks or ())
    linear = 8 * w * w + 4 * w * w + 4 * w * w + 16 * w * w  # self-attention, both cross-attentions, feed-forward
    scores = 4 * w * (1 + CONDITION_TOKENS)
    per_token = config.num_layers * (linear + scores)
    per_token += 4 * w * row_tokens * (config.num_layers - joint + joint * instances)
    per_token += (config.num_layers // 2) * 4 * w * w
    contexts = 4 * w * (config.cross_attention_dim + CONDITION_TOKENS * config.cross_attention_2_dim)
    ends = 2 * TOKENS * 2 * w * config.in_channels + 16 * w * w
    return rows * (row_tokens * per_token + config.num_layers * contexts + ends)


def denoising(config: TransformerConfig) -> int:
    """Operations of a whole guided run of ours."""
    network = MidiTransformer(config)
    first, second = torch.empty(INSTANCES, 1, 768), torch.empty(INSTANCES, CONDITION_TOKENS, 1024)
    context, once = counted(lambda: network.context(first, second))
    rows = 2 * INSTANCES
    _, step = counted(
        lambda: network(torch.empty(rows, TOKENS, 64), torch.empty(rows), context, instance_groups(rows, INSTANCES))
    )
    return once + STEPS * step


def reference_decoding(network: MidiVae) -> int:
    """Operations of one instance: counted on the baseline, full chunks and the last one."""
    tokens, stack = counted(lambda: network.latent_tokens(torch.empty(1, TOKENS, 64)))
    points, size = RESOLUTION**3, midi_baseline.CHUNK
    assert math.ceil(points / size) == 340
    full, last = (
        counted(lambda count=count: midi_baseline.chunk_values(network, tokens, torch.empty(count, 3)))[1]
        for count in (size, points % size)
    )
    return midi_baseline.PASSES * (stack + points // size * full + last)


def test_denoising_takes_four_fifths_of_the_reference() -> None:
    config = TransformerConfig()
    assert reference_step(config, INSTANCES) == pytest.approx(82.2e12, rel=0.002)
    ratio = denoising(config) / (STEPS * reference_step(config, INSTANCES))
    assert 0.75 < ratio < 0.815


@pytest.mark.parametrize("instances", [1, 5])
def test_the_baseline_of_the_benchmark_does_the_arithmetic_of_the_reference(instances: int) -> None:
    config, rows = TransformerConfig(), 2 * instances
    network = MidiTransformer(config)
    first, second = torch.empty(rows, 1, 768), torch.empty(rows, CONDITION_TOKENS, 1024)
    _, step = counted(
        lambda: midi_baseline.velocity(network, torch.empty(rows, TOKENS, 64), torch.empty(rows), first, second)
    )
    assert step == reference_step(config, instances)


def test_a_scene_of_five_takes_no_more_than_the_bar(queries: dict[str, int]) -> None:
    """Denoising and decoding together, at final quality; also if all five were the most demanding object."""
    network = MidiVae(VaeConfig())
    context, once = counted(lambda: network.context(torch.empty(1, TOKENS, 64)))
    _, thousand = counted(lambda: network.query(context, torch.empty(1000, 3)))
    ours = denoising(TransformerConfig())
    theirs = STEPS * reference_step(TransformerConfig(), INSTANCES) + INSTANCES * reference_decoding(network)
    five = list(queries.values())[:INSTANCES]
    for name, points in (("the scene", sum(five)), ("five of the worst", INSTANCES * max(queries.values()))):
        decoding = INSTANCES * once + points * thousand / 1000
        figures = f"{ours / 1e15:.2f} + {decoding / 1e15:.3f} of {theirs / 1e15:.2f} PFLOP"
        ratio = (ours + decoding) / theirs
        print(f"{name}: {points:,} queries, {figures} = {ratio:.3f}")
        assert ratio <= BAR, f"{name}: {figures} = {ratio:.3f}; queries {queries}"


def test_a_point_costs_no_more_than_its_own_attention() -> None:
    config = VaeConfig()
    network = MidiVae(config)
    context, once = counted(lambda: network.context(torch.empty(1, TOKENS, 64)))
    points = 1000
    _, all_points = counted(lambda: network.query(context, torch.empty(points, 3), chunk=100))
    w = config.width_decoder
    formula = 16 * w * w + 4 * w * w + 4 * w * TOKENS + 2 * w * (config.embedding_width + 1)
    assert all_points == points * formula
    assert formula == pytest.approx(29.5e6, rel=0.01)
    assert once == pytest.approx(1.1e12, rel=0.1)
