"""What `segment` runs: a detector that looks for names, and the network that draws outlines."""

from __future__ import annotations

from backend.weights.row import Weights

DETECTOR = (
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)

DETECTOR_REQUIRED = ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer_config.json")

ROWS = (
    Weights(
        # A copy: model.safetensors 933 MB. The page: Apache-2.0.
        id="grounding-dino",
        repository="IDEA-Research/grounding-dino-base",
        revision="12bdfa3120f3e7ec7b434d90674b3396eccf88eb",
        files=DETECTOR,
        required=DETECTOR_REQUIRED,
        bytes=935_000_000,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=935_000_000,
    ),
    Weights(
        # The page: Apache-2.0, model.safetensors 689 MB.
        id="grounding-dino-tiny",
        repository="IDEA-Research/grounding-dino-tiny",
        revision="a2bb814dd30d776dcf7e30523b00659f4f141c71",
        files=DETECTOR,
        required=DETECTOR_REQUIRED,
        bytes=690_000_000,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=690_000_000,
    ),
    Weights(
        # The page: Apache-2.0, model.safetensors 375 MB.
        id="sam",
        repository="facebook/sam-vit-base",
        revision="70c1a07f894ebb5b307fd9eaaee97b9dfc16068f",
        files=("config.json", "model.safetensors", "preprocessor_config.json"),
        required=("config.json", "model.safetensors", "preprocessor_config.json"),
        bytes=375_000_000,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=375_000_000,
    ),
)
