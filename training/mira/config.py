"""What can be set of a training run: a TOML file, checked before anything is read or made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.lrm.single_view import Generation
from training import config
from training.config import Part, Positive, Range, Run, Share, ascending, read_file


class Data(config.Data):
    """[data]: the objects."""

    cache: Path | None = Field(
        default=None,
        description="Where pictures are kept ready to be mapped into memory; `<run folder>/cache` if left out.",
    )
    picture_size: int = Field(default=256, ge=16, le=2048, description="Longer side of the kept pictures, pixels.")
    elevations: Range = Field(
        default=(-90.0, 90.0),
        description="A view is a source only if its camera looks down at an angle between these, degrees.",
    )
    supervised: Positive = Field(
        default=4, description="Views of each object that are compared with the truth, the source among them."
    )
    scale: Annotated[float, Field(gt=0.0, le=4.0)] = Field(
        default=1.0,
        description="What the world is multiplied with, so that objects fit the field's box of [-1, 1] when turned.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Data:
        ascending("elevations", self.elevations)
        return self


class Crops(Part):
    """[crops]: which part of its picture the network is given. The camera that it is told of changes along."""

    source: Literal["frame", "random", "object"] = Field(
        default="frame",
        description="The whole picture; a random part (MIRA); or a part around the object, square in its world.",
    )
    area: tuple[Share, Share] = Field(default=(0.5, 1.0), description="Of 'random': share of the area of the picture.")
    aspect: Range = Field(default=(0.75, 4 / 3), description="Of 'random': width by height.")
    fill: Range = Field(
        default=(0.6, 0.9), description="Of 'object': what the longer side of the object takes of the square."
    )
    shift: Share = Field(
        default=0.05, description="Of 'object': how far off the middle it may be, in sides of the square."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Crops:
        for name in ("area", "aspect", "fill"):
            ascending(name, getattr(self, name), above_zero=True)
        return self


class Augmentation(Part):
    """[augmentation]: changes of an object that are exact, to its views, cameras and solid alike. All are off at 0."""

    mirror: Share = Field(default=0.0, description="How often left and right are exchanged.")
    stretch: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.0,
        description="Each axis of the source camera is stretched by up to exp(±this); its picture is exact still.",
    )
    scale: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.0, description="The world is scaled by up to exp(±this)."
    )
    colours: Share = Field(default=0.0, description="How often red, green and blue change places.")
    gain: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        default=0.0, description="Colours are scaled by up to exp(±this)."
    )


class Model(Part):
    """[model]: sizes of a new network, or the checkpoint to go on from. The defaults are MIRA's."""

    start: Path | None = Field(
        default=None,
        description="A published or own checkpoint (OpenLRM 1.0 or 1.1, MIRA): its sizes and weights are the start, "
        "and the other fields of this table but `freeze_encoder` and `source_size` are not used.",
    )
    generation: Generation = Field(
        default="mira", description="Which family's layout: decides camera numbers and encoder."
    )
    encoder_width: Positive = Field(default=768, description="Channels of the image encoder.")
    encoder_layers: Positive = Field(default=12, description="Blocks of the image encoder.")
    encoder_heads: Positive = Field(default=12, description="Attention heads of the image encoder.")
    patch_size: Positive = Field(default=16, description="Pixels of a patch of the image encoder along each side.")
    camera_embedding: Positive = Field(default=1024, description="Channels of the camera's embedding.")
    width: Positive = Field(default=1024, description="Channels of the transformer.")
    layers: Positive = Field(default=6, description="Blocks of the transformer.")
    heads: Positive = Field(default=8, description="Attention heads of the transformer.")
    low_resolution: Positive = Field(
        default=32, description="Tokens along each side of a plane; planes are twice as fine."
    )
    plane_channels: Positive = Field(default=80, description="Channels of the planes.")
    source_size: Positive = Field(default=128, description="Pixels of the source picture along each side.")
    render_size: Positive = Field(default=128, description="Pixels of published renders; written into the checkpoint.")
    samples_per_ray: int = Field(default=128, ge=8, description="Samples of a ray, half in each of two stages; even.")
    dropout: Share | None = Field(
        default=None,
        description="Share of the feed-forwards' numbers that training leaves out; None: as published (MIRA 0.1).",
    )
    freeze_encoder: bool = Field(default=False, description="Whether the image encoder stays as it is (MIRA: true).")
    aligned_start: bool = Field(
        default=True,
        description="Whether a new network begins with residual branches that give nothing and attention that looks at "
        "the place in the picture that a plane's token lies behind. False: as published, all by chance.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Model:
        for width, heads in (("width", "heads"), ("encoder_width", "encoder_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise ValueError(f"{width} {getattr(self, width)} cannot be shared by {getattr(self, heads)} heads")
        if self.source_size % self.patch_size:
            raise ValueError(f"source_size {self.source_size} is no multiple of patch_size {self.patch_size}")
        if self.samples_per_ray % 2:
            raise ValueError(f"samples_per_ray {self.samples_per_ray} is odd; rays have two equal stages")
        return self


class Rays(Part):
    """[rays]: what is compared of each supervised view."""

    patch: Positive = Field(
        default=64, description="Pixels of a square that is rendered, along each side; 1: scattered pixels."
    )
    count: Positive = Field(default=1, description="Squares of each view.")
    resolution: tuple[Positive, Positive] = Field(
        default=(64, 192),
        description="Pixels of the full picture, along each side, that the square is a part of: from, to.",
    )
    on_object: Share = Field(default=0.8, description="How often a square is laid around a pixel of the object.")
    samples: int = Field(
        default=128, ge=8, description="Samples of a ray in training, half in each of two stages; even."
    )
    chunk: int = Field(
        default=0,
        ge=0,
        description="Rays of an object that are gone through at once, and again for gradients; 0: all at once.",
    )
    background: Literal["white", "drawn"] = Field(
        default="drawn",
        description="Behind supervised views: white (MIRA), or black, grey or white by chance (OpenLRM).",
    )

    @model_validator(mode="after")
    def _fits(self) -> Rays:
        low, high = self.resolution
        if not self.patch <= low <= high:
            raise ValueError(f"resolution {low} to {high} must ascend and hold a patch of {self.patch}")
        if self.samples % 2:
            raise ValueError(f"samples {self.samples} is odd; rays have two equal stages")
        return self


class Losses(Part):
    """[losses]: what each is multiplied with; 0 leaves it out."""

    colour: Annotated[float, Field(ge=0.0)] = Field(
        default=1.0, description="Mean squared error of the rendered colours."
    )
    perceptual: Annotated[float, Field(ge=0.0)] = Field(
        default=1.0,
        description="LPIPS of the rendered squares (MIRA 2, OpenLRM 1); left out, and told, where it is not installed.",
    )
    perceptual_network: Literal["alex", "vgg"] = Field(default="vgg", description="Of LPIPS: MIRA trains with alex.")
    variation: Annotated[float, Field(ge=0.0)] = Field(
        default=5e-4, description="Total variation of the planes (OpenLRM)."
    )
    occupancy: Annotated[float, Field(ge=0.0)] = Field(
        default=0.0,
        description="Inside or outside at points of space, for objects whose solid is known. The published training "
        "has nothing of the kind; with it a small budget suffices, because every point teaches without a ray.",
    )
    overlap: Annotated[float, Field(ge=0.0)] = Field(
        default=0.0, description="1 minus the soft Dice overlap of the same points; needs `occupancy`."
    )
    points: int = Field(
        default=16, ge=2, le=64, description="Points along each axis for `occupancy`, other ones each time."
    )


class Optimiser(config.Optimiser):
    """[optimiser]: AdamW. Norms, biases, learned tokens and position tables do not decay."""

    encoder_rate: Annotated[float, Field(gt=0.0)] = Field(
        default=1.0, description="What `rate` is multiplied with for the encoder."
    )
    tokens_rate: Annotated[float, Field(gt=0.0)] = Field(
        default=1.0, description="What it is multiplied with for the tokens that the planes begin with."
    )


class Validation(Part):
    """[validation]: on objects that are held out."""

    objects: Positive = Field(
        default=16, description="How many of them, with one source view each, the same every time."
    )
    trained: int = Field(
        default=0, ge=0, description="How many of those that are trained on are judged in the same way."
    )
    views: Positive = Field(default=2, description="Views of each, beside the source, that are compared.")
    size: int = Field(default=64, ge=16, description="Pixels of the compared pictures, along each side.")
    lattice: int = Field(default=65, ge=9, le=257, description="Points along each axis for meshes and solids.")
    level: Annotated[float, Field(gt=0.0)] = Field(default=3.0, description="Density at which the surface is taken.")
    previews: int = Field(default=4, ge=0, description="Objects whose pictures are written.")


class Config(Part):
    """The whole file."""

    data: Data
    run: Run
    model: Model = Model()
    crops: Crops = Crops()
    augmentation: Augmentation = Augmentation()
    rays: Rays = Rays()
    losses: Losses = Losses()
    optimiser: Optimiser = Optimiser()
    validation: Validation = Validation()

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.losses.perceptual and self.rays.patch < 32:
            raise ValueError("losses.perceptual needs squares of 32 pixels and more (rays.patch), or must be 0")
        if self.losses.overlap and not self.losses.occupancy:
            raise ValueError("losses.overlap needs losses.occupancy")
        if not self.losses.colour and not self.losses.occupancy:
            raise ValueError("losses.colour and losses.occupancy are both 0, so nothing would be learned")
        if self.run.batch % self.run.accumulation:
            raise ValueError(f"run.batch {self.run.batch} cannot be shared by {self.run.accumulation} parts")
        return self


def read_config(file: Path, **changed: Any) -> Config:
    """The configuration of a file; see `training.config.read_file`."""
    return read_file(Config, file, changed)
