"""How good a network is on orbits that it has not seen: the error of its v at fixed levels of noise, and whole runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.hi3d.autoencoding import decoded
from models.hi3d.denoising import Conditions, Run, denoise
from models.hi3d.files import ORBIT
from models.hi3d.pictures import as_pixels
from models.hi3d.pipeline import OrbitPipeline, RefinePipeline
from models.optimisation.chance import generator, seed_of
from models.writing import write_whole
from training.hi3d.config import Config
from training.hi3d.objective import velocity_error
from training.hi3d.orbits import Clip, Clips, Orbit
from training.hi3d.telling import Teller, drawn, stacked
from training.measures import signal_to_noise
from training.pixels import png

LEVELS = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Deviations from the mean of the noise levels' logarithm, at which v is asked for."""

GAP = 4
"""Pixels between the clips of a preview."""


@dataclass(frozen=True)
class Validation:
    """Judges a network. Chance is the same every time.

    Attributes:
        clips: makes clips. teller: the other networks. cases: orbits by group.
    """

    clips: Clips
    teller: Teller
    config: Config
    cases: Mapping[str, Sequence[Orbit]]

    @torch.no_grad()
    def __call__(self, network: Any, pictures: Path | None) -> dict[str, float]:
        """Means over the cases, by "<group>/<figure>": `v`, the error of v, and `psnr` of the frames after the first.

        Args:
            pictures: the file that gets the clips of the first `previews` of each group: what was told (stage 2), the
                truth and what was made, row by row. None: it is not written.
        """
        was, device = network.training, self.teller.files.device
        precision = getattr(torch, self.config.run.precision)
        network.eval()
        figures: dict[str, float] = {}
        rows: list[NDArray[np.uint8]] = []
        try:
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                for group, some in self.cases.items():
                    errors, made = [], []
                    for number, orbit in enumerate(some):
                        clip = self.clips.clip(orbit, seed_of(self.clips.seed, "validation", orbit.name))
                        errors.append(self._error(network, clip, orbit.name))
                        if number < self.config.validation.previews:
                            frames = self._made(network, clip, orbit.name)
                            made.append(_likeness(frames, clip))
                            rows.append(self._drawn(frames, clip))
                    if errors:
                        figures[f"{group}/v"] = sum(errors) / len(errors)
                    if made:
                        figures[f"{group}/psnr"] = sum(made) / len(made)
        finally:
            network.train(was)
        if pictures is not None and rows:
            write_whole(pictures, [png(np.concatenate(rows))])
        return figures

    def _error(self, network: Any, clip: Clip, name: str) -> float:
        """The mean of the error of v at all levels."""
        settings, teller = self.config.noise, self.teller
        draw = generator(self.clips.seed, "validation", name)
        chance = replace(drawn(settings, teller.files, teller.stage, draw), picture=True, latents=True, depth=True)
        told = [teller(clip, chance)]
        device = next(network.parameters()).device
        data, noise, concat, token, vector = (
            stacked(told, device, each) for each in ("frames", "noise", "concat", "token", "vector")
        )
        errors = [
            velocity_error(network, data, noise, torch.tensor([level], device=device), concat, token, vector)
            for level in (math.exp(settings.level + settings.spread * each) for each in LEVELS)
        ]
        return float(torch.cat(errors).mean())

    def _made(self, network: Any, clip: Clip, name: str) -> NDArray[np.uint8]:
        """[T, S, S, 3]: what comes out when the network is used as it will be."""
        files, stage = self.teller.files, self.teller.stage
        elevation, draw = float(clip.elevation), generator(self.clips.seed, "preview", name)
        frames = clip.frames.numpy()
        told: Conditions
        if stage is ORBIT:
            told = OrbitPipeline(files).condition(frames[0], elevation, draw)
        else:
            told = RefinePipeline(files).condition(clip.known.numpy(), elevation, draw, picture=frames[0])
        latents = denoise(network, told, Run(stage.largest, self.config.validation.steps))
        return as_pixels(decoded(latents, files.parts["vae"], self.teller.encoded))

    def _drawn(self, frames: NDArray[np.uint8], clip: Clip) -> NDArray[np.uint8]:
        side = self.config.validation.side
        shown = [each.numpy() for each in (clip.known, clip.frames) if each.ndim == 4]
        rows = [
            np.concatenate([np.asarray(Image.fromarray(each).resize((side, side))) for each in clip_frames], axis=1)
            for clip_frames in (*shown, frames)
        ]
        gap = np.zeros((GAP, rows[0].shape[1], 3), np.uint8)
        return np.concatenate([*rows, gap])


def cases_of(groups: Mapping[str, Sequence[Orbit]], amount: int, seed: int) -> dict[str, list[Orbit]]:
    """So many objects of each group by chance, with one orbit each, the same every time."""
    cases = {}
    for group, orbits in groups.items():
        by_name: dict[str, list[Orbit]] = {}
        for each in orbits:
            by_name.setdefault(each.name, []).append(each)
        chance = np.random.default_rng(seed_of(seed, "cases", group))
        names = list(by_name)
        chosen = [names[int(index)] for index in chance.permutation(len(names))[:amount]]
        cases[group] = [by_name[name][int(chance.integers(len(by_name[name])))] for name in chosen]
    return cases


def _likeness(frames: NDArray[np.uint8], clip: Clip) -> float:
    """PSNR, dB, of the frames after the first: to repeat that one is no feat."""
    pair = [torch.from_numpy(each[1:]).permute(0, 3, 1, 2).float() / 255.0 for each in (frames, clip.frames.numpy())]
    return float(signal_to_noise(pair[0], pair[1]).mean())
