"""Outlining what is in a box, with SAM.

A. Kirillov et al., 2023, "Segment Anything" (arXiv:2304.02643). The picture goes through the large encoder once; each
box then costs a pass of the small decoder, which gives three masks (whole, part, part of a part) and how good it thinks
each is, as the intersection over union that it expects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from backend.preparations.segment.loading import load_network, load_processor, watched

BOXES_AT_ONCE = 16


class Segmenter:
    """SAM and its processor, loaded from a folder."""

    def __init__(self, folder: Path, device: str) -> None:
        """Errors: see `load_network` and `load_processor`."""
        from transformers import SamModel

        self.device = device
        self.processor = load_processor(folder)
        self.network = load_network(SamModel, folder, device)

    def outlines(
        self,
        picture: NDArray[np.uint8],
        boxes: Sequence[tuple[float, float, float, float]],
        tick: Callable[[float], None],
    ) -> Iterator[NDArray[np.bool_]]:
        """The mask of what is in each box, one after the other, HxW; all False where the network sees nothing.

        Of the three masks the one counts that the network itself expects to be the best. Their union would take in
        whatever any of them holds, which for a box is most often a neighbour or what lies behind.

        Args:
            picture: HxWx3, sRGB.
            boxes: left, top, right, bottom in pixels.
            tick: see `watched`; while the encoder looks at the picture, before the first mask.
        """
        if not boxes:
            return
        # The processor scales boxes in 64 bits, which Apple's GPUs do not have.
        inputs = self.processor(
            Image.fromarray(picture), input_boxes=[[list(box) for box in boxes]], return_tensors="pt"
        )
        corners = inputs["input_boxes"].to(self.device, torch.float32)
        with torch.inference_mode(), watched(self.network.vision_encoder, tick):
            seen = self.network.get_image_embeddings(inputs["pixel_values"].to(self.device))
        for start in range(0, len(boxes), BOXES_AT_ONCE):
            with torch.inference_mode():
                output = self.network(image_embeddings=seen, input_boxes=corners[:, start : start + BOXES_AT_ONCE])
                chosen = best_masks(output.pred_masks[0].float(), output.iou_scores[0].float())
            for mask in chosen:
                yield self._enlarged(mask, inputs)

    @torch.inference_mode()
    def _enlarged(self, mask: Tensor, inputs: Any) -> NDArray[np.bool_]:
        """A mask in the picture's own pixels, from the decoder's, which covers the padded square."""
        enlarged = self.processor.post_process_masks(
            mask[None, None, None], inputs["original_sizes"], inputs["reshaped_input_sizes"]
        )
        pixels: NDArray[np.bool_] = enlarged[0][0, 0].cpu().numpy()
        return pixels


def best_masks(masks: Tensor, expected: Tensor) -> Tensor:
    """Of several masks for each box (boxes, 3, h, w) the one with the highest expectation (boxes, 3): (boxes, h, w)."""
    return masks[torch.arange(len(masks), device=masks.device), expected.argmax(dim=1)]
