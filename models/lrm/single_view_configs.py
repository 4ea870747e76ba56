"""What the configurations beside single-view checkpoints say, held against the tensors before a network is built.

OpenLRM states the arguments of its constructor, 1.1 in `config.json`, 1.0 within the checkpoint. MIRA states twenty-two
settings in `config.json`, those of training among them; all have to be there and no others. The encoder's sizes stand
in neither: they are read from the shapes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.headers import CheckpointForeign
from models.lrm.cameras import CENTRE, FOCAL
from models.lrm.configs import HEAD_WIDTH, Shapes, vision_config
from models.lrm.dinov2 import DinoV2Config
from models.lrm.single_view import Generation, SingleViewConfig

OPENLRM_NAMES = {
    "camera_embedding": "camera_embed_dim",
    "width": "transformer_dim",
    "layers": "transformer_layers",
    "heads": "transformer_heads",
    "low_resolution": "triplane_low_res",
    "plane_channels": "triplane_dim",
    "samples_per_ray": "rendering_samples_per_ray",
}
MIRA_NAMES = {
    "camera_embedding": "camera_embed_dim",
    "width": "decoder_hidden_dim",
    "layers": "num_layers",
    "heads": "num_heads",
    "low_resolution": "triplane_feat_res",
    "plane_channels": "triplane_dim",
    "samples_per_ray": "rendering_samples_per_ray",
}
"""What the sizes of `SingleViewConfig` are called."""

MIRA_SETTINGS: dict[str, Any] = {
    "weight_decay": 0.005,
    "learning_rate": 4e-4,
    "batch_size": 4,
    "render_size": 128,
    "source_size": 128,
    "lpips_net": "alex",
    "num_epochs": 1000,
    "save_every_epoch": 10,
    "focal_length": FOCAL,
    "principal_point": CENTRE,
    "supervision_k": 4,
    "model_preloading_strategy": "latest",
    "model_save_path": "checkpoints",
    "data_dir": "",
}
"""MIRA's published settings beside the sizes of its networks."""

DINO_V2_NAMES = {384: "dinov2_vits14_reg", 768: "dinov2_vitb14_reg", 1024: "dinov2_vitl14_reg"}
DINO_NAME = "facebook/dino-vitb16"

PICTURE_SIZES = {512: (224, 192), 768: (336, 288), 1024: (448, 384)}
"""Sides of source and rendered pictures of OpenLRM 1.1 by its width: published beside the checkpoints, not in them."""

LARGEST_PICTURE = 4096


def openlrm_config(
    stated: Mapping[str, Any], sizes: Shapes, generation: Generation, place: str | Path
) -> SingleViewConfig:
    """The networks of an OpenLRM checkpoint.

    Args:
        stated: what its configuration says.
        sizes: of its tensors, under the names of the network.
        generation: of its names.
        place: of the configuration, for messages.

    Raises:
        CheckpointForeign: something is missing, no size, or not the size of the tensors.
    """
    expected = "dinov2" if generation == "openlrm-1.1" else "dino"
    encoder = stated.get("encoder_type", expected)
    if not isinstance(encoder, str) or encoder.lower() != expected:
        raise CheckpointForeign(f"{place}: encoder_type is {encoder!r}; of {generation} it is {expected!r}.")
    config = _config(stated, OPENLRM_NAMES, sizes, generation, place)
    _agree(stated, "triplane_high_res", 2 * config.low_resolution, place)
    if "encoder_feat_dim" in stated:
        _agree(stated, "encoder_feat_dim", config.encoder.width, place)
    return config


def mira_config(stated: Mapping[str, Any], sizes: Shapes, place: str | Path) -> SingleViewConfig:
    """The networks of a MIRA checkpoint. Arguments and errors: `openlrm_config`."""
    known = {"camera_matrix_dim", "triplane_res", *MIRA_NAMES.values(), *MIRA_SETTINGS}
    if missing := sorted(known - stated.keys()):
        raise CheckpointForeign(
            f"{place} lacks {missing[0]}, and {len(missing) - 1} more settings that MIRA's has."
            if len(missing) > 1
            else f"{place} lacks {missing[0]}, which MIRA's configuration has."
        )
    if unknown := sorted(stated.keys() - known):
        raise CheckpointForeign(f"{place} has {unknown[0][:60]}, which MIRA's configuration does not know.")
    config = _config(stated, MIRA_NAMES, sizes, "mira", place)
    _agree(stated, "camera_matrix_dim", config.camera_numbers, place)
    _agree(stated, "triplane_res", 2 * config.low_resolution, place)
    for name, value in (("focal_length", FOCAL), ("principal_point", CENTRE)):
        if stated[name] != value:
            raise CheckpointForeign(f"{place}: {name} is {stated[name]!r}; cameras here have {value}.")
    return config


def openlrm_settings(config: SingleViewConfig) -> dict[str, Any]:
    """The arguments of OpenLRM's constructor, as `config.json` of 1.1 and the checkpoints of 1.0 state them."""
    settings = {there: getattr(config, here) for here, there in OPENLRM_NAMES.items()}
    settings |= {"triplane_high_res": 2 * config.low_resolution, "encoder_feat_dim": config.encoder.width}
    if isinstance(config.encoder, DinoV2Config):
        # Smaller networks than the published ones have no name; their sizes show in the tensors.
        name = DINO_V2_NAMES.get(config.encoder.width, "dinov2_reg")
        return settings | {"encoder_type": "dinov2", "encoder_model_name": name, "encoder_freeze": False}
    return settings | {"encoder_model_name": DINO_NAME, "encoder_freeze": True}


def mira_settings(config: SingleViewConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    """MIRA's `config.json`: the sizes of the networks, and settings in place of the published `MIRA_SETTINGS`.

    Raises:
        ValueError: a setting that MIRA does not know.
    """
    if unknown := sorted(settings.keys() - MIRA_SETTINGS.keys()):
        raise ValueError(f"MIRA has no setting {unknown[0]}; there are {', '.join(MIRA_SETTINGS)}.")
    sizes = {there: getattr(config, here) for here, there in MIRA_NAMES.items()}
    sizes |= {"camera_matrix_dim": config.camera_numbers, "triplane_res": 2 * config.low_resolution}
    return sizes | MIRA_SETTINGS | dict(settings)


def check_writable(config: SingleViewConfig, pictures: Mapping[str, Any]) -> None:
    """Raises CheckpointForeign if a reader could not tell the encoder's heads, which no published layout states, or
    would refuse the sizes of pictures."""
    encoder = config.encoder
    if encoder.heads != max(encoder.width // HEAD_WIDTH, 1):
        raise CheckpointForeign(
            f"An encoder of width {encoder.width} with {encoder.heads} heads cannot be written: "
            f"the published layouts have no room for another number than one for each {HEAD_WIDTH} channels."
        )
    picture_sizes(pictures, config, "The checkpoint to be written")


def picture_sizes(stated: Mapping[str, Any], config: SingleViewConfig, place: str | Path) -> tuple[int, int]:
    """Sides of the picture that is given and of those that are rendered. Errors: `picture_size`."""
    source = picture_size(stated, "source_size", config.encoder.patch_size, place)
    return source, picture_size(stated, "render_size", 1, place)


def picture_size(stated: Mapping[str, Any], name: str, multiple: int, place: str | Path) -> int:
    """The side of a square picture, in pixels.

    Raises:
        CheckpointForeign: missing, no size, or not a multiple of `multiple`.
    """
    size = _size(stated, name, place)
    if size > LARGEST_PICTURE or size % multiple:
        raise CheckpointForeign(
            f"{place}: {name} is {size}; a multiple of {multiple}, {LARGEST_PICTURE} at most, is expected."
        )
    return size


def _config(
    stated: Mapping[str, Any], names: Mapping[str, str], sizes: Shapes, generation: Generation, place: str | Path
) -> SingleViewConfig:
    values = {here: _size(stated, there, place) for here, there in names.items()}
    tokens, width = sizes.of("pos_embed", 3)[1:]
    found = {
        "camera_embedding": sizes.of("camera_embedder.mlp.0.weight", 2)[0],
        "width": width,
        "layers": sizes.layers("transformer.layers"),
        "low_resolution": math.isqrt(tokens // 3),
        "plane_channels": sizes.of("upsampler.weight", 4)[1],
    }
    for name, size in found.items():
        if values[name] != size:
            raise CheckpointForeign(
                f"{place}: {names[name]} is {values[name]}, and the tensors of {sizes.place.name} have {size}; "
                "they belong to different checkpoints."
            )
    encoder = _dino_v2(sizes) if generation == "openlrm-1.1" else vision_config(sizes)
    try:
        return SingleViewConfig(generation, encoder, **values)
    except ValueError as error:
        raise CheckpointForeign(f"{place}: {error}") from error


def _dino_v2(sizes: Shapes) -> DinoV2Config:
    width, _, patch_size, _ = sizes.of("encoder.model.patch_embed.proj.weight", 4)
    patches = sizes.of("encoder.model.pos_embed", 3)[1] - 1
    return DinoV2Config(
        width=width,
        layers=sizes.layers("encoder.model.blocks"),
        heads=max(width // HEAD_WIDTH, 1),
        patch_size=patch_size,
        image_size=math.isqrt(patches) * patch_size,
        registers=sizes.of("encoder.model.register_tokens", 3)[1],
    )


def _size(stated: Mapping[str, Any], name: str, place: str | Path) -> int:
    if name not in stated:
        raise CheckpointForeign(f"{place} lacks {name}; it is the configuration of something else.")
    value = stated[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1_000_000:
        raise CheckpointForeign(f"{place}: {name} is {str(value)[:60]!r}, which is no size.")
    return value


def _agree(stated: Mapping[str, Any], name: str, expected: int, place: str | Path) -> None:
    if (value := _size(stated, name, place)) != expected:
        raise CheckpointForeign(f"{place}: {name} is {value}; with these networks it is {expected}.")
