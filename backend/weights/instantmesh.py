"""What InstantMesh runs: the parts of Zero123++ that it keeps, its own network of views, and four that reconstruct."""

from __future__ import annotations

from backend.weights.row import Weights

INSTANTMESH = (
    "The page of the weights says Apache-2.0. The network that makes the views continues Zero123++ v1.2, whose weights "
    "are CC-BY-NC-4.0: what they make may be used freely, the weights themselves not for commercial purposes."
)


def _instantmesh(part: str, file: str, size: int, note: str) -> Weights:
    """One file of the repository of InstantMesh. Sizes follow from the numbers of parameters at 32 bit."""
    return Weights(
        id=f"instantmesh-{part}",
        repository="TencentARC/InstantMesh",
        revision="b785b4ecfb6636ef34a08c748f96f6a5686244d0",
        files=(file,),
        required=(file,),
        bytes=size,
        licence="Apache-2.0",
        licence_note=note,
        memory_bytes=size,
        part=part,
    )


ROWS = (
    Weights(
        # The page: CC-BY-NC-4.0; 5.58 GB with the UNet of 3.46 GB, which that of InstantMesh takes the place of.
        id="zero123plus",
        repository="sudo-ai/zero123plus-v1.2",
        revision="2da07e89919e1a130c9b5add1584c70c7aa065fd",
        files=(
            "model_index.json",
            "feature_extractor_*/*.json",
            "scheduler/*",
            "text_encoder/*",
            "tokenizer/*",
            "unet/config.json",
            "vae/*",
            "vision_encoder/*",
        ),
        required=(
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "unet/config.json",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "vision_encoder/config.json",
            "vision_encoder/model.safetensors",
        ),
        bytes=2_120_000_000,
        licence="CC-BY-NC-4.0",
        licence_note=(
            "The weights may not be used for commercial purposes; the page says that what they make may be used freely."
        ),
        memory_bytes=2_120_000_000,
    ),
    _instantmesh("views", "diffusion_pytorch_model.bin", 3_463_000_000, INSTANTMESH),
    _instantmesh("base", "instant_mesh_base.ckpt", 1_253_000_000, ""),
    _instantmesh("large", "instant_mesh_large.ckpt", 1_515_000_000, ""),
    _instantmesh("nerf-base", "instant_nerf_base.ckpt", 1_253_000_000, ""),
    _instantmesh("nerf-large", "instant_nerf_large.ckpt", 1_514_000_000, ""),
)
