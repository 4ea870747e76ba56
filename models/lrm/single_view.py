"""One picture of an object → its field: OpenLRM and MIRA, both after LRM (Hong et al. 2023, arXiv 2311.04400).

    network = SingleViewModel(config)
    planes = network.planes(pictures, cameras)  # [N, 3, C, R, R]
    field = DensityField(network.synthesizer.decoder, planes[0])

Three generations of checkpoints have the same function under different names (`single_view_names`); here it has those
of OpenLRM 1.1. They differ in the encoder, in the camera's numbers and in the order of scale and shift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from models.lrm.configs import EncoderConfig
from models.lrm.decoders import DensityDecoder
from models.lrm.dinov2 import DinoV2, DinoV2Config
from models.lrm.encoder import VisionTransformer
from models.lrm.modulated import CameraEmbedder, ModulatedTransformer, first_tokens, to_planes
from models.lrm.volume import LEAST_SAMPLES

Generation = Literal["mira", "openlrm-1.0", "openlrm-1.1"]

IMAGE_MEAN, IMAGE_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures that DINO was trained on; the encoder of OpenLRM 1.1 was trained along, on plain 0 … 1."""

MOST_SAMPLES = 4096

DINO = EncoderConfig(camera_width=0, position_offset=0.0)
DINO_V2 = DinoV2Config()


@dataclass(frozen=True)
class SingleViewConfig:
    """Sizes; the defaults are `openlrm-base-1.1`."""

    generation: Generation = "openlrm-1.1"
    encoder: DinoV2Config | EncoderConfig = DINO_V2
    camera_embedding: int = 1024
    width: int = 768
    layers: int = 12
    heads: int = 12
    low_resolution: int = 32
    plane_channels: int = 48
    samples_per_ray: int = 96

    def __post_init__(self) -> None:
        if isinstance(self.encoder, DinoV2Config) is not (self.generation == "openlrm-1.1"):
            raise ValueError(f"{self.generation} has another encoder than {type(self.encoder).__name__} describes.")
        for width, heads in ((self.width, self.heads), (self.encoder.width, self.encoder.heads)):
            if width % heads:
                raise ValueError(f"A width of {width} cannot be shared by {heads} attention heads.")
        if not LEAST_SAMPLES <= self.samples_per_ray <= MOST_SAMPLES or self.samples_per_ray % 2:
            raise ValueError(
                f"{self.samples_per_ray} samples along a ray; an even number from {LEAST_SAMPLES} to {MOST_SAMPLES}."
            )

    @property
    def dropout(self) -> float:
        """Share of the feed-forwards' numbers that training leaves out."""
        return 0.1 if self.generation == "mira" else 0.0

    @property
    def camera_numbers(self) -> int:
        """How many tell of the source camera: its pose, 3×4 or with the last row, and fx, fy, cx, cy."""
        return 20 if self.generation == "mira" else 16


class Encoder(nn.Module):
    """Pictures 0 … 1 → tokens, by either generation of DINO."""

    def __init__(self, config: DinoV2Config | EncoderConfig) -> None:
        super().__init__()
        self.model: DinoV2 | VisionTransformer = (
            DinoV2(config) if isinstance(config, DinoV2Config) else VisionTransformer(config)
        )

    def forward(self, pictures: Tensor, after_layer: Callable[[], None] | None = None) -> Tensor:
        """[N, 3, H, W] → [N, 1 + patches, width of the encoder]."""
        if isinstance(self.model, DinoV2):
            tokens: Tensor = self.model(pictures, after_layer)
        else:
            mean, deviation = (pictures.new_tensor(each)[:, None, None] for each in (IMAGE_MEAN, IMAGE_DEVIATION))
            tokens = self.model((pictures - mean) / deviation, None, after_layer)
        return tokens


class Synthesizer(nn.Module):
    """Holds the decoder under its published name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.decoder = DensityDecoder(channels)


class SingleViewModel(nn.Module):
    """All networks, under the names of OpenLRM 1.1."""

    def __init__(self, config: SingleViewConfig) -> None:
        super().__init__()
        self.config = config
        scale_first = config.generation == "mira"
        self.encoder = Encoder(config.encoder)
        self.camera_embedder = CameraEmbedder(config.camera_numbers, config.camera_embedding)
        self.pos_embed = first_tokens(config.low_resolution, config.width)
        self.transformer = ModulatedTransformer(
            config.width,
            config.layers,
            config.heads,
            config.encoder.width,
            config.camera_embedding,
            scale_first,
            config.dropout,
        )
        self.upsampler = nn.ConvTranspose2d(config.width, config.plane_channels, kernel_size=2, stride=2)
        self.synthesizer = Synthesizer(config.plane_channels)

    def planes(self, pictures: Tensor, cameras: Tensor, after_layer: Callable[[], None] | None = None) -> Tensor:
        """Pictures of N objects, one each → their planes.

        Encoder and transformer may be in 16 bits; the camera's numbers and the planes are in the decoder's precision.

        Args:
            pictures: [N, 3, H, W], 0 … 1, the object on white; both sides multiples of the patch size.
            cameras: [N, `camera_numbers`], see `cameras.camera_vectors`.
            after_layer: called after each block of encoder and transformer; an exception from it ends the work.

        Returns:
            [N, 3, plane_channels, 2 · low_resolution, 2 · low_resolution].
        """
        tokens = self.encoder(pictures.to(self.pos_embed.dtype), after_layer)
        return self.planes_of_tokens(tokens, cameras, after_layer)

    def planes_of_tokens(
        self, tokens: Tensor, cameras: Tensor, after_layer: Callable[[], None] | None = None
    ) -> Tensor:
        """The second half of `planes`: from what the encoder gave, [N, 1 + patches, width of the encoder]."""
        dtype, precise = self.pos_embed.dtype, next(self.camera_embedder.parameters()).dtype
        hidden = self.pos_embed.expand(len(tokens), -1, -1)
        camera = self.camera_embedder(cameras.to(precise)).to(dtype)
        planes = to_planes(self.transformer(hidden, tokens, camera, after_layer), self.upsampler)
        return planes.to(precise)


OFFICIAL: dict[str, SingleViewConfig] = {
    "openlrm-small-1.1": SingleViewConfig(
        encoder=DinoV2Config(width=384, heads=6), width=512, heads=8, plane_channels=32
    ),
    "openlrm-base-1.1": SingleViewConfig(),
    "openlrm-large-1.1": SingleViewConfig(width=1024, layers=16, heads=16, plane_channels=80, samples_per_ray=128),
    # Of 1.0 the heads are assumed: a checkpoint tells them itself.
    "openlrm-small-obj-1.0": SingleViewConfig("openlrm-1.0", DINO, camera_embedding=768, plane_channels=32),
    "openlrm-base-obj-1.0": SingleViewConfig("openlrm-1.0", DINO, width=1024, heads=16, plane_channels=40),
    "openlrm-large-obj-1.0": SingleViewConfig(
        "openlrm-1.0", DINO, width=1024, layers=16, heads=16, plane_channels=80, samples_per_ray=128
    ),
    "mira": SingleViewConfig("mira", DINO, width=1024, layers=6, heads=8, plane_channels=80, samples_per_ray=128),
}
