"""MIDI's memory plans: who gets which, and that the formulas count what the networks really hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from backend.devices import Device
from backend.memory import choose_plan, with_margin
from backend.pipelines.midi import plans
from backend.pipelines.midi.plans import PUBLISHED, Shape, midi_plans, read_shape, read_sizes
from models.midi import decoding
from models.midi.conditioning import Conditions, EncoderInputs, encode
from models.midi.denoising import Guidance, denoise
from models.midi.scheduler import SchedulerConfig, make_schedule
from models.midi.tiny import write_tiny_checkpoint
from models.midi.transformer import MidiTransformer, TransformerConfig
from models.midi.vae import MidiVae, VaeConfig
from tests.backend.living import GB, Living, agree, empty, fused

SIZES = {
    "image_encoder_1": 303_966_208,
    "image_encoder_2": 305_171_456,
    "transformer": 1_681_900_000,
    "vae": 242_700_000,
}


def card(free: float, kind: str = "cuda") -> Device:
    return Device(kind, "Card", 80 * GB, round(free * GB), bfloat16=kind == "cuda")


@pytest.fixture(autouse=True)
def _as_the_pipeline_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(functional, "scaled_dot_product_attention", fused)
    # Only in this mode is a storage seen to go with its last tensor; what is held without gradients is the same.
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(("dtype", "item"), [(torch.bfloat16, 2), (torch.float32, 4)])
def test_denoising_holds_what_the_formula_says(dtype: torch.dtype, item: int) -> None:
    with torch.device("meta"):
        transformer = MidiTransformer(TransformerConfig()).to(dtype)
    for instances, one_batch in ((1, True), (3, True), (8, False)):
        with Living() as living:
            conditions = Conditions(empty(instances, 1, 768, dtype=dtype), empty(instances, 1297, 1024, dtype=dtype))
            noise, schedule = empty(instances, 2048, 64), make_schedule(2, SchedulerConfig())
            denoise(transformer, conditions, noise, schedule, Guidance(one_batch=one_batch))
        agree(living.peak, plans.denoising_bytes(PUBLISHED, instances, item, one_batch))


def test_decoding_holds_what_the_formula_says() -> None:
    with torch.device("meta"):
        vae = MidiVae(VaeConfig()).to(torch.bfloat16)
    for chunk in (plans.SMALL_CHUNK, plans.FULL_CHUNK):
        with Living() as living, torch.inference_mode():
            vae.query(vae.context(empty(1, 2048, 64)), empty(chunk, 3), chunk)
        agree(living.peak, plans.decoding_bytes(PUBLISHED, chunk, 2))


def test_encoding_holds_what_the_formula_says() -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14}
    with torch.device("meta"):
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**large, intermediate_size=4096, projection_dim=768))
        dino = Dinov2Model(Dinov2Config(**large, image_size=518, num_channels=7))
        counts = [sum(parameter.numel() for parameter in network.parameters()) for network in (clip, dino)]
        networks = [network.to(torch.bfloat16).eval() for network in (clip, dino)]
    assert counts == [SIZES["image_encoder_1"], SIZES["image_encoder_2"]]
    with Living() as living:
        encode(EncoderInputs(empty(5, 3, 224, 224), empty(5, 7, 512, 512)), *networks)
    assert living.peak <= plans.encoding_bytes(PUBLISHED, 5, 2) <= 1.15 * living.peak


@pytest.mark.parametrize(
    ("free", "instances", "name"),
    [
        (24, 8, "full"),
        (11.3, 5, "full"),  # what a card of 12 GB has free
        (11.3, 8, "full"),
        (10.5, 8, "parts"),
        (7.5, 5, "parts"),
        (7.8, 1, "full"),
        (7.0, 5, "halves"),
        (5.5, 3, "halves"),
    ],
)
def test_the_planner_table(free: float, instances: int, name: str) -> None:
    plan = choose_plan(midi_plans(SIZES, instances, card(free)), card(free))
    assert (plan.name, plan.dtype, plan.tight) == (name, "bfloat16", False)


def test_a_card_of_12_gb_holds_eight_instances_with_room_to_spare() -> None:
    for instances in (5, 8):
        ladder = midi_plans(SIZES, instances, card(11.3))
        assert all(with_margin(plan.needs_bytes) < 11.3 * GB for plan in ladder)


@pytest.mark.parametrize("kind", ["cuda", "mps", "cpu"])
@pytest.mark.parametrize("instances", [1, 3, 5, 8, 12])
def test_each_plan_needs_less_than_the_one_before(kind: str, instances: int) -> None:
    for precision in ("auto", "float32"):
        needs = [plan.needs_bytes for plan in midi_plans(SIZES, instances, card(12, kind), precision)]  # type: ignore[arg-type]
        assert needs == sorted(set(needs), reverse=True)


def test_more_instances_need_more() -> None:
    ladders = [[plan.needs_bytes for plan in midi_plans(SIZES, count, card(12))] for count in (1, 3, 5, 8)]
    for few, many in pairwise(ladders):
        assert all(less < more for less, more in zip(few, many, strict=True))


def test_further_passes_and_a_finer_lattice_are_counted() -> None:
    one = midi_plans(SIZES, 7, card(12))
    several = midi_plans(SIZES, 7, card(12), rows=21)
    kept = 14 * 21 * 1297 * 4096 * 2
    assert all(kept < more.needs_bytes - less.needs_bytes < 1.1 * kept for less, more in zip(one, several, strict=True))
    fine = midi_plans(SIZES, 1, card(12), resolution=513)
    assert fine[0].needs_bytes > midi_plans(SIZES, 1, card(12))[0].needs_bytes + GB // 2


def test_the_lattice_holds_less_than_is_counted() -> None:
    def ball(points: Tensor) -> Tensor:
        return points.norm(dim=-1) - 0.9

    resolution = 129
    with Living() as living:
        decoding.field_surface(ball, resolution, chunk=plans.SMALL_CHUNK, device=torch.device("cpu"))
    assert living.peak < plans.LATTICE_BYTES * resolution**2 < 4 * living.peak


def test_settings_say_what_to_do_and_the_sentence_says_it_to_people() -> None:
    full, parts, halves = midi_plans(SIZES, 5, card(12))
    assert full.settings == {"keep_parts": True, "one_batch": True, "chunk": 50_000}
    assert parts.settings == {"keep_parts": False, "one_batch": True, "chunk": 50_000}
    assert halves.settings == {"keep_parts": False, "one_batch": False, "chunk": 16_000}
    assert full.sentence.startswith("16-bit") and midi_plans(SIZES, 5, card(12, "cpu"))[0].sentence.startswith("32-bit")


def test_attention_with_scores_is_counted_where_there_is_no_other() -> None:
    item, instances = 2, 5
    scores = 2 * 2 * 16 * (instances * 2049) ** 2 * item
    unfused = plans.denoising_bytes(PUBLISHED, instances, item, True, fused=False)
    assert unfused > scores > plans.denoising_bytes(PUBLISHED, instances, item, True)


def test_sizes_and_extents_come_from_the_checkpoint(tmp_path: Path) -> None:
    from models.midi.pipeline import MidiPipeline

    folder = write_tiny_checkpoint(tmp_path, shard_bytes=100_000)
    sizes = read_sizes(folder)
    pipeline = MidiPipeline.from_pretrained(folder)
    for part, count in sizes.items():
        assert count == sum(parameter.numel() for parameter in pipeline.part(part).parameters())
    shape = read_shape(folder)
    assert shape == Shape(
        tokens=64,
        channels=8,
        width=64,
        heads=4,
        layers=7,
        condition_tokens=17,
        encoder_width=40,
        decoder_width=48,
        decoder_heads=4,
    )
    plan = choose_plan(midi_plans(sizes, 3, card(1.0), "float32", shape), card(1.0))
    assert plan.name == "full", "a tiny checkpoint runs anywhere"
