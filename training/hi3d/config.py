"""What can be set of a training run of Hi3D: a TOML file, checked before anything is read or made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from training import config
from training.config import Data, Momentum, Part, Positive, Range, Run, Share, ascending, read_file

StageName = Literal["orbit", "refine"]
Trained = Literal["all", "time", "inputs"]
Level = Annotated[float, Field(ge=0.0)]


class Model(Part):
    """[model]: which stage, and what it begins with."""

    stage: StageName = Field(description="`orbit`: from a picture to its views; `refine`: from views to sharp ones.")
    start: Path = Field(
        description="`first_stage.pt` or `second_stage.pt`, published or own: gives the networks that are not trained, "
        "the sizes and the layout of what is written, and, where `video` says nothing else, the weights to begin with."
    )
    video: Path | None = Field(
        default=None,
        description="Stable Video Diffusion to begin with instead: a folder of diffusers, or a `.safetensors` file. "
        "Inputs that it does not have begin with nothing.",
    )
    trained: Trained = Field(
        default="all",
        description="What learns: all of the network (published); what works along time, and the inputs; or the inputs "
        "alone: the first convolution and the embedding of the vector.",
    )
    recomputed: bool = Field(
        default=True,
        description="Whether blocks are gone through again for gradients (gradient checkpointing): a fraction of the "
        "memory, a third more work.",
    )
    encoded: Positive = Field(default=1, description="Frames that the autoencoder takes at once.")


class Noise(Part):
    """[noise]: how much of it, and what the network is not told."""

    level: float = Field(default=1.0, description="Mean of the logarithm of a clip's noise level.")
    spread: Level = Field(default=1.6, description="Its deviation.")
    told: float = Field(
        default=-3.0, description="Mean of the logarithm of the noise in the frames that the network is told of."
    )
    told_spread: Level = Field(default=0.5, description="Its deviation.")
    without_picture: Share = Field(default=0.1, description="How often the picture's token is left out, for guidance.")
    without_latents: Share = Field(default=0.1, description="How often the told frames are, for guidance.")
    without_depth: Share = Field(
        default=0.0, description="How often their depth is; published 0, although guidance leaves it out too."
    )


class Degradation(Part):
    """[degradation]: how the frames that `refine` is told of are made worse, twice (Real-ESRGAN); the first stays."""

    scale: float = Field(default=4.0, ge=1.0, le=16.0, description="How much smaller they are in the end.")
    resize: Range = Field(default=(0.15, 1.5), description="Factors of the first time.")
    resize_again: Range = Field(default=(0.3, 1.2), description="Of the second time, of the size divided by `scale`.")
    noise: Range = Field(default=(1.0, 30.0), description="Deviation of the first noise, of 255.")
    noise_again: Range = Field(default=(1.0, 25.0), description="Of the second noise.")
    quality: tuple[Positive, Positive] = Field(default=(30, 95), description="Of JPEG, both times.")

    @model_validator(mode="after")
    def _in_order(self) -> Degradation:
        for name in ("resize", "resize_again", "noise", "noise_again", "quality"):
            ascending(name, getattr(self, name), above_zero=True)
        if self.quality[1] > 100:
            raise ValueError(f"quality {self.quality[1]} is above 100")
        return self


class Optimiser(config.Optimiser):
    """[optimiser]: AdamW. Norms and biases do not decay."""

    rate: Annotated[float, Field(gt=0.0)] = Field(default=1e-5, description="Learning rate at its highest (published).")
    betas: tuple[Momentum, Momentum] = Field(default=(0.9, 0.999), description="Of the moments.")
    decay: Annotated[float, Field(ge=0.0)] = Field(default=0.01, description="Weight decay, decoupled.")
    warm_up: int = Field(
        default=500, ge=0, description="Steps over which the rate grows; then it falls along a cosine."
    )
    averaging: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        default=0.9999,
        description="How much of the moving average of the weights stays in each step; exported and validated.",
    )


class Validation(Part):
    """[validation]: on objects that are held out."""

    objects: Positive = Field(default=8, description="How many of each group, an orbit each, the same every time.")
    previews: int = Field(default=2, ge=0, description="Of how many an orbit is made, compared and drawn.")
    steps: int = Field(default=25, ge=1, le=1000, description="Steps from noise to such an orbit.")
    side: int = Field(default=128, ge=16, description="Pixels of a drawn frame, along each side.")


class Config(Part):
    """The whole file."""

    data: Data
    run: Run
    model: Model
    noise: Noise = Noise()
    degradation: Degradation = Degradation()
    optimiser: Optimiser = Optimiser()
    validation: Validation = Validation()

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.model.stage == "orbit" and "degradation" in self.model_fields_set:
            raise ValueError("[degradation] is of the stage refine; model.stage is orbit")
        if self.run.batch % self.run.accumulation:
            raise ValueError(f"run.batch {self.run.batch} cannot be shared by {self.run.accumulation} parts")
        return self


def read_config(file: Path, **changed: Any) -> Config:
    """The configuration of a file; see `training.config.read_file`."""
    return read_file(Config, file, changed)
