"""The fields of a batch are those of single objects, and losses and groups are what they are said to be."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from models.lrm.decoders import DensityDecoder, density, raw_density  # noqa: E402
from models.lrm.fields import DensityField  # noqa: E402
from models.optimisation.chance import Step  # noqa: E402
from models.optimisation.loop import warm_up_then_cosine  # noqa: E402
from tests.training.mira.run_small import small  # noqa: E402
from training.feed import Key  # noqa: E402
from training.mira.bank import Shown  # noqa: E402
from training.mira.config import Config  # noqa: E402
from training.mira.field import BatchField  # noqa: E402
from training.mira.items import Item, Items  # noqa: E402
from training.mira.objective import Objective  # noqa: E402
from training.mira.starting import align, config_of, network_of, optimiser_of  # noqa: E402


@pytest.fixture
def batch(shown: Shown, config: Config) -> Item:
    made = Items([shown], [(0, view) for view in range(shown.count)], config, 32, 4)
    return Item(*(torch.stack(each) for each in zip(*(made[Key(0, row, row)] for row in range(3)), strict=True)))


def test_points_and_lattices_are_asked_as_a_single_field_is() -> None:
    torch.manual_seed(0)
    decoder, planes = DensityDecoder(5), torch.randn(2, 3, 5, 8, 8, requires_grad=True)
    fields = BatchField(decoder, planes)
    axes = torch.rand(2, 3, 6) * 2.2 - 1.1  # a little beyond the planes too
    lattice, points = fields.lattice(axes), torch.rand(2, 40, 3) * 2.2 - 1.1
    for index in range(2):
        single = DensityField(decoder, planes[index])
        grid = torch.stack(torch.meshgrid(*axes[index], indexing="ij"), dim=-1)
        assert torch.allclose(lattice[index, ..., 0], single(grid.view(-1, 3))[1].view(6, 6, 6), atol=1e-5)
        colour, raw = single(points[index])
        assert torch.allclose(fields.points(points)[index, :, 0], raw, atol=1e-5)
        assert torch.allclose(fields.single(index)(points[index])[0], colour, atol=1e-5)
    lattice.square().mean().backward()
    assert planes.grad is not None and float(planes.grad.abs().max()) > 0


def test_chunks_of_rays_have_the_losses_and_gradients_of_all_at_once(config: Config, batch: Item) -> None:
    found = []
    for chunk in (0, 7):
        chosen = small(config.run.folder, config.data.folder, **{"rays.chunk": chunk})
        network, *_ = network_of(chosen.model, seed=3)
        losses = Objective(network, lambda step: batch, chosen)(Step(0, 1))
        sum(losses.values()).backward()
        found.append((losses, {name: each.grad for name, each in network.named_parameters()}))
    (one, gradients), (other, same) = found
    assert set(one) == {"colour", "occupancy", "overlap", "variation"}
    assert all(torch.allclose(one[name], other[name]) for name in one)
    assert all(torch.allclose(each, same[name], atol=1e-6) for name, each in gradients.items())
    assert float(gradients["pos_embed"].abs().max()) > 0


def test_without_a_solid_the_points_teach_nothing(config: Config, batch: Item) -> None:
    network, *_ = network_of(config.model, seed=3)
    unknown = batch._replace(known=torch.zeros(3))
    losses = Objective(network, lambda step: unknown, config)(Step(0, 1))
    assert not losses["occupancy"].any() and not losses["overlap"].any() and bool(losses["colour"] > 0)


def test_the_perceptual_loss_gets_the_squares(config: Config, shown: Shown) -> None:
    changes = {"rays.patch": 32, "rays.resolution": [32, 48], "losses.perceptual": 2.0, "losses.occupancy": 0.0}
    chosen = small(config.run.folder, config.data.folder, **changes, **{"losses.overlap": 0.0})
    item = Items([shown], [(0, 0)], chosen, 32, 4)[Key(0, 0, 0)]
    given = []

    def perceptual(pictures: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        given.append(wanted)
        return (pictures - wanted).abs().mean((1, 2, 3))

    network, *_ = network_of(chosen.model, seed=3)
    losses = Objective(network, lambda step: Item(*(each[None] for each in item)), chosen, perceptual)(Step(0, 1))
    assert given[0].shape == (2, 3, 32, 32) and float(losses["perceptual"]) > 0
    square = item.colours[: 32 * 32] + (1 - item.alphas[: 32 * 32, None]) * item.backgrounds[: 32 * 32, None]
    assert torch.allclose(given[0][0].permute(1, 2, 0).reshape(-1, 3), square)


def test_matrices_decay_and_norms_biases_and_tokens_do_not(config: Config) -> None:
    network, *_ = network_of(config.model, seed=0)
    groups = optimiser_of(network, config.optimiser.model_copy(update={"encoder_rate": 0.1})).param_groups
    decay = {id(each): group["weight_decay"] for group in groups for each in group["params"]}
    rate = {id(each): group["lr"] for group in groups for each in group["params"]}
    names = dict(network.named_parameters())
    assert decay.keys() == {id(each) for each in names.values()}
    still = {name for name, each in names.items() if decay[id(each)] == 0}
    assert all(
        ("norm" in name and ".mlp." not in name) or name.endswith(("bias", "_embed", "embeddings", "token"))
        for name in still
    )
    assert {name for name in names if name.endswith("norm.weight")} <= still, "what MIRA's own rule never met"
    assert {"pos_embed", "synthesizer.decoder.net.0.bias"} <= still
    assert decay[id(names["transformer.layers.0.norm1.mlp.1.weight"])] > 0
    assert rate[id(names["encoder.model.layernorm.weight"])] == pytest.approx(1e-4)

    faster = optimiser_of(network, config.optimiser.model_copy(update={"tokens_rate": 5.0})).param_groups
    assert len(faster) == len(groups) + 1, "a group of their own, or the states of older runs would not fit"
    (tokens,) = (group for group in faster if any(each is network.pos_embed for each in group["params"]))
    assert len(tokens["params"]) == 1 and tokens["weight_decay"] == 0 and tokens["lr"] == pytest.approx(5e-3)
    assert all(group["lr"] == pytest.approx(1e-3) for group in faster if group is not tokens)


def test_the_rate_falls_with_every_step() -> None:
    rate = warm_up_then_cosine(10, 100)
    values = [rate(step) for step in range(100)]
    assert all(a < b for a, b in pairwise(values[:10])) and max(values) == 1
    assert all(a > b for a, b in pairwise(values[10:])) and values[-1] < 0.001


def test_the_level_is_reached_where_it_is_said() -> None:
    for level in (0.1, 3.0, 10.0, 50.0):
        assert float(density(torch.tensor(raw_density(level)))) == pytest.approx(level, rel=1e-5)


def test_an_aligned_start_looks_at_the_place_before_it(config: Config) -> None:
    chosen = config.model.model_copy(
        update={"width": 96, "encoder_width": 64, "low_resolution": 8, "source_size": 128, "heads": 1}
    )
    network, *_ = network_of(chosen, seed=0)
    with torch.no_grad():
        tokens = network.encoder(torch.ones(1, 3, 128, 128))
        first = network.transformer.layers[0]
        asked, keys = first.norm1(network.pos_embed, network.camera_embedder(torch.zeros(1, 20))), tokens[:, 1:]
        cross = first.cross_attn
        wanted = (asked @ cross.q_proj_weight.T) @ (keys @ cross.k_proj_weight.T).transpose(1, 2)
        best = wanted[0, 64:128].argmax(1)  # the plane across the line of sight: x along its rows, z up its columns
    column, row = best % 8, best // 8
    x = (column + 0.5) / 8 * 2 - 1
    z = 1 - (row + 0.5) / 8 * 2
    place = (torch.arange(8) + 0.5) / 8 * 2 - 1
    z_token, x_token = (each.flatten() for each in torch.meshgrid(place, place, indexing="ij"))
    assert float((x * 4 / 3 - x_token).abs().mean()) < 0.3 and float((z * 4 / 3 - z_token).abs().mean()) < 0.3
    planes = network.planes(torch.rand(1, 3, 128, 128), torch.zeros(1, 20))
    assert bool(planes.isfinite().all())


def test_sizes_of_the_published_networks_can_be_asked_for() -> None:
    from models.lrm.single_view import OFFICIAL
    from training.mira.config import Model

    # But for the table of positions, which a new network has at the size of its pictures.
    made = config_of(Model())
    assert replace(made, encoder=replace(made.encoder, image_size=224)) == OFFICIAL["mira"]
    openlrm = Model(generation="openlrm-1.1", patch_size=14, source_size=518, layers=12, heads=12, width=768)
    made = config_of(openlrm.model_copy(update={"plane_channels": 48, "samples_per_ray": 96}))
    assert made == OFFICIAL["openlrm-base-1.1"]


def test_a_frozen_encoder_is_not_trained(config: Config) -> None:
    network, *_ = network_of(config.model.model_copy(update={"freeze_encoder": True}), seed=0)
    assert not any(each.requires_grad for each in network.encoder.parameters())
    assert network.pos_embed.requires_grad and math.isfinite(float(network.pos_embed.sum()))
    groups = optimiser_of(network, config.optimiser).param_groups
    assert sum(len(each["params"]) for each in groups) == sum(each.requires_grad for each in network.parameters())


def test_random_starts_are_as_published_when_asked_for(config: Config, tmp_path: Path) -> None:
    network, *_ = network_of(config.model.model_copy(update={"aligned_start": False}), seed=0)
    assert float(network.transformer.layers[0].mlp[3].weight.abs().max()) > 0
    align(network)
    assert float(network.transformer.layers[0].mlp[3].weight.abs().max()) == 0
