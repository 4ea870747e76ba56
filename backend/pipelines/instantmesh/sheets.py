"""Six views of each photo, made by diffusion and kept with the job as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from backend import weights
from backend.errors import Problem
from backend.imaging.png import as_png, from_png
from backend.memory import Plan
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.instantmesh import InstantMeshParameters
from backend.pipelines.instantmesh.photos import Subject
from backend.pipelines.running import Running
from backend.residency import residency
from models.published import diffusers_network, load_clip_vision
from models.zero123plus.conditioning import Condition
from models.zero123plus.pictures import as_pixels, prepared, split
from models.zero123plus.pipeline import Zero123Plus

VIEW_WEIGHTS = ("zero123plus", "instantmesh-views")
"""Ids of `backend/weights`: the diffusion model, and the UNet that takes the place of its own."""

UNET_FILE = "diffusion_pytorch_model.bin"
VIEWS = 6

CONDITIONED, DENOISED = 0.04, 0.95
"""Shares of the time of one photo after which it is conditioned and denoised."""

LEAST_CONTRAST = 4
"""Between the darkest and the lightest of all pixels, of 255, in some channel; of a sheet with less nothing is seen."""

Sheet = list[Pixels] | Problem
"""Six views, 320 x 320 x 3, in the order of Zero123++; or why there are none that can be used."""


class Wanted(NamedTuple):
    """The views of one photo of one object, begun from one seed."""

    subject: Subject
    photo: int
    seed: int

    @property
    def names(self) -> list[str]:
        """The files of the job that hold the views."""
        return [f"view-{self.subject.instance}-{self.photo}-{self.seed}-{view}.png" for view in range(VIEWS)]

    @property
    def title(self) -> str:
        several = len(self.subject.photos) > 1
        return f"{self.subject.title}, photo {self.photo + 1}" if several else self.subject.title


def open_views(device: str, dtype: torch.dtype) -> Zero123Plus:
    """The diffusion model as it is published for InstantMesh; no weights are loaded yet.

    Raises:
        Problem: weights-missing, weights-damaged.
        CheckpointError: see `Zero123Plus.from_pretrained`.
    """
    folder, file = (weights.locate(identifier) for identifier in VIEW_WEIGHTS)
    return Zero123Plus.from_pretrained(
        folder, file / UNET_FILE, device, dtype, kept=weights.converted_folder(VIEW_WEIGHTS[1])
    )


def read_sizes() -> dict[str, int]:
    """Parameters of each network, from their configurations; nothing is allocated. Raises as `open_views`."""
    folder = weights.locate("zero123plus")
    networks = {
        "unet": diffusers_network(folder / "unet", "UNet2DConditionModel"),
        "vae": diffusers_network(folder / "vae", "AutoencoderKL"),
        "vision_encoder": load_clip_vision(folder / "vision_encoder", "meta", torch.float32),
    }
    return {part: sum(each.numel() for each in network.parameters()) for part, network in networks.items()}


def make_sheets(
    wanted: Sequence[Wanted], parameters: InstantMeshParameters, running: Running, plan: Plan
) -> dict[Wanted, Sheet]:
    """The views of each photo. What is kept with the job is not made again.

    Those kept are rounded to 8 bits, and those are used, so that an attempt that recalls them comes to the same mesh.
    A sheet that cannot be used is the object's own trouble: it is told of, not raised, and not kept.

    Raises:
        Problem: weights-missing, weights-damaged, weights-foreign.
        Cancelled.
    """
    context = running.context
    found: dict[Wanted, Sheet] = {each: pictures for each in wanted if (pictures := recalled(each, context))}
    missing = [each for each in wanted if each not in found]
    if not missing:
        return found
    context.progress(0.0, plan.sentence)
    together: bool = plan.settings["keep_parts"]

    def opened() -> Zero123Plus:
        return open_views(running.device.name, getattr(torch, plan.dtype))

    with running.networks("instantmesh views", VIEW_WEIGHTS, plan, opened) as pipeline:
        # Networks that cannot stay side by side are loaded once for all photos, the others finish photo by photo.
        for group in [[each] for each in missing] if together else [missing]:
            sheets = _sheets(pipeline, group, len(found), len(wanted), parameters, context, plan)
            for each, sheet in zip(group, sheets, strict=True):
                found[each] = sheet
                if not isinstance(sheet, Problem):
                    for name, picture in zip(each.names, sheet, strict=True):
                        context.keep(name, as_png(picture))
    return found


def usable(sheet: Sheet) -> list[Pixels]:
    """The views. Raises the Problem("geometry-failed") that there is in their place."""
    if isinstance(sheet, Problem):
        raise sheet
    return sheet


def recalled(wanted: Wanted, context: Context) -> list[Pixels] | None:
    """The views as an earlier attempt at this job has kept them; None unless all are there."""
    kept = [context.recall(name) for name in wanted.names]
    return [from_png(data) for data in kept if data is not None] if all(data is not None for data in kept) else None


def _sheets(
    pipeline: Zero123Plus,
    group: Sequence[Wanted],
    begun: int,
    count: int,
    parameters: InstantMeshParameters,
    context: Context,
    plan: Plan,
) -> list[Sheet]:
    def tell(index: int, share: float, message: str) -> None:
        context.progress((begun + index + share) / count, f"{group[index].title}: {message}")

    keep_parts: bool = plan.settings["keep_parts"]
    if not keep_parts:  # a job with more room may have left it there
        pipeline.lay_aside(residency.room_aside, "unet")
    generators = [torch.Generator("cpu").manual_seed(each.seed) for each in group]
    conditions: list[Condition] = []
    for index, (each, generator) in enumerate(zip(group, generators, strict=True)):
        tell(0, CONDITIONED * index / len(group), "Looking at it")
        conditions.append(pipeline.condition(prepared(each.subject.photos[each.photo]), generator))
    if not keep_parts:
        pipeline.lay_aside(residency.room_aside, "vision_encoder", "vae")
    latents = []
    for index, (condition, generator) in enumerate(zip(conditions, generators, strict=True)):

        def step(done: int, steps: int, index: int = index) -> None:
            share = CONDITIONED + (DENOISED - CONDITIONED) * done / steps
            tell(index, share, f"step {done} of {steps}")

        steps = parameters.chosen_steps
        rows: int | None = plan.settings["rows"]
        latents.append(pipeline.denoise(condition, steps, parameters.guidance, generator, step, rows))
    if not keep_parts:
        pipeline.lay_aside(residency.room_aside, "unet")
    sheets: list[Sheet] = []
    for index, (each, latent) in enumerate(zip(group, latents, strict=True)):
        tell(index if keep_parts else len(group) - 1, DENOISED, "Drawing")
        sheets.append(_drawn(pipeline, each, latent, plan))
    if not keep_parts:
        pipeline.lay_aside(residency.room_aside)
    return sheets


def _drawn(pipeline: Zero123Plus, wanted: Wanted, latent: torch.Tensor, plan: Plan) -> Sheet:
    try:
        pictures = as_pixels(split(pipeline.decode(latent)))
    except FloatingPointError:
        wider = plan.dtype != "float32"
        hint = "Set Precision to bfloat16 or float32." if wider else "Delete the weights and download them again."
        return Problem("geometry-failed", f"The views of {wanted.title} came out as no numbers in {plan.dtype}.", hint)
    if np.ptp(pictures, axis=(0, 1, 2)).max() < LEAST_CONTRAST:
        detail = f"The views of {wanted.title} show nothing: they are of one colour."
        return Problem("geometry-failed", detail, "Try another seed, or a clearer photo.")
    return list(pictures)
