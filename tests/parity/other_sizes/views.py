"""A whole run of Zero123++ with networks of other widths, another number of steps and of tokens.

Diffusion networks and attention to the reference by our own code, in float64; steps and noising by `plain.py` and here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.image_processor import Preprocessor
from models.zero123plus.pictures import on_white
from models.zero123plus.pipeline import Zero123Plus
from models.zero123plus.reference import connected
from models.zero123plus.tiny import Part, write_checkpoint
from tests.parity.other_sizes import plain
from tests.parity.other_sizes.reconstruction import random

WIDTH, TOKENS, STEPS, GUIDANCE, VAE_SIDE, CLIP_SIDE = 20, 11, 4, 3.0, 24, 42
SHEET = (4, 24, 16)  # latents of it
SCHEDULES = (5, 17, 40)
UNET = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": [8, 16],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "norm_num_groups": 4,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": [1, 4],
    "use_linear_projection": True,
    "norm_eps": 1e-5,
}
VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [6, 9],
    "layers_per_block": 1,
    "norm_num_groups": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "scaling_factor": 0.18215,
    "sample_size": 32,
}
TEXT = {
    "hidden_size": WIDTH,
    "intermediate_size": 28,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "vocab_size": 6,
    "max_position_embeddings": TOKENS,
    "hidden_act": "gelu",
    "projection_dim": WIDTH,
    "bos_token_id": 4,
    "eos_token_id": 5,
    "pad_token_id": 0,
}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 36,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "image_size": CLIP_SIDE,
    "patch_size": 14,
    "projection_dim": WIDTH,
    "hidden_act": "gelu",
}


def networks() -> dict[str, Part]:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    made: tuple[tuple[str, str, Any, dict[str, Any]], ...] = (
        ("unet", "diffusers", UNet2DConditionModel(**UNET), UNET),
        ("vae", "diffusers", AutoencoderKL(**VAE), VAE),
        ("vision_encoder", "transformers", CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)), VISION),
        ("text_encoder", "transformers", CLIPTextModel(CLIPTextConfig(**TEXT)), TEXT),
    )
    parts = {}
    for seed, (name, library, network, config) in enumerate(made, 20):
        numbers = random(network, seed)
        floating = {key: each.is_floating_point() for key, each in network.state_dict().items()}
        tensors = {key: numbers[key] if floating[key] else network.state_dict()[key] for key in floating}
        parts[name] = Part(library, type(network).__name__, config, tensors)
    return parts


def views(write: Callable[..., None]) -> None:
    parts, generator = networks(), torch.Generator().manual_seed(30)
    ramp = torch.linspace(0.1, 1.2, TOKENS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(folder, parts, ramp.double().tolist(), VAE_SIDE, CLIP_SIDE)
        pipeline = Zero123Plus.from_pretrained(folder)
        text = pipeline.text
        unet, vae, vision = (pipeline.parts[each].double() for each in ("unet", "vae", "vision_encoder"))
        tensors = run(pipeline, (unet, vae, vision), text, ramp, generator)
    for steps in SCHEDULES:
        tensors[f"scheduler.{steps}.timesteps"], tensors[f"scheduler.{steps}.sigmas"] = plain.schedule(steps)
    tensors["scheduler.alphas_cumprod"] = plain.kept_shares()

    for part in parts:
        tensors |= {f"w.{part}.{key}": each for key, each in parts[part].tensors.items()}
    config = {
        "unet": UNET,
        "vae": VAE,
        "text": TEXT,
        "vis": VISION,
        "vae_px": VAE_SIDE,
        "clip_px": CLIP_SIDE,
        "w": 2 * SHEET[2],
        "h": 2 * SHEET[1],
        "steps": STEPS,
        "gs": GUIDANCE,
    }
    write("zero123plus", tensors, config=config)


def run(
    pipeline: Zero123Plus, parts: tuple[Any, Any, Any], text: Tensor, ramp: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    unet, vae, vision = parts
    photo = np.random.default_rng(31).integers(0, 256, (50, 50, 4), np.uint8)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def seen(preprocessor: Preprocessor) -> Tensor:
        return torch.from_numpy(preprocessor.pixels(on_white(photo)))[None]

    pixels, small = seen(pipeline.vae_preprocessor), seen(pipeline.clip_preprocessor)
    image = vision(pixel_values=small.double()).image_embeds
    embeddings = torch.stack([text, text + ramp[:, None] * image[0]]).float()
    drawn = {f"noise.{each}": noise(1, 4, VAE_SIDE // 2, VAE_SIDE // 2) for each in ("vae_cond", "vae_negative")}
    references = {}
    for each, picture in (("cond", pixels), ("negative", torch.zeros_like(pixels))):
        told = vae.encode(picture.double()).latent_dist
        references[each] = (told.mean + told.std * drawn[f"noise.vae_{each}"].double()).float()
    times, sigmas = plain.schedule(STEPS)
    both = torch.cat([references["negative"], references["cond"]]).double()
    drawn["noise.initial"] = noise(1, *SHEET)
    latents = drawn["noise.initial"].double() * float(sigmas[0])
    tensors: dict[str, Tensor] = {}
    for step in range(STEPS):
        sigma, following = float(sigmas[step]), float(sigmas[step + 1])
        drawn[f"noise.ref.step{step}"] = noise(*both.shape)
        drawn[f"noise.ancestral.step{step}"] = noise(1, *SHEET)
        shrunk = 1 / (1 + sigma**2) ** 0.5
        looked_at = (both + sigma * drawn[f"noise.ref.step{step}"].double()) * shrunk
        sample = torch.cat([latents, latents]) * shrunk
        with connected(unet) as attention:
            attention.look(looked_at, times[step], embeddings.double())
            kept = {f"mid.step{step}.ref.{name}.processor": each for name, each in attention.kept.items()}
            v = attention.predict(sample, times[step], embeddings.double())
        tensors |= kept | {
            f"mid.step{step}.noisy_cond_lat": looked_at,
            f"mid.step{step}.model_input": sample,
            f"mid.step{step}.v_pred_uncond_cond": v,
        }
        guided = v[:1] + GUIDANCE * (v[1:] - v[:1])
        data = latents * shrunk**2 - guided * sigma * shrunk
        fresh = following * (1 - (following / sigma) ** 2) ** 0.5
        kept_noise = (following**2 - fresh**2) ** 0.5
        latents = data + (latents - data) / sigma * kept_noise
        latents = latents + fresh * drawn[f"noise.ancestral.step{step}"].double()
        tensors[f"out.step{step}.latents"] = latents
    unscaled = latents / 0.75 + 0.22
    decoded = vae.decode(unscaled / VAE["scaling_factor"]).sample[0] / 0.5 * 0.8
    return {
        **tensors,
        **drawn,
        "in.image_rgba": torch.from_numpy(photo),
        "in.ramping_coefficients": ramp,
        "mid.vae_pixels": pixels,
        "mid.clip_pixels": small,
        "mid.image_embeds": image,
        "mid.text_embeds_empty": text[None],
        "mid.prompt_embeds_uncond_cond": embeddings,
        "mid.cond_lat": references["cond"],
        "mid.negative_lat": references["negative"],
        "mid.timesteps": times,
        "mid.sigmas": sigmas,
        "mid.init_noise_sigma": sigmas[:1],
        "out.latents_final": latents,
        "out.latents_unscaled": unscaled,
        "out.image": (decoded / 2 + 0.5).clamp(0, 1).permute(1, 2, 0),
    }
