"""What the transformer leaves out changes no number."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.midi.layers import CrossAttention, SelfAttention  # noqa: E402
from models.midi.transformer import MidiTransformer, TransformerConfig, instance_groups  # noqa: E402

CONFIG = TransformerConfig(2, 16, 4, 5, 6, 10, multi_instance_blocks=(1, 2, 3))
INSTANCES, TOKENS, LENGTH = 3, 5, 7


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(3)
    return randomized(MidiTransformer(CONFIG))


def randomized(module: Any) -> Any:
    """Norm gains and biases away from 1 and 0, where mistakes would hide."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return module


def inputs() -> Any:
    generator = torch.Generator().manual_seed(5)
    shapes = [(2 * INSTANCES, TOKENS, 4), (INSTANCES, 1, 6), (INSTANCES, LENGTH, 10)]
    return [torch.randn(shape, generator=generator) for shape in shapes] + [torch.full((2 * INSTANCES,), 700.0)]


def difference(one: Any, other: Any) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max())


def test_rows_without_context_equal_rows_with_zeros(network: Any) -> None:
    latents, first, second, time = inputs()
    groups = instance_groups(len(latents), INSTANCES)
    zeros = [torch.cat([torch.zeros_like(each), each]) for each in (first, second)]
    plain = network(latents, time, network.context(*zeros), groups)
    assert difference(network(latents, time, network.context(first, second), groups), plain) < 1e-5
    nothing = network(latents[:INSTANCES], time[:INSTANCES], None, groups[:1])
    assert difference(nothing, plain[:INSTANCES]) < 1e-5


def test_a_context_of_one_token_equals_that_token_twice(network: Any) -> None:
    latents, first, second, time = inputs()
    constant = network(latents, time, network.context(first, second))
    attended = network(latents, time, network.context(first.repeat(1, 2, 1), second))
    assert difference(constant, attended) < 1e-5


def test_joint_attention_equals_repeated_keys_and_values() -> None:
    torch.manual_seed(0)
    attention = randomized(SelfAttention(16, 2, query_key_norm=True))
    hidden = torch.randn(2 * INSTANCES, TOKENS, 16)
    joint = attention(hidden, (INSTANCES, INSTANCES))
    for scene in range(2):
        rows = hidden[scene * INSTANCES : (scene + 1) * INSTANCES]
        everything = attention(rows.reshape(1, -1, 16))
        assert difference(joint[scene * INSTANCES : (scene + 1) * INSTANCES], everything.view_as(rows)) < 1e-5


def test_heads_are_cut_from_the_concatenated_projections() -> None:
    torch.manual_seed(0)
    heads, width = 2, 8
    d = width // heads
    attention = randomized(SelfAttention(width, heads))
    hidden = torch.randn(1, TOKENS, width)
    rows = torch.cat([attention.to_q.weight, attention.to_k.weight, attention.to_v.weight])
    parts = []
    for head in range(heads):
        query, key, value = (hidden[0] @ rows[(3 * head + i) * d : (3 * head + i + 1) * d].T for i in range(3))
        parts.append(torch.softmax(query @ key.T / d**0.5, -1) @ value)
    expected = attention.to_out[0](torch.cat(parts, -1))
    assert difference(attention(hidden)[0], expected) < 1e-5

    cross = randomized(CrossAttention(width, heads, 6))
    context = torch.randn(1, LENGTH, 6)
    rows = torch.cat([cross.to_k.weight, cross.to_v.weight])
    parts = []
    for head in range(heads):
        key, value = (context[0] @ rows[(2 * head + i) * d : (2 * head + i + 1) * d].T for i in range(2))
        query = hidden[0] @ cross.to_q.weight[head * d : (head + 1) * d].T
        parts.append(torch.softmax(query @ key.T / d**0.5, -1) @ value)
    expected = cross.to_out[0](torch.cat(parts, -1))
    assert difference(cross(hidden, cross.keys_values(context))[0], expected) < 1e-5


def test_padding_rows_change_nothing_for_the_others(network: Any) -> None:
    latents, first, second, time = inputs()
    context = network.context(first, second)
    rows = slice(INSTANCES, None)
    alone = network(latents[rows][:2], time[:2], network.context(first[:2], second[:2]), (2,))
    padded = network(latents[rows], time[rows], context, instance_groups(INSTANCES, [2], slots=3))
    assert difference(padded[:2], alone) < 1e-5
    single = network(latents[-1:], time[:1], network.context(first[2:], second[2:]))
    assert difference(padded[2:], single) < 1e-5


def test_groups() -> None:
    assert instance_groups(6, 3) == (3, 3)
    assert instance_groups(16, [2, 4], slots=4) == (2, 1, 1, 4) * 2
    for arguments in [(7, 3), (6, 0), (8, [5], 4), (9, [2, 2], 4), (4, [])]:
        with pytest.raises(ValueError, match="rows"):
            instance_groups(*arguments)


def test_wrong_batches_are_refused(network: Any) -> None:
    latents, first, second, time = inputs()
    with pytest.raises(ValueError, match="do not add up to the 6 rows"):
        network(latents, time, groups=(3, 2))
    with pytest.raises(ValueError, match="contexts for 3 rows but only 2"):
        network(latents[:2], time[:2], network.context(first, second))
