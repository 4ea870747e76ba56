"""The two stages: picture → orbit of small frames, frames → the same frames twice as large. See `models.hi3d`.

Each is three steps, which `__call__` takes one after the other: `condition` with the conditioning networks, `denoise`
with the UNet, `decode` with the autoencoder. Between them networks can be let go (`release`). All that is drawn by
chance is drawn in `condition`, from the generator it is given, so the rest of a run is a function of its conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.hi3d import conditioning
from models.hi3d.autoencoding import Looked, colour_map, decoded, glimpse, moments
from models.hi3d.denoising import PUBLISHED, Callback, Conditions, Guidance, Run, State, denoise
from models.hi3d.files import ORBIT, REFINE, Stage
from models.hi3d.frugal import WHOLE, Frugality
from models.hi3d.loading import StageFiles
from models.hi3d.pictures import as_input, squared
from models.hi3d.schedule import STEPS

Frames = NDArray[np.float32]
"""[T, H, W, 3], 0 … 1, rows downwards."""

S = TypeVar("S", bound="StagePipeline")


@dataclass(frozen=True)
class Output:
    """frames: [T, size, size, 3], 0 … 1, frame 0 from the picture's side. latents: [T, channels, h, w] float32 on the
    CPU, scaled, from which `decode` makes the frames."""

    frames: Frames
    latents: Tensor


class StagePipeline:
    """What the stages share; use `OrbitPipeline` and `RefinePipeline`.

    Attributes:
        files: networks, sizes, device and precisions.
        after_use: is told the name of a network each time it has done its part. Set it to `release` where the device
            does not hold all of them; None: they stay.
    """

    stage: Stage

    def __init__(self, files: StageFiles) -> None:
        self.files = files
        self.after_use: Callable[[str], None] | None = None

    @classmethod
    def from_files(
        cls: type[S],
        file: str | Path,
        kept: str | Path | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        vae_dtype: torch.dtype | None = None,
    ) -> S:
        """Opens the stage's checkpoint; arguments and errors: `StageFiles.opened`. No weights are loaded."""
        return cls(StageFiles.opened(file, cls.stage, kept, device, dtype, vae_dtype))

    @property
    def frames(self) -> int:
        """How many frames an orbit has."""
        return self.files.frames

    @property
    def size(self) -> int:
        """Pixels along a side of a frame."""
        return self.files.size

    @property
    def loaded_bytes(self) -> int:
        """What the networks that are loaded take on the device."""
        return self.files.parts.bytes

    @property
    def bytes_aside(self) -> int:
        """What those that were laid aside take of main memory."""
        return self.files.parts.bytes_aside

    def lay_aside(self, room: Callable[[int], bool], *parts: str) -> None:
        """Takes networks off the device, all if none is named, and keeps them in main memory where there is room; see
        `Parts.lay_aside`."""
        self.files.parts.lay_aside(room, *parts)

    def release(self, *parts: str) -> None:
        """Lets networks go, all if none is named; they are loaded again when needed."""
        self.files.let_go(*parts)

    def denoise(
        self,
        conditions: Conditions,
        steps: int = STEPS,
        guidance: Guidance = PUBLISHED,
        frugality: Frugality = WHOLE,
        callback: Callback | None = None,
        start: State | None = None,
    ) -> Tensor:
        """From noise to scaled latents [T, channels, h, w], float32 on the CPU; see `denoising.denoise`.

        Args:
            callback: told a `State` before the first step and after each; its exceptions end the run.
            start: a state of a run with the same conditions and settings, from which it goes on.

        Raises:
            ValueError: steps out of range, or a state of another run.
        """
        run = Run(self.stage.largest, steps, guidance, frugality, callback)
        with self.using("unet") as unet:
            return denoise(unet, conditions, run, start).cpu()

    def decode(self, latents: Tensor, group: int = 1, looked: Looked | None = None) -> Frames:
        """Scaled latents → frames [T, size, size, 3], `group` of them at a time.

        Raises:
            FloatingPointError: the precision was not enough.
        """
        with self.using("vae") as vae:
            return decoded(latents, vae, group, looked)

    @contextmanager
    def using(self, name: str) -> Iterator[Any]:
        """One network for a while; see `after_use`."""
        try:
            yield self.files.parts[name]
        finally:
            if self.after_use is not None:
                self.after_use(name)

    def glimpse(self, state: State, conditions: Conditions) -> NDArray[np.uint8]:
        """What a run has come to, [T, h, w, 3]: an eighth as large as the frames, rough, without a network."""
        data = conditions.noise if state.data is None else state.data
        assert conditions.colours is not None
        return glimpse(data, conditions.colours)

    def _finish(
        self,
        conditions: Conditions,
        steps: int,
        guidance: Guidance,
        frugality: Frugality,
        callback: Callback | None,
        start: State | None,
        group: int,
    ) -> Output:
        latents = self.denoise(conditions, steps, guidance, frugality, callback, start)
        return Output(self.decode(latents, group), latents)

    def _token(self, clean: Tensor) -> Tensor:
        with self.using("image_encoder") as tower:
            return conditioning.picture_token(clean, tower)[0].cpu()

    def _latent_noise(self, generator: torch.Generator) -> Tensor:
        side, channels = self.files.latent_side, self.files.latent_channels
        return drawn((self.frames, channels, side, side), generator)


class OrbitPipeline(StagePipeline):
    """Stage 1."""

    stage = ORBIT

    def condition(self, picture: NDArray[Any], elevation: float, generator: torch.Generator) -> Conditions:
        """What the network is told.

        Args:
            picture: the object on white, [size, size, 3], float 0 … 1 or uint8; of another size it is resized, of
                another aspect refused.
            elevation: of the picture's camera and of the orbit, degrees above the horizontal: −10 … 40.
            generator: two draws: for the picture's noise, and for the beginning of the frames.

        Raises:
            ValueError: no such picture, or an elevation out of range.
        """
        check_elevation(elevation)
        seen = squared(as_input(square(picture))[None], self.size)
        noisy = seen + conditioning.NOISE * drawn(tuple(seen.shape), generator)
        noise = self._latent_noise(generator)
        token = self._token(seen)
        with self.using("score_encoder") as tower:
            score = conditioning.score(seen, tower, *self.files.score_head())
        with self.using(self.files.condition_vae) as vae:
            mean, _ = moments(noisy, vae)
        return Conditions(
            token=token,
            vector=conditioning.vector(elevation, score),
            concat=mean.repeat(self.frames, 1, 1, 1),
            noise=noise,
            colours=colour_map(mean * self.files.scaling, noisy),
        )

    def __call__(
        self,
        picture: NDArray[Any],
        elevation: float,
        generator: torch.Generator,
        steps: int = STEPS,
        guidance: Guidance = PUBLISHED,
        frugality: Frugality = WHOLE,
        callback: Callback | None = None,
        start: State | None = None,
        group: int = 1,
    ) -> Output:
        """Picture → the frames of its orbit.

        Args:
            picture, elevation, generator: see `condition`.
            steps, guidance, frugality, callback, start: see `denoise`. To go on from a state, the generator has to be
                where it was.
            group: frames that are decoded at once.

        Raises:
            ValueError: a picture, elevation or setting is out of range.
            FloatingPointError: the precision was not enough.
            CheckpointError: the checkpoint changed since it was opened.
        """
        conditions = self.condition(picture, elevation, generator)
        return self._finish(conditions, steps, guidance, frugality, callback, start, group)


class RefinePipeline(StagePipeline):
    """Stage 2."""

    stage = REFINE

    def condition(
        self,
        frames: NDArray[Any],
        elevation: float,
        generator: torch.Generator,
        picture: NDArray[Any] | None = None,
        group: int = 1,
        looked: Looked | None = None,
    ) -> Conditions:
        """What the network is told.

        Args:
            frames: of stage 1, [T, H, H, 3], float 0 … 1 or uint8.
            elevation: as in stage 1.
            generator: three draws: the beginning of the frames, the choice of their latents, their noise.
            picture: that stage 1 was given, in place of frame 0, which is sharper: [H, H, 3], of any size.
            group: frames that are encoded at once.
            looked: told of frames encoded, once for each of the two passes.

        Raises:
            ValueError: as many frames as the network makes are needed, square; or see `OrbitPipeline.condition`.
        """
        check_elevation(elevation)
        if len(frames) != self.frames:
            raise ValueError(f"{self.frames} frames are refined together, not {len(frames)}")
        pictures = [picture if index == 0 and picture is not None else each for index, each in enumerate(frames)]
        clean = torch.cat([squared(as_input(square(each))[None], self.size) for each in pictures])
        noise = self._latent_noise(generator)
        chosen = drawn(tuple(noise.shape), generator)
        noisy = clean + conditioning.NOISE * drawn(tuple(clean.shape), generator)
        token = self._token(clean[:1])
        with self.using("depth_estimator") as network:
            disparity = conditioning.depth(noisy, network).cpu()
        channels = conditioning.depth_channels(disparity, (noise.shape[2], noise.shape[3]))
        shared, known = self.files.condition_vae == "vae", None
        with self.using("vae") as vae:
            mean, deviation = moments(clean, vae, group, looked)
            if shared:
                known, _ = moments(noisy, vae, group, looked)
        if known is None:
            with self.using(self.files.condition_vae) as vae:
                known, _ = moments(noisy, vae, group, looked)
        latents = (mean + deviation * chosen) * self.files.scaling
        return Conditions(
            token=token,
            vector=conditioning.vector(elevation),
            concat=torch.cat([channels, known], dim=1),
            noise=noise,
            frames=latents,
            colours=colour_map(latents, clean),
        )

    def __call__(
        self,
        frames: NDArray[Any],
        elevation: float,
        generator: torch.Generator,
        picture: NDArray[Any] | None = None,
        steps: int = STEPS,
        guidance: Guidance = PUBLISHED,
        frugality: Frugality = WHOLE,
        callback: Callback | None = None,
        start: State | None = None,
        group: int = 1,
    ) -> Output:
        """Frames → the same, larger and sharper. Arguments and errors: `condition` and `OrbitPipeline.__call__`."""
        conditions = self.condition(frames, elevation, generator, picture, group)
        return self._finish(conditions, steps, guidance, frugality, callback, start, group)


LOWEST, HIGHEST = -10.0, 40.0
"""Elevations that the networks were trained with: −10, 0, 10, 20, 30 and 40 degrees."""


def check_elevation(elevation: float) -> None:
    """Raises ValueError where the networks know no such orbit."""
    if not LOWEST <= elevation <= HIGHEST:
        raise ValueError(
            f"Hi3D knows cameras from {LOWEST:.0f} to {HIGHEST:.0f} degrees above the horizontal, not {elevation}"
        )


def square(picture: NDArray[Any]) -> NDArray[Any]:
    """The picture. Raises ValueError if it is not square: the two stages would cut and squeeze it differently."""
    if picture.ndim != 3 or picture.shape[0] != picture.shape[1]:
        raise ValueError(f"a square picture [S, S, 3] is needed, not {list(picture.shape)}; frame the object first")
    return picture


def drawn(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal float32, drawn where the generator is, on the CPU afterwards: a CPU's seed means the same
    everywhere."""
    return torch.randn(shape, generator=generator, dtype=torch.float32, device=generator.device).cpu()
