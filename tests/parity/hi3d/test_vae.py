"""The autoencoder gives the reference's numbers, a frame at a time too."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("vae")


@pytest.fixture(scope="module")
def vae(numbers: Any) -> Any:
    import diffusers

    from models.hi3d import names
    from models.hi3d.shapes import VAE_SCALING, vae_config

    tensors = {name: each.float() for name, each in numbers.weights(names.VAE).items()}
    config = vae_config({name: tuple(each.shape) for name, each in tensors.items()})
    assert numbers.json("config")["scale_factor"] == VAE_SCALING
    network = diffusers.AutoencoderKL.from_config(config)
    network.load_state_dict(names.vae_tensors(tensors, len(config["block_out_channels"])), strict=True)
    return network.eval()


@pytest.mark.parametrize("group", [1, 2])
def test_encoding(numbers: Any, vae: Any, near: Any, group: int) -> None:
    from models.hi3d.autoencoding import moments

    mean, deviation = moments(numbers["encode.x"], vae, group)
    expected, logvar = numbers["encode.moments"].chunk(2, dim=1)
    near(mean, expected, TOLERANCE)
    near(deviation, torch.exp(logvar / 2), TOLERANCE)
    near(mean, numbers["encode.mode_unscaled"], TOLERANCE)
    near(mean * vae.config.scaling_factor, numbers["encode.mode_scaled"], TOLERANCE)
    sample = (mean + deviation * numbers["encode.eps"]) * vae.config.scaling_factor
    near(sample, numbers["encode.sample_scaled"], TOLERANCE)


@pytest.mark.parametrize("group", [1, 2])
def test_decoding(numbers: Any, vae: Any, near: Any, group: int) -> None:
    from models.hi3d.autoencoding import decoded

    expected = (numbers["decode.output"] * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    near(torch.from_numpy(decoded(numbers["decode.z_scaled"], vae, group)), expected, TOLERANCE)
    whole = vae.decode(numbers["decode.z_scaled"] / vae.config.scaling_factor).sample
    near(whole, numbers["decode.output"], TOLERANCE)
