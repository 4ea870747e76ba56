"""The savings save: operations counted on the meta device, at the published size, against those of the reference.

The reference's count is the formula of its layers (checked against 82.2 TFLOP, measured on the reference itself for
five instances): both halves of the guidance read both contexts, which are projected anew in every step.
"""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from models.midi.transformer import MidiTransformer, TransformerConfig, instance_groups  # noqa: E402
from models.midi.vae import MidiVae, VaeConfig  # noqa: E402

INSTANCES, TOKENS, CONDITION_TOKENS, STEPS = 5, 2048, 1297, 50


@pytest.fixture(autouse=True)
def _inference() -> Any:
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


def test_denoising_takes_four_fifths_of_the_reference() -> None:
    config = TransformerConfig()
    assert reference_step(config, INSTANCES) == pytest.approx(82.2e12, rel=0.002)
    network = MidiTransformer(config)
    first, second = torch.empty(INSTANCES, 1, 768), torch.empty(INSTANCES, CONDITION_TOKENS, 1024)
    context, once = counted(lambda: network.context(first, second))
    rows = 2 * INSTANCES
    _, step = counted(
        lambda: network(torch.empty(rows, TOKENS, 64), torch.empty(rows), context, instance_groups(rows, INSTANCES))
    )
    ratio = (once + STEPS * step) / (STEPS * reference_step(config, INSTANCES))
    assert 0.75 < ratio < 0.815


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
