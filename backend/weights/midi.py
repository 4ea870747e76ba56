"""What MIDI runs."""

from __future__ import annotations

from backend.weights.row import Weights

ROWS = (
    Weights(
        # The page: Apache-2.0, image_encoder_1 608 MB, image_encoder_2 610 MB (16 bit). The other two networks were
        # not seen there; their sizes follow from 1,682 and 243 million parameters at 16 bit.
        id="midi",
        repository="VAST-AI/MIDI-3D",
        revision=None,
        files=("*.json", "*/*.json", "*/*.safetensors"),
        required=(
            "transformer/config.json",
            "transformer/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "image_encoder_1/config.json",
            "image_encoder_1/model.safetensors",
            "image_encoder_2/config.json",
            "image_encoder_2/model.safetensors",
            "scheduler/scheduler_config.json",
            "feature_extractor_1/preprocessor_config.json",
            "feature_extractor_2/preprocessor_config.json",
        ),
        bytes=5_070_000_000,
        licence="Apache-2.0",
        licence_note=(
            "The page of the weights says Apache-2.0. A file of the authors' program code carries a notice that it "
            "derives from Tencent's HunyuanDiT, whose licence excludes the European Union and limits some uses. "
            "Whether that reaches the weights is an open question; have it looked at before you rely on them there."
        ),
        memory_bytes=5_070_000_000,
    ),
)
