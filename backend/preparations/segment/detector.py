"""Finding objects by their names, with Grounding DINO.

S. Liu et al., 2023, "Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection"
(arXiv:2303.05499). The network sees a picture and a text and gives boxes, and for each box how well it goes with each
token of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from backend.errors import Problem
from backend.preparations.segment.finds import SMALLEST_SIDE, Find, clip
from backend.preparations.segment.loading import load_network, load_processor, watched
from models.loading import CheckpointDamaged

MARKS = {"[CLS]": 101, "[SEP]": 102, ".": 1012}
"""What ends a label in the text, by its place in the vocabulary, as the network has it built in."""


class Detector:
    """Grounding DINO and its processor, loaded from a folder."""

    def __init__(self, folder: Path, device: str) -> None:
        """Errors: see `load_network` and `load_processor`; CheckpointDamaged if the tokenizer is another one."""
        from transformers import GroundingDinoForObjectDetection

        self.folder = folder
        self.device = device
        self.processor = load_processor(folder)
        # Without its vocabulary a tokenizer is made all the same, and knows no word.
        if self.processor.tokenizer.convert_tokens_to_ids(list(MARKS)) != list(MARKS.values()):
            raise CheckpointDamaged(f"{folder / 'tokenizer.json'} is missing or is not the tokenizer of this network.")
        self.network = load_network(GroundingDinoForObjectDetection, folder, device)

    @torch.inference_mode()
    def find(
        self, picture: NDArray[np.uint8], labels: Sequence[str], threshold: float, tick: Callable[[float], None]
    ) -> list[Find]:
        """Every box whose score for one of the labels exceeds the threshold; the same object may occur several times.

        The score of a box for a label is the highest over the label's tokens, and the box gets the label of its
        highest score. So a label of two words is found by either, and what comes back is always a label as it was
        written, never a fragment of it.

        Args:
            picture: HxWx3, sRGB.
            labels: without full stops; at least one.
            tick: see `watched`.

        Raises:
            Problem: parameters-invalid, if the labels are more text than the network reads.
            CheckpointDamaged: the network gives no numbers.
        """
        height, width = picture.shape[:2]
        text, places = prompt(labels)
        spans = self._tokens(text, places)
        inputs = self.processor(images=Image.fromarray(picture), text=text, return_tensors="pt").to(self.device)
        with watched(self.network, tick):
            output = self.network(**inputs)
        scores, boxes = output.logits[0].float().sigmoid().cpu(), output.pred_boxes[0].float().cpu()
        if not (scores.isfinite().all() and boxes.isfinite().all()):
            raise CheckpointDamaged(f"{self.folder / 'model.safetensors'} gives no numbers; its content is damaged.")
        best, which = label_scores(scores, spans).max(dim=1)
        finds = []
        for index in (best > threshold).nonzero().flatten().tolist():
            across, down, wide, high = boxes[index].tolist()
            corners = (across - wide / 2, down - high / 2, across + wide / 2, down + high / 2)
            left, top, right, bottom = (value * side for value, side in zip(corners, 2 * (width, height), strict=True))
            box = clip((left, top, right, bottom), (width, height))
            if min(box[2] - box[0], box[3] - box[1]) >= SMALLEST_SIDE:
                finds.append(Find(labels[int(which[index])], box, float(best[index])))
        return finds

    def _tokens(self, text: str, places: Sequence[tuple[int, int]]) -> list[list[int]]:
        """The tokens of the text that belong to each label."""
        offsets = self.processor.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        most = self.network.config.max_text_len
        if len(offsets) > most:
            detail = f"The objects to look for are {len(offsets)} pieces of words; the detector reads {most} at most."
            raise Problem("parameters-invalid", detail, "Look for fewer objects at a time, or use shorter words.")
        return [
            [token for token, (first, last) in enumerate(offsets) if start <= first < last <= end]
            for start, end in places
        ]


def prompt(labels: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text in the form that the network was trained with, and where in it each label is: [start, end).

    Lower case, each label ended by a full stop.
    """
    text, places = "", []
    for label in labels:
        start = len(text)
        text += label.lower()
        places.append((start, len(text)))
        text += ". "
    return text.rstrip(), places


def label_scores(scores: Tensor, spans: Sequence[Sequence[int]]) -> Tensor:
    """Scores of boxes for labels (boxes, labels) from those for tokens (boxes, tokens): the highest of each span.

    A label without tokens is never found.
    """
    columns = [scores[:, list(span)].amax(dim=1) if span else torch.zeros(len(scores)) for span in spans]
    return torch.stack(columns, dim=1)
