"""Tiny checkpoints in the published folder layout, to try the whole way without a download.

Every part of the real ones is there, at a few hundred kilobytes, and loaded by the very same code. The detector is
random: it finds boxes somewhere, for any words. The segmenter outlines a disc in each box, see `tiny_segmenter`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from backend.preparations.segment.loading import quiet
from backend.preparations.segment.tiny_segmenter import tiny_segmenter

DETECTOR = "IDEA-Research/grounding-dino-base"
SMALL_DETECTOR = "IDEA-Research/grounding-dino-tiny"
SEGMENTER = "facebook/sam-vit-base"

PICTURE_SIDE = 64
FIRST_LETTER = 1037
"""Where BERT's vocabulary has its letters. The network knows [CLS], [SEP], the full stop and the question mark by their
places in that vocabulary, so the tiny one keeps those places."""

LARGER = 0.8
"""Added to the logit of each side of a box by each of the two layers."""

WORDS = ("chair", "table", "lamp", "arm", "plant", "sofa", "cup", "rug")


def write_tiny_segmentation_checkpoints(folder: Path, seed: int = 0) -> Path:
    """Writes a detector (as both sizes) and a segmenter below `folder`, named as on the hub; gives back `folder`.

    The environment variable SET_DRESSER_MODELS is to name that folder.
    """
    quiet()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        detector, segmenter = tiny_detector(), tiny_segmenter(PICTURE_SIDE)
    for name in (DETECTOR, SMALL_DETECTOR):
        detector.save_pretrained(folder / name)
        _write_tokenizer(folder / name)
        _write_json(
            folder / name / "preprocessor_config.json",
            {
                "do_convert_annotations": True,
                "do_normalize": True,
                "do_pad": True,
                "do_rescale": True,
                "do_resize": True,
                "format": "coco_detection",
                "image_mean": [0.485, 0.456, 0.406],
                "image_processor_type": "GroundingDinoImageProcessor",
                "image_std": [0.229, 0.224, 0.225],
                "processor_class": "GroundingDinoProcessor",
                "resample": 2,
                "rescale_factor": 1 / 255,
                "size": {"longest_edge": 3 * PICTURE_SIDE, "shortest_edge": 3 * PICTURE_SIDE // 2},
            },
        )
    segmenter.save_pretrained(folder / SEGMENTER)
    _write_json(
        folder / SEGMENTER / "preprocessor_config.json",
        {
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_pad": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.485, 0.456, 0.406],
            "image_processor_type": "SamImageProcessor",
            "image_std": [0.229, 0.224, 0.225],
            "mask_pad_size": {"height": PICTURE_SIDE // 4, "width": PICTURE_SIDE // 4},
            "mask_size": {"longest_edge": PICTURE_SIDE // 4},
            "pad_size": {"height": PICTURE_SIDE, "width": PICTURE_SIDE},
            "processor_class": "SamProcessor",
            "resample": 2,
            "rescale_factor": 1 / 255,
            "size": {"longest_edge": PICTURE_SIDE},
        },
    )
    return folder


def tiny_detector() -> Any:
    """A Grounding DINO with random weights, but for the size of its boxes: a third of the picture, not a twentieth."""
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

    backbone = {
        "model_type": "swin",
        "image_size": PICTURE_SIDE,
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
        "out_indices": [2, 3, 4],
    }
    text = {
        "model_type": "bert",
        "vocab_size": len(vocabulary()),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 256,
    }
    config = GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        num_queries=12,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
    )
    model: Any = GroundingDinoForObjectDetection(config)
    with torch.no_grad():
        model.bbox_embed[0].layers[-1].bias[2:] = LARGER
    return model


def vocabulary() -> list[str]:
    """BERT's vocabulary as far as it matters: its marks where they are, letters, a few words."""
    words = [f"[unused{number}]" for number in range(FIRST_LETTER)]
    words[0] = "[PAD]"
    words[100:104] = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words[1012], words[1029] = ".", "?"
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    return [*words, *letters, *(f"##{letter}" for letter in letters), *WORDS, *(f"##{word}" for word in WORDS)]


def _write_tokenizer(folder: Path) -> None:
    from transformers import BertTokenizer

    words = {word: index for index, word in enumerate(vocabulary())}
    BertTokenizer(vocab=words, do_lower_case=True, model_max_length=512).save_pretrained(folder)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
