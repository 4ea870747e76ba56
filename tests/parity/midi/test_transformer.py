"""The transformer gives the reference's numbers, in every form of attention."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

OUTPUT, SINUSOID, TIME, BLOCK = 2e-5, 1e-4, 5e-5, 2e-4


pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture
def network(pipeline: Any) -> Any:
    return pipeline.transformer


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("transformer")


def joint(numbers: Any) -> tuple[int, ...]:
    from models.midi.transformer import instance_groups

    rows = len(numbers["in.hidden_states"])
    return instance_groups(rows, rows // 2)


def full_context(network: Any, numbers: Any, first: str = "in.encoder_hidden_states") -> Any:
    return network.context(numbers[first], numbers["in.encoder_hidden_states_2"])


def conditional_context(network: Any, numbers: Any) -> Any:
    half = len(numbers["in.hidden_states"]) // 2
    first, second = numbers["in.encoder_hidden_states"], numbers["in.encoder_hidden_states_2"]
    assert not first[:half].any() and not second[:half].any()
    return network.context(first[half:], second[half:])


@pytest.mark.parametrize("context", [full_context, conditional_context])
def test_instances_attend_to_each_other(context: Any, network: Any, numbers: Any, close: Any) -> None:
    blocks = {}

    def keep(index: int) -> Any:
        return lambda module, arguments, output: blocks.__setitem__(index, output)

    hooks = [block.register_forward_hook(keep(index)) for index, block in enumerate(network.blocks)]
    output = network(
        numbers["in.hidden_states"], numbers["in.timestep"], context(network, numbers), groups=joint(numbers)
    )
    for hook in hooks:
        hook.remove()
    close(output, numbers["out.mi"], OUTPUT)
    assert {f"out.block.{index}" for index in blocks} == {key for key in numbers.tensors if "out.block." in key}
    for index, block in blocks.items():
        close(block, numbers[f"out.block.{index}"], BLOCK)


def test_time_is_embedded(network: Any, numbers: Any, close: Any) -> None:
    from models.midi.transformer import sinusoid

    embedded = sinusoid(numbers["in.timestep"], network.config.width)
    close(embedded, numbers["out.time_sinusoid"], SINUSOID)
    close(network.time_proj(embedded), numbers["out.temb"], TIME)


@pytest.mark.parametrize("context", [full_context, conditional_context])
def test_instances_can_stay_alone(context: Any, network: Any, numbers: Any, close: Any) -> None:
    output = network(numbers["in.hidden_states"], numbers["in.timestep"], context(network, numbers))
    close(output, numbers["out.no_mi"], OUTPUT)


def test_a_longer_first_context_is_attended_to(network: Any, numbers: Any, close: Any) -> None:
    context = full_context(network, numbers, "tok3.in.encoder_hidden_states")
    output = network(numbers["in.hidden_states"], numbers["in.timestep"], context, groups=joint(numbers))
    close(output, numbers["tok3.out"], OUTPUT)


def test_padding_rows_see_only_themselves(network: Any, numbers: Any, close: Any) -> None:
    from models.midi.transformer import instance_groups

    names = ("hidden_states", "timestep", "encoder_hidden_states", "encoder_hidden_states_2")
    hidden, timestep, first, second = (numbers[f"pad.in.{name}"] for name in names)
    counts, slots = numbers["pad.in.num_instances"].tolist(), int(numbers["pad.in.num_instances_per_batch"])
    groups = instance_groups(len(hidden), counts, slots)
    close(network(hidden, timestep, network.context(first, second), groups=groups), numbers["pad.out"], OUTPUT)


def test_one_instance_alone(network: Any, numbers: Any, close: Any) -> None:
    row = slice(len(numbers["in.hidden_states"]) // 2, len(numbers["in.hidden_states"]) // 2 + 1)
    context = network.context(numbers["in.encoder_hidden_states"][row], numbers["in.encoder_hidden_states_2"][row])
    for groups in (None, (1,)):
        output = network(numbers["in.hidden_states"][row], numbers["one.in.timestep"], context, groups)
        close(output, numbers["one.out"], OUTPUT)
