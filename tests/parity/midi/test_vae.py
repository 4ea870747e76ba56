"""The autoencoder gives the reference's numbers: sampling, encoding, decoding."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

TOLERANCE = 1e-5


pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture
def network(pipeline: Any) -> Any:
    return pipeline.vae


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("vae")


@pytest.mark.parametrize("case", ["enc", "enc2"])
def test_the_surface_is_sampled_point_by_point(case: str, numbers: Any) -> None:
    from models.midi.vae import candidates, sample_surface

    surface, seed = numbers[f"{case}.in.surface"], int(numbers[f"{case}.in.seed"])
    tokens = numbers[f"{case}.sampled"].shape[1]
    np.testing.assert_array_equal(candidates(surface.shape[1], tokens, seed), numbers[f"{case}.choice_indices"])
    np.testing.assert_array_equal(sample_surface(surface, tokens, seed), numbers[f"{case}.sampled"])


def test_points_are_embedded(network: Any, numbers: Any, close: Any) -> None:
    points = numbers["enc.in.surface"][:, : numbers["enc.embed5"].shape[1], :3]
    close(network.embed(points), numbers["enc.embed5"], TOLERANCE)
    origin_slopes = network.embed(torch.full((3,), 1e-3))[3 : 3 + network.config.embed_frequency] / 1e-3
    assert torch.allclose(origin_slopes, numbers["dec.frequencies"], rtol=1e-2)


def test_a_surface_becomes_latents(network: Any, numbers: Any, close: Any) -> None:
    posterior = network.encode(
        numbers["enc.in.surface"], int(numbers["enc.in.num_tokens"]), int(numbers["enc.in.seed"])
    )
    close(posterior.mean, numbers["enc.out.mean"], TOLERANCE)
    close(posterior.logvar, numbers["enc.out.logvar"], TOLERANCE)
    close(posterior.sample(numbers["enc.in.noise"]), numbers["enc.out.sample"], TOLERANCE)


@pytest.mark.parametrize("chunk", [7, 50, 50_000])
def test_latents_become_a_field(chunk: int, network: Any, numbers: Any, close: Any) -> None:
    latents, points = numbers["dec.in.latents"], numbers["dec.in.points"]
    close(network.latent_tokens(latents), numbers["dec.kv_cache"], TOLERANCE)
    values = network.query(network.context(latents), points, chunk)
    close(values, numbers["dec.out"].squeeze(-1), TOLERANCE)
    for row in range(len(latents)):
        close(network.field(latents[row], chunk)(points[row]), numbers["dec.out"][row, :, 0], TOLERANCE)
