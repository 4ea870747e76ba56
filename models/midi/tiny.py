"""Checkpoints in the published folder layout, from any weights; and a tiny random one for trying the whole way.

The tiny one has every part of the real one at a few kilobytes. Its networks are random but for one thing: the field is
pulled towards a ball, so that every latent decodes to one closed blob.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.image_processor import CLIP_COLOURS
from models.midi.conditioning import RENAMED
from models.midi.transformer import MidiTransformer, TransformerConfig
from models.midi.vae import MidiVae, VaeConfig
from models.writing import write_json, write_safetensors

TRANSFORMER = TransformerConfig(4, 64, 8, 7, 24, 40)
VAE = VaeConfig(3, 8, 4, 32, 48, 2, 3)
CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
    "projection_dim": 24,
    "hidden_act": "quick_gelu",
}
DINO = {
    "model_type": "dinov2",
    "hidden_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 70,
    "patch_size": 14,
    "num_channels": 7,
    "mlp_ratio": 4,
}
BLOB_RADIUS = 0.55

# Mean and standard deviation of the colours that DINOv2 was trained with.
DINO_COLOURS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Part:
    """One folder with a network: class name, configuration, tensors by their published names."""

    class_name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def write_checkpoint(
    folder: Path,
    parts: Mapping[str, Part],
    clip_size: int,
    dino_size: int,
    shift: float = 1.0,
    shard_bytes: int | None = None,
) -> Path:
    """Writes `transformer`, `vae`, `image_encoder_1`, `image_encoder_2` and the small files around them.

    Args:
        folder: made if it does not exist.
        parts: by folder name.
        clip_size, dino_size: pixels that the encoders take.
        shift: of the scheduler.
        shard_bytes: begin a new file where a part would grow beyond this; one file per part if None.
    """
    index: dict[str, Any] = {"_class_name": "MIDIPipeline"}
    for name, part in parts.items():
        ours = name in ("transformer", "vae")
        stem = "diffusion_pytorch_model" if ours else "model"
        _write_tensors(folder / name, stem, part.tensors, shard_bytes)
        named = {"_class_name": part.class_name} if ours else {"architectures": [part.class_name]}
        write_json(folder / name / "config.json", {**named, **part.config})
        index[name] = ["midi" if ours else "transformers", part.class_name]
    scheduler = {"num_train_timesteps": 1000, "shift": shift, "use_dynamic_shifting": False}
    write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": "RectifiedFlowScheduler", **scheduler})
    index["scheduler"] = ["midi", "RectifiedFlowScheduler"]
    processors = (("CLIPImageProcessor", clip_size, CLIP_COLOURS), ("BitImageProcessor", dino_size, DINO_COLOURS))
    for number, (class_name, size, (mean, deviation)) in enumerate(processors, 1):
        content = {
            "image_processor_type": class_name,
            "size": {"shortest_edge": size},
            "crop_size": {"height": size, "width": size},
            "resample": 3,
            "image_mean": mean,
            "image_std": deviation,
        }
        write_json(folder / f"feature_extractor_{number}" / "preprocessor_config.json", content)
        index[f"feature_extractor_{number}"] = ["transformers", class_name]
    write_json(folder / "model_index.json", index)
    return folder


def write_tiny_checkpoint(folder: Path, seed: int = 0, shard_bytes: int | None = None) -> Path:
    """A complete random checkpoint of about 1 MB; the same for the same seed."""
    return write_checkpoint(folder, tiny_parts(seed), clip_size=56, dino_size=64, shard_bytes=shard_bytes)


def tiny_parts(seed: int = 0) -> dict[str, Part]:
    """The networks of `write_tiny_checkpoint`."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = MidiTransformer(TRANSFORMER)
        vae = _with_blobs(MidiVae(VAE))
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(CLIP))
        dino = Dinov2Model(Dinov2Config.from_dict(DINO))
    published = {_published_name(name): tensor for name, tensor in dino.state_dict().items()}
    return {
        "transformer": Part("TripoSGDiTModel", asdict(TRANSFORMER), transformer.state_dict()),
        "vae": Part("TripoSGVAEModel", asdict(VAE), vae.state_dict()),
        "image_encoder_1": Part("CLIPVisionModelWithProjection", CLIP, clip.state_dict()),
        "image_encoder_2": Part("Dinov2Model", DINO, published),
    }


def _with_blobs(vae: MidiVae) -> MidiVae:
    """Adds to the query a direction that grows towards the centre, and lets the output read that direction.

    The direction's strength is cos 2x + cos 2y + cos 2z, which falls with the distance from the centre.
    """
    frequencies = vae.config.embed_frequency
    decoder = vae.decoder
    with torch.no_grad():
        direction = torch.randn(vae.config.width_decoder)
        direction = direction - direction.mean()
        direction = direction / direction.norm()
        # The fine frequencies would make the surface rough.
        decoder.proj_query.weight[:, 3:] *= 0.1
        for axis in range(3):
            decoder.proj_query.weight[:, 3 + 3 * frequencies + axis * frequencies + 1] += 2.0 * direction
        surface = torch.tensor([BLOB_RADIUS, 0.0, 0.0])
        decoder.proj_query.bias.sub_(2.0 * (2.0 * surface).cos().sum() * direction)
        decoder.proj_out.weight.copy_(direction)
        decoder.proj_out.bias.zero_()
    return vae


def _published_name(name: str) -> str:
    for old, new in RENAMED:
        name = name.replace(new, old)
    return name


def _write_tensors(folder: Path, stem: str, tensors: Mapping[str, Tensor], shard_bytes: int | None) -> None:
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        if shard_bytes is not None and shards[-1] and filled + tensor.nbytes > shard_bytes:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor.contiguous()
        filled += tensor.nbytes
    if len(shards) == 1:
        write_safetensors(folder / f"{stem}.safetensors", shards[0])
        return
    placed: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        file = f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / file, shard)
        placed |= dict.fromkeys(shard, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": placed})
