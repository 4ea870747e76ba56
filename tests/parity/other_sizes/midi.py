"""The files of MIDI: transformer, autoencoder, encoders, denoising, the whole way to the field, meshes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import marching_cubes
from torch import Tensor

from models.image_processor import CLIP_COLOURS, Preprocessor
from models.midi.conditioning import encoder_inputs
from models.midi.pictures import framed
from models.midi.tiny import DINO_COLOURS
from models.midi.transformer import MidiTransformer, TransformerConfig
from models.midi.vae import MidiVae, VaeConfig
from tests.parity.other_sizes import plain_midi as plain
from tests.parity.other_sizes.reconstruction import doubled, random

Write = Callable[..., None]

INSTANCES, TOKENS, STEPS, GUIDANCE, SHIFT = 2, 9, 4, 3.5, 2.0
JOINT = (1, 2, 3)
TRANSFORMER = {"num_attention_heads": 3, "width": 36, "in_channels": 5, "num_layers": 5, "cross_attention_dim": 14,
               "cross_attention_2_dim": 30}  # fmt: skip
VAE = {"in_channels": 3, "latent_channels": 5, "num_attention_heads": 2, "width_encoder": 20, "width_decoder": 28,
       "num_layers_encoder": 1, "num_layers_decoder": 2, "embed_frequency": 5, "embed_include_pi": True}  # fmt: skip
CLIP_SIDE, DINO_SIDE = 42, 45
CLIP = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 3,
        "image_size": CLIP_SIDE, "patch_size": 14, "projection_dim": 14, "hidden_act": "quick_gelu"}  # fmt: skip
DINO = {"hidden_size": 30, "num_hidden_layers": 1, "num_attention_heads": 3, "image_size": 56, "patch_size": 14,
        "num_channels": 7, "mlp_ratio": 2}  # fmt: skip
CONTEXT = (DINO_SIDE // 14) ** 2 + 1
SCHEDULES = ((1, 2.5), (6, 1.0), (23, 2.5))
DYNAMIC = (5, 1.3)
GRID, DEPTH, SIDE = 6, 5, 52


def numbers(seed: int, *shape: int) -> Tensor:
    """Standard normal, as float32 has them."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@cache
def transformer_weights() -> dict[str, Tensor]:
    return random(MidiTransformer(TransformerConfig(**TRANSFORMER, multi_instance_blocks=JOINT)), 40)


@cache
def vae_weights() -> dict[str, Tensor]:
    return random(MidiVae(VaeConfig(**VAE)), 41)


@cache
def exact(weights: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    return doubled(weights())


def ask(latents: Tensor, times: Tensor, first: Tensor, second: Tensor, seen: plain.Seen | None) -> Any:
    heads, layers = TRANSFORMER["num_attention_heads"], TRANSFORMER["num_layers"]
    weights, given = exact(transformer_weights), (each.double() for each in (first, second))
    return plain.velocity(weights, latents.double(), times, *given, heads, layers, JOINT, seen)


def contexts(rows: int, seed: int, first_tokens: int = 1) -> tuple[Tensor, Tensor]:
    first = numbers(seed, rows, first_tokens, TRANSFORMER["cross_attention_dim"])
    return first, numbers(seed + 1, rows, CONTEXT, TRANSFORMER["cross_attention_2_dim"])


def twice(seen: plain.Seen) -> plain.Seen:
    """Without and with conditions: two halves that do not see each other."""
    return [*seen, *[[row + len(seen) for row in rows] for rows in seen]]


def transformer(write: Write) -> None:
    rows, width = 2 * INSTANCES, TRANSFORMER["width"]
    hidden, times = numbers(50, rows, TOKENS, TRANSFORMER["in_channels"]), torch.full((rows,), 437.5)
    first, second = contexts(rows, 51)
    first[:INSTANCES], second[:INSTANCES] = 0, 0
    together = twice(plain.scenes([INSTANCES], INSTANCES))
    joint, blocks = ask(hidden, times, first, second, together)
    longer, _ = contexts(rows, 53, 4)
    counts, slots = [1, 3], 3
    padded = 2 * len(counts) * slots
    pad_hidden, pad_times = numbers(55, padded, TOKENS, TRANSFORMER["in_channels"]), torch.full((padded,), 81.0)
    pad = contexts(padded, 56)
    one = slice(INSTANCES, INSTANCES + 1)
    tensors = {
        "in.hidden_states": hidden,
        "in.timestep": times,
        "in.encoder_hidden_states": first,
        "in.encoder_hidden_states_2": second,
        "out.mi": joint,
        "out.no_mi": ask(hidden, times, first, second, None)[0],
        "out.time_sinusoid": plain.sinusoid(times, width),
        "out.temb": plain.time_vector(exact(transformer_weights), times, width),
        **{f"out.block.{index}": each for index, each in enumerate(blocks)},
        "tok3.in.encoder_hidden_states": longer,
        "tok3.out": ask(hidden, times, longer, second, together)[0],
        "pad.in.hidden_states": pad_hidden,
        "pad.in.timestep": pad_times,
        "pad.in.encoder_hidden_states": pad[0],
        "pad.in.encoder_hidden_states_2": pad[1],
        "pad.in.num_instances": torch.tensor(counts),
        "pad.in.num_instances_per_batch": torch.tensor(slots),
        "pad.out": ask(pad_hidden, pad_times, *pad, twice(plain.scenes(counts, slots)))[0],
        "one.in.timestep": torch.tensor([640.0]),
        "one.out": ask(hidden[one], torch.tensor([640.0]), first[one], second[one], None)[0],
    }
    weights = {f"weight.{name}": each for name, each in transformer_weights().items()}
    write("transformer", tensors | weights, config={**TRANSFORMER, "mi_blocks": [f"blocks.{each}" for each in JOINT]})


def followed(noise: Tensor, given: tuple[Tensor, Tensor], seen: plain.Seen, guidance: float) -> list[Tensor]:
    """The latents after each step."""
    sigmas, times = plain.sigmas(STEPS, SHIFT)
    latents, found = noise.double(), []
    nothing = [torch.zeros_like(each) for each in given]
    for step in range(STEPS):
        time = times[step].expand(len(noise))
        velocity, _ = ask(latents, time, *given, seen)
        if guidance > 1:
            free, _ = ask(latents, time, *nothing, seen)
            velocity = free + guidance * (velocity - free)
        latents = latents + float(sigmas[step] - sigmas[step + 1]) * velocity
        found.append(latents)
    return found


def denoise(write: Write) -> None:
    given, noise = contexts(INSTANCES, 60), numbers(62, INSTANCES, TOKENS, TRANSFORMER["in_channels"])
    together = plain.scenes([INSTANCES], INSTANCES)
    steps = followed(noise, given, together, GUIDANCE)
    counts, slots = [2, 1], 3
    pad, pad_noise = contexts(6, 63), numbers(65, 6, TOKENS, TRANSFORMER["in_channels"])
    sigmas, times = plain.sigmas(STEPS, SHIFT)
    tensors = {
        "in.noise": noise,
        "in.image_embeds_1": given[0],
        "in.image_embeds_2": given[1],
        "in.steps": torch.tensor(STEPS),
        "in.guidance": torch.tensor(GUIDANCE),
        "in.shift": torch.tensor(SHIFT),
        "out.sigmas": sigmas,
        "out.timesteps": times,
        "out.latents_per_step": torch.stack(steps),
        "out.latents": steps[-1],
        "nocfg.out.latents": followed(noise, given, together, 1.0)[-1],
        "pad.in.noise": pad_noise,
        "pad.in.image_embeds_1": pad[0],
        "pad.in.image_embeds_2": pad[1],
        "pad.in.num_instances": torch.tensor(counts),
        "pad.in.num_instances_per_batch": torch.tensor(slots),
        "pad.out.latents": followed(pad_noise, pad, plain.scenes(counts, slots), GUIDANCE)[-1],
    }
    for count, shift in SCHEDULES:
        name = f"sched.steps{count}.shift{shift}"
        tensors[f"{name}.sigmas"], tensors[f"{name}.timesteps"] = plain.sigmas(count, shift)
    name = f"sched.steps{DYNAMIC[0]}.dynamic_mu{DYNAMIC[1]}"
    tensors[f"{name}.sigmas"], tensors[f"{name}.timesteps"] = plain.sigmas(DYNAMIC[0], mu=DYNAMIC[1])
    write("denoise", tensors)


def frequencies() -> Tensor:
    return torch.pi * 2.0 ** torch.arange(VAE["embed_frequency"], dtype=torch.float64)


def field(latents: Tensor, points: Tensor) -> Tensor:
    """Values [B, P, 1] of latents [B, T, channels] at points [B, P, 3]."""
    weights, layers, heads = exact(vae_weights), VAE["num_layers_decoder"], VAE["num_attention_heads"]
    known = plain.tokens(weights, latents.double(), layers, heads)
    return plain.values(weights, known, points.double(), frequencies(), layers, heads)


def vae(write: Write) -> None:
    weights, heads = exact(vae_weights), VAE["num_attention_heads"]
    latents, points = numbers(70, 2, TOKENS, VAE["latent_channels"]), numbers(71, 2, 37, 3)
    tensors: dict[str, Tensor] = {
        "dec.in.latents": latents,
        "dec.in.points": points,
        "dec.frequencies": frequencies(),
        "dec.kv_cache": plain.tokens(weights, latents.double(), VAE["num_layers_decoder"], heads),
        "dec.out": field(latents, points),
    }
    for case, count, seed in (("enc", 90, 3), ("enc2", 4 * TOKENS - 5, 8)):
        surface = numbers(72 + seed, 2, count, 6)
        indices = np.random.default_rng(seed).choice(count, 4 * TOKENS, replace=count < 4 * TOKENS)
        some = surface[:, indices]
        sampled = torch.stack([row[plain.spread(row[:, :3].double().numpy(), TOKENS)] for row in some])
        tensors |= {
            f"{case}.in.surface": surface,
            f"{case}.in.seed": torch.tensor(seed),
            f"{case}.choice_indices": torch.from_numpy(indices),
            f"{case}.sampled": sampled,
        }
    surface, noise = tensors["enc.in.surface"], numbers(90, 2, TOKENS, VAE["latent_channels"])
    told = plain.encoded(
        weights, tensors["enc.sampled"].double(), surface.double(), frequencies(), VAE["num_layers_encoder"], heads
    )
    mean, logvar = told.chunk(2, -1)
    tensors |= {
        "enc.in.num_tokens": torch.tensor(TOKENS),
        "enc.in.noise": noise,
        "enc.embed5": plain.embedded(surface[:, :4, :3].double(), frequencies()),
        "enc.out.mean": mean,
        "enc.out.logvar": logvar.clamp(-30, 20),
        "enc.out.sample": mean + (logvar.clamp(-30, 20) / 2).exp() * noise,
    }
    write("vae", tensors | {f"weight.{name}": each for name, each in vae_weights().items()}, config=VAE)


@cache
def encoders() -> tuple[Any, Any]:
    """transformers' own networks, in float64, with random numbers that float32 has."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

    made = []
    for seed, network in (
        (80, CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP))),
        (81, Dinov2Model(Dinov2Config(**DINO))),
    ):
        state = network.state_dict()
        found = random(network, seed)
        network.load_state_dict(
            {name: found[name] if state[name].is_floating_point() else state[name] for name in state}
        )
        made.append(network.double().eval())
    return made[0], made[1]


def told(clip_pixels: Tensor, dino_pixels: Tensor) -> tuple[Tensor, Tensor]:
    clip, dino = encoders()
    first = clip(pixel_values=clip_pixels.double()).image_embeds
    return first[:, None], dino(pixel_values=dino_pixels.double()).last_hidden_state


def image_encoders(write: Write) -> None:
    pixels = numbers(82, 2, 3, CLIP_SIDE, CLIP_SIDE), numbers(83, 2, 7, DINO_SIDE, DINO_SIDE)
    embeddings = told(*pixels)
    tensors = {
        "in.clip_pixels": pixels[0],
        "in.dino_pixels": pixels[1],
        "out.image_embeds_1": embeddings[0],
        "out.image_embeds_2": embeddings[1],
    }
    for prefix, network in zip(("clip", "dino"), encoders(), strict=True):
        state = network.state_dict().items()
        tensors |= {f"{prefix}.{name}": each for name, each in state if each.is_floating_point()}
    write("image_encoders", tensors, clip_config=CLIP, dino_config=DINO)


def picture(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A square picture of noise and its labels, written where the tests look."""
    rgb = np.random.default_rng(84).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[5:30, 8:25], labels[20:44, 28:47] = 60, 200
    Image.fromarray(rgb).save(folder / "golden_pre_inner_rgb.png")
    Image.fromarray(labels).save(folder / "golden_pre_inner_seg.png")
    return rgb, labels


def whole(write: Write, folder: Path) -> None:
    """From a picture to the field. Its pixels by our own code: what they are to be is in the reference's set alone."""
    write("preprocess", {}, clip_size=CLIP_SIDE, dino_size=DINO_SIDE)
    clip, dino = (
        Preprocessor(size=side, crop=(side, side), mean=colours[0], deviation=colours[1])
        for side, colours in ((CLIP_SIDE, CLIP_COLOURS), (DINO_SIDE, DINO_COLOURS))
    )
    given = told(*encoder_inputs(framed(*picture(folder), "none"), clip, dino, reference=True))
    noise = numbers(85, INSTANCES, TOKENS, TRANSFORMER["in_channels"])
    latents = followed(noise, given, plain.scenes([INSTANCES], INSTANCES), GUIDANCE)[-1]
    points = numbers(86, 1, 41, 3)
    full = torch.from_numpy(plain.lattice([-1.005] * 3, [1.005] * 3, GRID))
    low, high = np.array([[-0.7, -0.2, -0.5], [0.1, -0.9, -0.4]]), np.array([[0.3, 0.9, 0.2], [0.8, 0.1, 0.6]])
    second = [
        field(latents[row : row + 1], torch.from_numpy(plain.lattice(low[row], high[row], GRID))[None])
        for row in range(INSTANCES)
    ]
    tensors = {
        "in.latents": noise,
        "in.points": points,
        "out.image_embeds_1": given[0],
        "out.image_embeds_2": given[1],
        "out.latents": latents,
        "out.values": field(latents, points.expand(INSTANCES, -1, -1)),
        "out.grid_first_pass": field(latents, full.expand(INSTANCES, -1, -1)),
        "out.grid_second_pass": torch.cat(second),
        "out.bbox_min": torch.from_numpy(low),
        "out.bbox_max": torch.from_numpy(high),
    }
    write("end_to_end", tensors, ("out.bbox_min", "out.bbox_max"), steps=STEPS, guidance=GUIDANCE)


def solids() -> list[Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    """Distances: a ball, a ring, and nothing at all."""
    return [
        lambda points: np.linalg.norm(points - [0.2, -0.1, 0.15], axis=1) - 0.55,
        lambda points: np.hypot(np.hypot(points[:, 0], points[:, 2]) - 0.6, points[:, 1] - 0.1) - 0.27,
        lambda points: np.linalg.norm(points, axis=1) + 0.4,
    ]


def extraction(write: Write) -> None:
    count = 2**DEPTH + 1
    tensors: dict[str, Any] = {}
    for number, solid in enumerate(solids()):
        low, high = np.full(3, -1.005), np.full(3, 1.005)
        for name in (f"single.{number}", f"prog.{number}"):
            points = plain.lattice(low, high, count)
            grid = solid(points.astype(np.float64)).astype(np.float32).reshape((count,) * 3)
            smoothed = plain.box_mean(grid).astype(np.float32)
            tensors |= {f"{name}.bbox_min": low, f"{name}.bbox_max": high, f"{name}.bbox_size": high - low}
            tensors |= {f"{name}.grid": grid, f"{name}.smoothed": smoothed}
            inside = points[grid.ravel() <= 0]
            if len(inside):
                vertices, faces, _, _ = marching_cubes(smoothed, 0.0)
                tensors |= {
                    f"{name}.faces": faces.astype(np.int32),
                    f"{name}.vertices": vertices / count * (high - low) + low,
                }
                margin = np.float32(0.05)
                low, high = ((inside.min(0) - margin).astype(np.float64), (inside.max(0) + margin).astype(np.float64))
    tensors |= {
        "dense.points": plain.lattice([-0.5, 0.0, 0.25], [0.5, 2.0, 0.75], 4),
        "dense.grid_size": np.array([4, 4, 4]),
        "smooth.in": numbers(91, 4, 9, 6).numpy(),
    }
    tensors["smooth.out"] = plain.box_mean(tensors["smooth.in"])
    keep = tuple(name for name in tensors if ".bbox_" in name)
    write(
        "extract", {name: torch.from_numpy(np.array(each)) for name, each in tensors.items()}, keep, octree_depth=DEPTH
    )


def write_files(write: Write, folder: Path) -> None:
    """All files of the set; `folder` is where the tests look for pictures."""
    for make in (transformer, denoise, vae, image_encoders, extraction):
        make(write)
    whole(write, folder)
