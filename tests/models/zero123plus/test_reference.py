"""The reference pass does what is needed, no more, and leaves the network as it found it."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from models.zero123plus.reference import connected  # noqa: E402

TIMESTEP = torch.tensor(500.0)

PUBLISHED = {
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


@pytest.fixture
def unet(pipeline: Any) -> Any:
    return pipeline.parts["unet"]


@pytest.fixture
def inputs(unet: Any) -> tuple[Any, Any, Any]:
    """Reference, sheet and embeddings of two rows."""
    generator = torch.Generator().manual_seed(0)
    width = unet.config.cross_attention_dim
    shapes = (2, 4, 16, 16), (2, 4, 24, 16), (2, 7, width)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)  # type: ignore[return-value]


def processors(unet: Any) -> dict[str, int]:
    return {name: id(processor) for name, processor in unet.attn_processors.items()}


def test_stopping_early_changes_no_number(unet: Any, inputs: Any) -> None:
    reference, sheet, embeddings = inputs
    found = []
    for whole in (True, False):
        with connected(unet) as attention:
            attention.look(reference, TIMESTEP, embeddings, whole=whole)
            kept = dict(attention.kept)
            found.append((kept, attention.predict(sheet, TIMESTEP, embeddings)))
    (all_kept, expected), (early_kept, prediction) = found
    assert early_kept.keys() == all_kept.keys() == {name for name, _ in unet.named_modules() if name.endswith("attn1")}
    assert all(torch.equal(early_kept[name], all_kept[name]) for name in all_kept)
    assert torch.equal(prediction, expected)


def test_the_reference_pass_ends_before_the_last_layer(unet: Any, inputs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, _, embeddings = inputs
    reached = []
    monkeypatch.setattr(unet.conv_out, "forward", lambda sample: reached.append(sample) or sample)
    with connected(unet) as attention:
        attention.look(reference, TIMESTEP, embeddings)
        assert reached == []
        attention.look(reference, TIMESTEP, embeddings, whole=True)
        assert len(reached) == 1


def test_each_row_attends_to_its_own_reference(unet: Any, inputs: Any) -> None:
    reference, sheet, embeddings = inputs
    other = reference.clone()
    other[1] += 1.0
    with connected(unet) as attention:
        results = []
        for each in (reference, other):
            attention.look(each, TIMESTEP, embeddings)
            results.append(attention.predict(sheet, TIMESTEP, embeddings))
    plain = unet(sheet, TIMESTEP, encoder_hidden_states=embeddings).sample
    assert torch.equal(results[0][0], results[1][0])
    assert (results[0][1] - results[1][1]).abs().max() > 1e-4
    assert (results[0] - plain).abs().max() > 1e-3


def test_the_network_is_left_as_it_was(unet: Any, inputs: Any) -> None:
    reference, sheet, embeddings = inputs
    before = processors(unet)
    expected = unet(sheet, TIMESTEP, encoder_hidden_states=embeddings).sample
    with connected(unet) as attention:
        attention.look(reference, TIMESTEP, embeddings)
        assert processors(unet) != before
    assert processors(unet) == before
    assert not attention.kept
    with pytest.raises(ZeroDivisionError), connected(unet) as attention:
        attention.look(reference, TIMESTEP, embeddings)
        raise ZeroDivisionError
    assert processors(unet) == before
    assert torch.equal(unet(sheet, TIMESTEP, encoder_hidden_states=embeddings).sample, expected)


def test_what_a_step_costs_at_the_published_size() -> None:
    """Operations, a multiplication and an addition being two. The published code: 1.61 + 5.16 · 10¹² a step."""
    import diffusers

    def counted(work: Any) -> float:
        with FlopCounterMode(display=False) as counter:
            work()
        return counter.get_total_flops() / 1e12

    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel.from_config(PUBLISHED)
        reference, sheet = torch.empty(2, 4, 64, 64), torch.empty(2, 4, 120, 80)
        embeddings, timestep = torch.empty(2, 77, 1024), torch.empty(())
        with connected(unet) as attention:
            whole, early = (
                counted(lambda whole=whole: attention.look(reference, timestep, embeddings, whole=whole))
                for whole in (True, False)
            )
            main = counted(lambda: attention.predict(sheet, timestep, embeddings))
            halved = counted(lambda: attention.look(reference[:1], timestep, embeddings[:1]))
    print(f"reference pass {early:.3f} of {whole:.3f}, main pass {main:.3f} TFLOP")
    assert (whole, main) == (pytest.approx(1.61, abs=0.01), pytest.approx(5.16, abs=0.01))
    assert early < 0.955 * whole
    assert halved == pytest.approx(early / 2, rel=1e-3)
