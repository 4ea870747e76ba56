"""Sizes of the reconstruction model, read from the shapes of a checkpoint; the four that were published."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.loading import MOST_LAYERS, CheckpointForeign

Kind = Literal["mesh", "density"]
"""What the planes are decoded to: a signed distance with deformation and weights, or a density (the NeRF variants)."""

HEAD_WIDTH = 64
"""Channels per attention head in every published variant. Shapes do not tell it."""


@dataclass(frozen=True)
class EncoderConfig:
    """The image encoder: DINO ViT-B/16, with a camera input unless `camera_width` is 0.

    position_offset: parts of a patch that were added to the size of the grid when positions were resized in training.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    inner_width: int = 3072
    image_size: int = 224  # pixels that the position table was made for
    patch_size: int = 16
    image_channels: int = 3
    camera_width: int = 16
    position_offset: float = 0.1


@dataclass(frozen=True)
class TransformerConfig:
    """The transformer from image tokens to three planes."""

    width: int = 1024
    layers: int = 16
    heads: int = 16
    context_width: int = 768
    low_resolution: int = 32  # tokens along each side of a plane; the planes themselves are twice as fine
    plane_channels: int = 80


@dataclass(frozen=True)
class LrmConfig:
    """The whole model. The defaults are `instant_mesh_large`."""

    encoder: EncoderConfig = EncoderConfig()
    transformer: TransformerConfig = TransformerConfig()
    kind: Kind = "mesh"

    @property
    def variant(self) -> str | None:
        """The name of the published variant that this is, None if it is another one."""
        return next((name for name, config in VARIANTS.items() if config == self), None)

    @property
    def samples_per_ray(self) -> int:
        """As published for volume rendering: 96 with the base planes, 128 with the large ones."""
        return 96 if self.transformer.plane_channels <= 40 else 128


_BASE = TransformerConfig(layers=12, plane_channels=40)
_LARGE = TransformerConfig()
VARIANTS: dict[str, LrmConfig] = {
    "instant_mesh_base": LrmConfig(transformer=_BASE, kind="mesh"),
    "instant_mesh_large": LrmConfig(transformer=_LARGE, kind="mesh"),
    "instant_nerf_base": LrmConfig(transformer=_BASE, kind="density"),
    "instant_nerf_large": LrmConfig(transformer=_LARGE, kind="density"),
}


class Shapes:
    """The shapes of a checkpoint's tensors, asked for sizes.

    Args:
        shapes: by name in the network.
        place: the file, for messages.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], place: Path) -> None:
        self._shapes, self.place = shapes, place

    def of(self, name: str, axes: int) -> tuple[int, ...]:
        """The shape of a tensor that tells a size.

        Raises:
            CheckpointForeign: it is missing, empty, or has another number of axes.
        """
        found = self._shapes.get(name)
        if found is None:
            raise CheckpointForeign(f"{self.place}: {name} is missing; this is the checkpoint of another network.")
        if len(found) != axes or not all(found):
            raise CheckpointForeign(f"{self.place}: {name} has the shape {list(found)}; {axes} axes are expected.")
        return found

    def layers(self, prefix: str) -> int:
        """How many numbered parts there are under a name.

        Raises:
            CheckpointForeign: none, or more than any network here has.
        """
        pattern = re.compile(rf"{re.escape(prefix)}\.(\d{{1,4}})\.")
        count = max((int(match[1]) for name in self._shapes if (match := pattern.match(name))), default=-1) + 1
        if not 0 < count <= MOST_LAYERS:
            raise CheckpointForeign(f"{self.place}: {prefix} has {count} layers; 1 to {MOST_LAYERS} are expected.")
        return count


def vision_config(
    sizes: Shapes, camera_width: int = 0, position_offset: float = 0.0, head_width: int = HEAD_WIDTH
) -> EncoderConfig:
    """The sizes of a ViT under the names of Hugging Face. Arguments: `EncoderConfig`. Errors: `Shapes`."""
    width, image_channels, patch_size, _ = sizes.of("encoder.model.embeddings.patch_embeddings.projection.weight", 4)
    patches = sizes.of("encoder.model.embeddings.position_embeddings", 3)[1] - 1
    return EncoderConfig(
        width=width,
        layers=sizes.layers("encoder.model.encoder.layer"),
        heads=max(width // head_width, 1),
        inner_width=sizes.of("encoder.model.encoder.layer.0.intermediate.dense.weight", 2)[0],
        image_size=math.isqrt(patches) * patch_size,
        patch_size=patch_size,
        image_channels=image_channels,
        camera_width=camera_width,
        position_offset=position_offset,
    )


def config_of(shapes: Mapping[str, tuple[int, ...]], place: Path, head_width: int = HEAD_WIDTH) -> LrmConfig:
    """The sizes that a checkpoint has.

    Args:
        shapes: of all its tensors, by name without prefix.
        place: the file, for messages.
        head_width: channels per attention head.

    Raises:
        CheckpointForeign: a tensor that tells a size is missing, or has another number of axes than it should.
    """
    sizes = Shapes(shapes, place)
    shape = sizes.of
    camera_width = shape("encoder.camera_embedder.0.weight", 2)[1]
    encoder = vision_config(sizes, camera_width, EncoderConfig.position_offset, head_width)
    plane_width, plane_channels, _, _ = shape("transformer.deconv.weight", 4)
    tokens = shape("transformer.pos_embed", 3)[1]
    mesh = any(name.startswith("synthesizer.decoder.net_sdf.") for name in shapes)
    if not mesh:
        shape("synthesizer.decoder.net.0.weight", 2)
    return LrmConfig(
        encoder,
        TransformerConfig(
            width=plane_width,
            layers=sizes.layers("transformer.layers"),
            heads=max(plane_width // head_width, 1),
            context_width=encoder.width,
            low_resolution=math.isqrt(tokens // 3),
            plane_channels=plane_channels,
        ),
        "mesh" if mesh else "density",
    )
