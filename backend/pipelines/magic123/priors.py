"""The priors of a run: networks that are opened once, and what they are told of each object.

The weights are those of `models.guidance.balance`, leant by the slider. The networks that find what is told of a text
and of a picture are needed before the first step alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from backend import weights
from backend.errors import Problem
from backend.pipelines.magic123 import SHRINKS, TEXT_PRIORS, VIEW_PRIORS, Magic123Parameters
from backend.pipelines.magic123.subjects import Subject
from backend.pipelines.running import seen
from backend.residency import residency
from models.guidance.balance import Balance, Stage, leaning, published
from models.guidance.distillation import Distillation
from models.guidance.encoding import Encoding
from models.guidance.memory import STABLE_DIFFUSION, ZERO123, Way
from models.guidance.prior import Prior
from models.guidance.stable_diffusion import StableDiffusionFiles, StableDiffusionPrior, sizes
from models.guidance.text import ViewTexts
from models.guidance.together import Together
from models.guidance.zero123 import Condition, Reference, Zero123Prior, condition
from models.guidance.zero123_files import Zero123Files


@dataclass(frozen=True)
class Told:
    """What the priors are told of one object; None of one that is not asked."""

    text: ViewTexts | None
    view: Condition | None


class PriorNetworks:
    """The networks of both priors, as something to be held (`backend.residency.Networks`).

    Attributes:
        text, view: their files; None for one that there is not.
    """

    def __init__(self, parameters: Magic123Parameters, device: str, dtype: torch.dtype) -> None:
        """Opens the folders; no weights are loaded.

        Raises:
            Problem: weights-missing, weights-damaged.
            CheckpointError: something is missing, damaged or of another network.
        """
        self.text: StableDiffusionFiles | None = None
        self.view: Zero123Files | None = None
        for identifier in TEXT_PRIORS[parameters.text_prior]:
            self.text = StableDiffusionFiles(weights.locate(identifier), device, dtype)
        for identifier in VIEW_PRIORS[parameters.view_prior]:
            kept = weights.converted_folder(identifier)
            self.view = Zero123Files(view_source(identifier), kept, device, dtype)

    @property
    def loaded_bytes(self) -> int:
        return sum(files.parts.bytes for files in self._files)

    @property
    def bytes_aside(self) -> int:
        return sum(files.parts.bytes_aside for files in self._files)

    def release(self) -> None:
        for files in self._files:
            files.parts.release()

    def lay_aside(self, name: str) -> None:
        """Take the networks of one prior off the device."""
        files = self.text if name == STABLE_DIFFUSION else self.view
        if files is not None:
            files.parts.lay_aside(residency.room_aside)

    def told(self, subject: Subject, parameters: Magic123Parameters, tellers_stay: bool) -> Told:
        """What is told of an object.

        Args:
            tellers_stay: whether the networks that find it stay on the device.

        Raises:
            Problem: "parameters-invalid" where a learned word is one that there was before.
            CheckpointForeign: a learned word does not fit the text encoder.
        """
        texts, view, balance = None, None, balance_of("coarse", parameters)
        if self.text is not None and balance.text:
            try:
                texts = self.text.texts(subject.text, parameters.negative_prompt, subject.words)
            except ValueError as error:
                raise Problem("parameters-invalid", f"The text of {subject.title} cannot be told: {error}") from error
            if not tellers_stay:
                self.text.parts.lay_aside(residency.room_aside, "text_encoder")
        if self.view is not None and balance.view:
            view = condition(subject.reference.picture.permute(2, 0, 1), self.view.parts)
            if not tellers_stay:
                self.view.parts.lay_aside(residency.room_aside, "image_encoder")
        return Told(texts, view)

    def asked(self, told: Told, stage: Stage, parameters: Magic123Parameters, way: Way) -> list[Prior]:
        """The priors of an object in a stage."""
        balance = balance_of(stage, parameters)
        least, most = parameters.t_range if stage == "coarse" else parameters.fine_t_range
        encoding = Encoding(shrinks=SHRINKS[parameters.encoding])
        found: dict[str, Prior] = {}
        if self.text is not None and told.text is not None and balance.text:
            how = Distillation(parameters.text_guidance, balance.text, (least, most))
            found[STABLE_DIFFUSION] = StableDiffusionPrior(self.text.parts, told.text, how, encoding, way.frugality)
        if self.view is not None and told.view is not None and balance.view:
            how = Distillation(parameters.view_guidance, balance.view, (least, most))
            found[ZERO123] = Zero123Prior(self.view.parts, [Reference(told.view)], how, encoding, way.frugality)
        return [Together(found, None if way.keep or len(found) < 2 else self.lay_aside)] if found else []

    @property
    def _files(self) -> list[StableDiffusionFiles | Zero123Files]:
        return [files for files in (self.text, self.view) if files is not None]


def balance_of(stage: Stage, parameters: Magic123Parameters) -> Balance:
    """The weights of a stage. With one prior alone there is nothing to lean to."""
    balance = published(stage)
    both = parameters.asks_text and parameters.asks_views
    return leaning(balance, parameters.likeness) if both else balance


def view_source(identifier: str) -> Path:
    """Where the files of a Zero123 are: the folder of a mirror, or the authors' file."""
    folder, (first, *others) = weights.locate(identifier), weights.row_of(identifier).required
    return folder if others else folder / first


def identifiers_of(parameters: Magic123Parameters) -> list[str]:
    """Of `backend/weights`: those of the priors."""
    return [*TEXT_PRIORS[parameters.text_prior], *VIEW_PRIORS[parameters.view_prior]]


def sizes_of(parameters: Magic123Parameters) -> dict[str, dict[str, int]]:
    """Parameters of each network, by the name of its prior, from headers. What is wrong with a checkpoint, as far as
    headers tell, is told here. The authors' file of Zero123 is converted the first time, which takes minutes.

    Raises:
        Problem: weights-missing, weights-damaged, weights-foreign.
    """

    def look() -> dict[str, dict[str, int]]:
        opened = PriorNetworks(parameters, "cpu", torch.float32)
        found = {} if opened.text is None else {STABLE_DIFFUSION: sizes(opened.text.folder)}
        return found if opened.view is None else {**found, ZERO123: opened.view.sizes()}

    identifiers = identifiers_of(parameters)
    return seen("magic123 " + " ".join(identifiers), identifiers, look)
