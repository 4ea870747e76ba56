"""inversion at work: the object cut out, altered pictures of it encoded once, a row of numbers optimised, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from backend import weights
from backend.devices import Device
from backend.errors import Problem
from backend.memory import ITEM_BYTES, Plan, choose_dtype
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import cut_out, framed
from backend.pipelines.optimising import optimise
from backend.pipelines.running import Running, Tell, checkpoints, each, seen
from backend.preparations.base import Prepared
from backend.preparations.inversion import INVERSION, WEIGHTS, InversionParameters, words
from backend.preparations.painting.networks import native_side
from backend.shot import Shot, Word
from backend.weights.revisions import revision_of
from models.guidance import inversion
from models.guidance.inversion import BATCH, VIEWS, Inversion, altered, encode
from models.guidance.stable_diffusion import StableDiffusionFiles, sizes
from models.optimisation.loop import Loop, Settings
from models.published import load_tokenizer

FILL = 0.9
"""Share of the square that the object's longer side takes."""

CHECKPOINT_SECONDS = 60.0
SHOWN = 4
"""Altered pictures in the preview."""

ITEM_WORK_BYTES = 4_500_000_000
"""Of one picture's forward and backward pass through the denoising network at 512 × 512 in 32 bit: 3.78 GB are kept for
the way back, counted on the meta device, the rest is for what a block needs at once. None was measured on a card."""

TWICE_WORK_BYTES = 1_100_000_000
"""The same where blocks are computed twice: 0.30 GB are kept, and the largest block has what it needs."""

ENCODING = 0.1
"""Usual share of encoding the altered pictures in the whole."""

SD15_SIDE = 512
Pixels = NDArray[np.uint8]


def prepare(shot: Shot, parameters: InversionParameters, context: Context) -> Prepared:
    """Learns a word for each object of the first picture.

    Returns:
        The shot with its words, and as record how each was come by. Kept with the job: `word-<id>.safetensors`, a file
        {word: [width]} each.

    Raises:
        Problem: image-empty, parameters-invalid (a word that exists), optimisation-diverged, weights-missing,
            weights-damaged, weights-foreign, device-missing, out-of-memory.
        Cancelled: by the user.
    """
    running = Running.begin(context)

    def work(number: int, tell: Tell) -> tuple[Word, str]:
        return _word(shot, number, parameters, running, tell)

    with context.stage("learn"):
        found = each(sorted(shot.instances.names), work, shot, context)
    record = {
        "words": [{"id": number, "word": word.text, "source": source} for number, (word, source) in found.items()],
        "steps": parameters.chosen_steps,
        **running.record,
    }
    return Prepared(replace(shot, words={number: word for number, (word, _) in found.items()}), record)


def _word(shot: Shot, number: int, parameters: InversionParameters, running: Running, tell: Tell) -> tuple[Word, str]:
    """The word of one object, and where it is from."""
    context = running.context
    with checkpoints(WEIGHTS):
        side = native_side(weights.locate(WEIGHTS))
    picture, _ = framed(cut_out(shot, number), side, FILL)
    name = f"word-{number}.safetensors"
    key = words.hash_of(picture.tobytes(), _facts(parameters, side, context.seed))
    if (kept := _of_this_job(context, name)) is not None:
        return kept, "learned"
    if (kept := words.recalled(key, parameters.word)) is not None:
        context.keep(name, _bytes(kept))
        return kept, "kept"
    word, early = running.by_plans(
        partial(_ladder, parameters, side),
        lambda plan: _learned(picture, number, side, plan, parameters, running, tell, shot.title(number)),
    )
    if not early:
        context.keep(name, _bytes(word))
        words.keep(key, word)
    return word, "ended early" if early else "learned"


def _learned(
    picture: Pixels,
    number: int,
    side: int,
    plan: Plan,
    parameters: InversionParameters,
    running: Running,
    tell: Tell,
    title: str,
) -> tuple[Word, bool]:
    """The word, and whether it was ended early."""
    context, device = running.context, running.device.name
    make = partial(InversionNetworks, weights.locate(WEIGHTS), device, getattr(torch, plan.dtype))
    with running.networks("textual inversion", [WEIGHTS], plan, make, keep=False) as networks:
        parts = networks.files.parts
        square = torch.tensor(picture).permute(2, 0, 1).float() / 255

        def pictures() -> Iterator[Tensor]:
            for index, each in enumerate(altered(square, VIEWS, side, context.seed)):
                tell(ENCODING * index / VIEWS)
                yield each

        context.preview("learning", _shown(islice(altered(square, SHOWN, side, context.seed), SHOWN)), title)
        with torch.no_grad():
            latents = encode(pictures(), parts["vae"])
        parts.release("vae")
        unet, encoder = parts["unet"], parts["text_encoder"]
        if plan.settings["recompute"]:
            unet.enable_gradient_checkpointing()
        _check_new(parameters.word, networks.tokenizer)
        try:
            objective = Inversion(unet, encoder, networks.tokenizer, latents, parameters.initial)
        except ValueError as error:
            raise Problem("parameters-invalid", f"Begins as: {error}.", "Write a word or two.") from error
        settings = Settings(
            parameters.chosen_steps,
            seed=context.seed,
            accumulation=BATCH // plan.settings["at_once"],
            precision=plan.dtype,
            judged_every=0,  # a step's loss says more of its timesteps than of the word: the last is the best
            left_out=3,
        )
        outcome = optimise(
            Loop(objective, inversion.optimiser(objective), settings),
            context,
            checkpoint_seconds=CHECKPOINT_SECONDS,
            checkpoints=context.checkpoints.part(f"object-{number}"),
            tell=lambda share, message: tell(ENCODING + (1 - ENCODING) * share),
            title=title,
        )
        embedding = objective.word.detach().cpu().numpy()
    return Word(parameters.word, embedding), outcome.early


class InversionNetworks:
    """The networks of a folder of Stable Diffusion 1.5, as something to be held."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        """Checks all headers; weights are read when they are needed. Raises CheckpointError."""
        self.files = StableDiffusionFiles(folder, device, dtype)
        self.tokenizer = load_tokenizer(folder / "tokenizer")

    @property
    def loaded_bytes(self) -> int:
        return self.files.parts.bytes

    @property
    def bytes_aside(self) -> int:
        return self.files.parts.bytes_aside

    def release(self) -> None:
        self.files.parts.release()


def _ladder(parameters: InversionParameters, side: int, device: Device) -> list[Plan]:
    """The ways of working: four pictures at once, one, and one whose middle is computed twice."""
    dtype = choose_dtype(device, parameters.precision)
    item = ITEM_BYTES[dtype]
    numbers = seen("textual inversion", [WEIGHTS], lambda: sizes(weights.locate(WEIGHTS)))
    held = sum(numbers[name] for name in ("unet", "text_encoder")) * item
    share = item / ITEM_BYTES["float32"] * (side / SD15_SIDE) ** 2
    work, twice = round(ITEM_WORK_BYTES * share), round(TWICE_WORK_BYTES * share)
    ways = (("four", 4, False, 4 * work), ("one", 1, False, work), ("twice", 1, True, twice))
    said = {
        "four": "four pictures at once",
        "one": "a picture at a time",
        "twice": "a picture at a time, computed twice",
    }
    return [
        Plan(name, f"{8 * item}-bit, {said[name]}", held + needed, dtype, {"at_once": at_once, "recompute": recompute})
        for name, at_once, recompute, needed in ways
    ]


def _facts(parameters: InversionParameters, side: int, seed: int) -> dict[str, Any]:
    """All that a word depends on but the picture. How it is spelt is not among it."""
    return {
        "version": INVERSION.version,
        "model": weights.row_of(WEIGHTS).repository,
        "revision": revision_of(WEIGHTS),
        "side": side,
        "steps": parameters.chosen_steps,
        "initial": " ".join(parameters.initial.split()),
        "seed": seed,
    }


def _check_new(word: str, tokenizer: Any) -> None:
    """Raises Problem("parameters-invalid") for a word that CLIP knows."""
    known = tokenizer.get_vocab()
    if word in known or f"{word}</w>" in known:
        detail = f"{word!r} is a word that the text encoder knows already."
        raise Problem("parameters-invalid", detail, f"Call it otherwise, such as <my-{word}>.")


def _of_this_job(context: Context, name: str) -> Word | None:
    """What an earlier attempt at this job has learned; None if nothing."""
    data = context.recall(name)
    if data is None:
        return None
    ((text, embedding),) = load(data).items()
    return Word(text, embedding.numpy())


def _bytes(word: Word) -> bytes:
    return save({word.text: torch.from_numpy(word.embedding)})


def _shown(pictures: Iterable[Tensor]) -> Pixels:
    """Altered pictures side by side, S×(n·S)×3."""
    row = torch.cat([(each + 1) / 2 for each in pictures], dim=2).permute(1, 2, 0)
    shown: Pixels = (row * 255).round().to(torch.uint8).numpy()
    return shown
