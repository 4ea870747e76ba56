"""Diffusion: words to a painted picture (Rombach et al. 2022), also in the shapes of a control picture (Zhang et al.
2023, ControlNet)."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.devices import Device
from backend.memory import ITEM_BYTES, Plan, choose_dtype
from backend.pipelines.running import Running
from backend.preparations.painting.networks import (
    Family,
    check_base,
    check_control,
    load_network,
    load_scheduler,
    load_text_encoder,
    native_side,
    numbers_of,
)
from backend.preparations.painting.offload import bring_layer_by_layer
from backend.residency import Loaded
from models.published import load_tokenizer

# Beside the weights, per pixel of the picture. Counted are the tensors that live at a time with the published
# configurations: 215 numbers (SDXL) and 332 (1.5) in a step of both networks with guidance, 3072 bytes in the float32
# decoder. The rest is for the work space of the convolutions.
STEP_NUMBERS_PER_PIXEL = 400
DECODER_BYTES_PER_PIXEL = 4000
BLANK = 2
"""Levels of 255 between the darkest and the brightest pixel of a picture that shows nothing."""

LAYER_BYTES = 400_000_000
"""What is on the device at a time when layers come and go one by one."""


@dataclass(frozen=True)
class PaintingRequest:
    """What is to be painted.

    size: (width, height), multiples of what a latent pixel stands for.
    control: height x width x 3 float32 in 0..1, kept to as strictly as `strength` says; None without ControlNet.
    steps, guidance, strength: see `ImagineParameters`.
    """

    prompt: str
    negative_prompt: str
    size: tuple[int, int]
    steps: int
    guidance: float
    control: NDArray[np.float32] | None = None
    strength: float = 1.0


class NoPicture(Exception):
    """A seed of which no picture came; the text is a sentence. Another seed may go well."""


@dataclass(frozen=True)
class Folders:
    """Where the checkpoints lie; control is None where no ControlNet takes part."""

    base: Path
    control: Path | None = None


@dataclass(frozen=True)
class Sizes:
    """How many numbers the networks have: all text encoders together, the UNet, the decoder, the ControlNet if any."""

    text: int
    unet: int
    decoder: int
    control: int = 0


def read_sizes(family: Family, folders: Folders) -> Sizes:
    """From the headers of the checkpoints, which are looked through. Raises CheckpointError."""
    check_base(family, folders.base)
    if folders.control is not None:
        check_control(folders.control)
    return Sizes(
        text=sum(numbers_of(folders.base / folder, "model") for folder, _, _ in family.text),
        unet=numbers_of(folders.base / "unet"),
        decoder=numbers_of(folders.base / "vae"),
        control=0 if folders.control is None else numbers_of(folders.control),
    )


def ladder(sizes: Sizes, device: Device, size: tuple[int, int]) -> list[Plan]:
    """The ways of painting at a (width, height), the fastest first.

    Text encoders need not be there together with the rest: the words are the same for all candidates, so they are read
    once, and their networks go before the next ones are loaded if there is no room for both.

    The settings of a plan:
        text_bytes, control_bytes: what text encoders and ControlNet take.
        tiled: the picture is decoded in tiles. offload: layers come to the device one by one.
    """
    dtype = choose_dtype(device)
    item, pixels = ITEM_BYTES[dtype], size[0] * size[1]
    text, control, decoder_bytes = sizes.text * item, sizes.control * item, sizes.decoder * 4
    resident = sizes.unet * item + control
    step = STEP_NUMBERS_PER_PIXEL * item * pixels
    # A tile has half the native side: a quarter of the pixels.
    whole, tile = DECODER_BYTES_PER_PIXEL * pixels, DECODER_BYTES_PER_PIXEL * pixels // 4
    precision = "32-bit" if item == 4 else "16-bit"

    def plan(name: str, manner: str, weights: int, decode: int, **settings: bool) -> Plan:
        needs = max(text, weights + decoder_bytes + max(step, decode))
        return Plan(
            name, f"{precision}, {manner}", needs, dtype, {"text_bytes": text, "control_bytes": control, **settings}
        )

    plans = [
        plan("full", "everything on the device", resident, whole, tiled=False, offload=False),
        plan("tiled", "the picture decoded in tiles", resident, tile, tiled=True, offload=False),
    ]
    if device.kind != "cpu":
        plans.append(plan("layers", "layer by layer (slow)", LAYER_BYTES, tile, tiled=True, offload=True))
    return plans


class Painter:
    """Networks that are loaded and a request that is understood; see `open_painter`."""

    def __init__(self, pipeline: Any, words: dict[str, Any], request: PaintingRequest, device: Device) -> None:
        self._pipeline = pipeline
        self._words = words
        self._request = request
        self._device = device

    def paint(self, seed: int, on_step: Callable[[int], None]) -> NDArray[np.uint8]:
        """One picture.

        Args:
            seed: the noise is drawn from it in float32 on the CPU, so it means the same on every device.
            on_step: is told how many steps are done; what it raises ends the painting and comes out here.

        Returns:
            height x width x 3 uint8, sRGB.

        Raises:
            NoPicture: if the networks overflowed, or nothing is to be seen on the picture.
        """
        request, pipeline = self._request, self._pipeline
        width, height = request.size
        generator = torch.Generator("cpu").manual_seed(seed)
        vae, dtype = pipeline.vae, pipeline.unet.dtype
        shape = (1, pipeline.unet.config.in_channels, height // _scale(vae), width // _scale(vae))
        noise = torch.randn(shape, generator=generator, dtype=torch.float32)

        def step_end(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            on_step(step + 1)
            return tensors

        controlled: dict[str, Any] = {}
        if request.control is not None:
            controlled["image"] = torch.from_numpy(request.control.transpose(2, 0, 1).copy())[None]
            controlled["controlnet_conditioning_scale"] = request.strength
        latents = pipeline(
            **self._words,
            **controlled,
            height=height,
            width=width,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            latents=noise.to(dtype),
            generator=generator,
            callback_on_step_end=step_end,
            output_type="latent",
        ).images
        # In float32 always: the decoder of SDXL overflows in float16.
        with torch.inference_mode():
            decoded = vae.decode(latents.to(self._device.name, torch.float32) / vae.config.scaling_factor).sample[0]
        if not decoded.isfinite().all():
            precision = str(dtype).removeprefix("torch.")
            raise NoPicture(
                f"The picture of the seed {seed} has no values: the {precision} of the networks overflowed."
            )
        levels = (decoded.cpu().permute(1, 2, 0).numpy() * 0.5 + 0.5).clip(0, 1) * 255
        picture: NDArray[np.uint8] = levels.round().astype(np.uint8)
        if np.ptp(picture, axis=(0, 1)).max() <= BLANK:
            colour = "black" if picture.max() <= BLANK else "white" if picture.min() >= 255 - BLANK else "one colour"
            raise NoPicture(f"The picture of the seed {seed} came out {colour} all over.")
        return picture


@contextmanager
def open_painter(
    family: Family,
    folders: Folders,
    plan: Plan,
    running: Running,
    request: PaintingRequest,
    on_load: Callable[[float, str], None],
    on_cut: Callable[[str], None],
) -> Iterator[Painter]:
    """What is needed to paint, for as long as the block lasts; see `Running.networks`.

    Args:
        on_load: is told how much is loaded, 0 to 1, and what comes next.
        on_cut: is told the end of the prompt that does not fit the text encoder, if there is such.

    Raises:
        Problem: weights-missing, weights-damaged, weights-foreign.
    """
    diffusers: Any = importlib.import_module("diffusers")
    kind = getattr(diffusers, family.pipeline if folders.control is None else family.controlled)
    device, offload, dtype = running.device, plan.settings["offload"], getattr(torch, plan.dtype)
    on_load(0.0, "Reading the words")
    words = _read_words(kind, family, folders.base, plan, running, request, on_cut)

    def base() -> Loaded[tuple[Any, Any]]:
        on_load(0.2, f"Loading {family.title}")
        unet = load_network(folders.base / "unet", "UNet2DConditionModel", _home(device, offload), dtype)
        try:
            on_load(0.7, f"Loading {family.title}")
            vae = load_network(folders.base / "vae", "AutoencoderKL", device.name, torch.float32)
        except BaseException:
            Loaded(None, [unet]).release()
            raise
        if offload:
            bring_layer_by_layer(unet, device.name)
        return Loaded((unet, vae), [unet, vae])

    def control() -> Loaded[Any]:
        assert folders.control is not None
        on_load(0.8, f"Loading {family.title}")
        network = load_network(folders.control, "ControlNetModel", _home(device, offload), dtype)
        if offload:
            bring_layer_by_layer(network, device.name)
        return Loaded(network, [network])

    # Layers that come and go are kept by nobody: they lie in main memory, which is not what was measured.
    held = partial(running.networks, plan=plan, keep=not offload)
    with ExitStack() as stack:
        # Each by itself: those of the base stay for whoever paints next, with a ControlNet or without.
        without = plan.needs_bytes - (0 if offload else plan.settings["control_bytes"])
        loaded = stack.enter_context(held(f"painting {family.base}", [family.base], make=base, needs_bytes=without))
        unet, vae = loaded.value
        parts = {"unet": unet, "vae": vae}
        if folders.control is not None:
            rest = max(plan.needs_bytes - (0 if offload else loaded.loaded_bytes), 0)
            name = f"painting {family.control}"
            parts["controlnet"] = stack.enter_context(
                held(name, [family.control], make=control, needs_bytes=rest)
            ).value
        if plan.settings["tiled"]:
            vae.enable_tiling()
            vae.tile_sample_min_size = native_side(folders.base) // 2
            vae.tile_latent_min_size = vae.tile_sample_min_size // _scale(vae)
        else:
            vae.disable_tiling()
        scheduler = load_scheduler(folders.base / "scheduler", family.scheduler)
        pipeline = _assembled(kind, device, scheduler=scheduler, **parts)
        on_load(1.0, "Painting")
        yield Painter(pipeline, words, request, device)


def _read_words(
    kind: Any,
    family: Family,
    folder: Path,
    plan: Plan,
    running: Running,
    request: PaintingRequest,
    on_cut: Callable[[str], None],
) -> dict[str, Any]:
    """The prompts as the pipeline takes them, on the device."""
    device, dtype = running.device, getattr(torch, plan.dtype)

    def opened() -> Loaded[tuple[dict[str, Any], dict[str, Any]]]:
        tokenizers = {tokenizer: load_tokenizer(folder / tokenizer) for _, _, tokenizer in family.text}
        encoders: dict[str, Any] = {}
        try:
            for part, class_name, _ in family.text:
                encoders[part] = load_text_encoder(folder / part, class_name, device.name, dtype)
        except BaseException:
            Loaded(None, encoders.values()).release()
            raise
        return Loaded((encoders, tokenizers), encoders.values())

    needed: int = plan.settings["text_bytes"]
    name, keep = f"painting {family.base} words", not plan.settings["offload"]
    with running.networks(name, [family.base], plan, opened, needs_bytes=needed, keep=keep) as held:
        encoders, tokenizers = held.value
        if cut := _beyond(next(iter(tokenizers.values())), request.prompt):
            on_cut(cut)
        with torch.inference_mode():
            encoded = _assembled(kind, device, **encoders, **tokenizers).encode_prompt(
                prompt=request.prompt,
                negative_prompt=request.negative_prompt or None,  # SDXL was trained with nothing for nothing
                device=torch.device(device.name),
                num_images_per_prompt=1,
                do_classifier_free_guidance=request.guidance > 1,
            )
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    return dict(zip(names, encoded, strict=False))  # Stable Diffusion 1.5 has the first two only


def _assembled(kind: Any, device: Device, **parts: Any) -> Any:
    """A pipeline with some of its parts, the others None; silent, and without a safety checker, which is a download."""
    wanted = inspect.signature(kind.__init__).parameters
    absent = {name: None for name, value in wanted.items() if value.default is value.empty and name != "self"}
    extra = {"requires_safety_checker": False} if "requires_safety_checker" in wanted else {"add_watermarker": False}
    # diffusers computes where it finds the weights of some part. They may be elsewhere.
    placed = type(kind.__name__, (kind,), {"_execution_device": torch.device(device.name)})
    pipeline = placed(**{**absent, **extra, **parts})
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _beyond(tokenizer: Any, text: str) -> str:
    """The end of a text that the text encoder cannot take in, "" if all of it fits."""
    tokens = tokenizer(text).input_ids
    room = tokenizer.model_max_length
    if len(tokens) <= room:
        return ""
    cut: str = tokenizer.decode(tokens[room - 1 : -1]).strip()
    return cut


def _scale(vae: Any) -> int:
    """Pixels of the picture per pixel of the latent."""
    scale: int = 2 ** (len(vae.config.block_out_channels) - 1)
    return scale


def _home(device: Device, offload: bool) -> str:
    """Where weights lie while they are not used."""
    return "cpu" if offload else device.name
