"""MIDI's networks can be trained, through the very functions that run them."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.midi.conditioning import Conditions, EncoderInputs, encode  # noqa: E402
from models.midi.denoising import Guidance, denoise  # noqa: E402
from models.midi.pipeline import LOADERS  # noqa: E402
from models.midi.scheduler import SchedulerConfig, make_schedule  # noqa: E402
from models.midi.tiny import TRANSFORMER, VAE  # noqa: E402
from models.midi.transformer import MidiTransformer  # noqa: E402
from models.midi.vae import MidiVae  # noqa: E402
from tests.models.gradients import check_gradients, trainable  # noqa: E402

INSTANCES, TOKENS = 2, 6


@pytest.mark.parametrize("one_batch", [True, False])
def test_the_denoiser_learns_through_its_steps(one_batch: bool) -> None:
    torch.manual_seed(0)
    network = MidiTransformer(TRANSFORMER)
    # Two tokens of the first context: of one, queries and keys make no difference.
    conditions = Conditions(torch.randn(INSTANCES, 2, 24), torch.randn(INSTANCES, 5, 40))
    noise = torch.randn(INSTANCES, TOKENS, TRANSFORMER.in_channels)
    schedule = make_schedule(2, SchedulerConfig())
    latents = denoise(network, conditions, noise, schedule, Guidance(3.0, one_batch=one_batch))
    check_gradients(network, latents.square().mean())


def test_the_autoencoder_learns_from_surface_to_field() -> None:
    torch.manual_seed(0)
    network = MidiVae(VAE)
    normals = torch.nn.functional.normalize(torch.randn(1, 200, 3), dim=-1)
    posterior = network.encode(torch.cat([normals * 0.5, normals], -1), TOKENS)
    latents = posterior.sample(torch.randn_like(posterior.mean))
    values = network.field(latents[0], chunk=7)(torch.rand(20, 3) - 0.5)
    check_gradients(network, values.square().mean() + posterior.logvar.mean())


def test_the_picture_encoders_of_a_checkpoint_learn(tiny_checkpoint: Path) -> None:
    clip, dino = (
        trainable(LOADERS[name](tiny_checkpoint / name, "cpu", torch.float32))
        for name in ("image_encoder_1", "image_encoder_2")
    )
    torch.manual_seed(0)
    found: Any = encode(EncoderInputs(torch.rand(2, 3, 56, 56), torch.rand(2, 7, 70, 70)), clip, dino)
    check_gradients(clip, found.clip.square().mean())
    check_gradients(dino, found.dino.square().mean(), unused=["mask_token"])
