"""Zero123++'s networks can be trained, through the very functions that run them."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from models.published import load_clip_text, load_clip_vision, load_diffusers  # noqa: E402
from models.zero123plus.conditioning import Condition, empty_text, image_embedding, posterior  # noqa: E402
from models.zero123plus.denoising import denoise, drawn_from  # noqa: E402
from models.zero123plus.scheduler import SchedulerConfig, make_schedule  # noqa: E402
from tests.models.gradients import check_gradients, trainable  # noqa: E402


def test_the_unet_learns_through_the_sheet_and_its_reference(tiny_checkpoint: Path) -> None:
    unet = trainable(load_diffusers(tiny_checkpoint / "unet", "UNet2DConditionModel", "cpu", torch.float32))
    torch.manual_seed(0)
    channels, width = unet.config.in_channels, unet.config.cross_attention_dim
    condition = Condition(torch.randn(2, 5, width), torch.randn(2, channels, 4, 4).requires_grad_())
    draw = drawn_from(torch.Generator().manual_seed(0))
    latents = denoise(unet, [condition], [draw], (channels, 12, 8), make_schedule(2, SchedulerConfig()))
    check_gradients(unet, latents.square().mean())
    assert bool(condition.references.grad.any()), "what the photo shows matters"


def test_the_autoencoder_learns(tiny_checkpoint: Path) -> None:
    vae = trainable(load_diffusers(tiny_checkpoint / "vae", "AutoencoderKL", "cpu", torch.float32))
    found = posterior(torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)), vae)
    picture = vae.decode(found.sample(torch.full_like(found.mean, 0.1)), return_dict=False)[0]
    check_gradients(vae, (picture - 0.5).square().mean())


def test_the_encoders_of_picture_and_text_learn(tiny_checkpoint: Path) -> None:
    vision: Any = trainable(load_clip_vision(tiny_checkpoint / "vision_encoder", "cpu", torch.float32))
    size = vision.config.image_size
    pixels = torch.rand(3, size, size, generator=torch.Generator().manual_seed(0)).numpy()
    check_gradients(vision, image_embedding(pixels, vision).square().mean())
    text = trainable(load_clip_text(tiny_checkpoint / "text_encoder", "cpu", torch.float32))
    check_gradients(text, empty_text(text).square().mean())
