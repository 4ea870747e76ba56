"""What the priors of Magic123 are made of, beside Stable Diffusion 1.5, which `imagine` has: Zero123, twice, from
where each is found.

Of a model the authors have published the whole training, 15.5 GB. Of the mirrors bennyguo's hold the running average of
the network beside the raw weights, at half precision and under a name of its own; it is what the published program
works with, and so these are the rows that a method names. Of the other mirrors the pages do not say which of the two
they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.weights.row import Weights

NOTE = (
    "The page of the weights says MIT. They continue Stable Diffusion's image variations, so the uses that the "
    "CreativeML Open RAIL-M licence forbids are probably forbidden here too; read both before you sell what they make."
)
HALF, WHOLE = 2_495_651_294, 4_995_000_000
"""Bytes of the networks at half precision, as the commit lists them, and about those at 32 bit."""

MEMORY = 2_495_000_000
"""In 16 bit."""


def _mirror(
    name: str, repository: str, revision: str, projection: str, size: int, files: tuple[str, str], **more: Any
) -> Weights:
    """A mirror with a folder for each network.

    projection: the folder of what tells the network of the camera.
    files: what a file of weights is called, and that of the image encoder. more: of the row.
    """
    ours, encoder = files
    named = {projection: ours, "image_encoder": encoder, "unet": ours, "vae": ours}
    weights = tuple(f"{folder}/{file}" for folder, file in named.items())
    configs = tuple(f"{folder}/config.json" for folder in named)
    return Weights(
        id=name,
        repository=repository,
        revision=revision,
        files=("model_index.json", "scheduler/*", *configs, *weights),
        required=("scheduler/scheduler_config.json", *configs, *weights),
        bytes=size,
        licence="MIT",
        licence_note=NOTE,
        memory_bytes=MEMORY,
        **more,
    )


def _averaged(name: str, repository: str, revision: str, digests: Mapping[str, str] | None = None) -> Weights:
    """One of bennyguo's mirrors: the files of the running average."""
    files = "diffusion_pytorch_model.fp16_ema.safetensors", "model.fp16_ema.safetensors"
    return _mirror(name, repository, revision, "clip_camera_projection", HALF, files, digests=digests or {})


ROWS = (
    _averaged(
        # The commit "add fp16 ema weights" lists sizes and digests.
        "zero123-105000",
        "bennyguo/zero123-diffusers",
        "b5289c24d8549e3a4737d0c34ab1347e5f074fbe",
        {
            "clip_camera_projection/diffusion_pytorch_model.fp16_ema.safetensors": (
                "ac21fba01b5383ccae304dc34a5195c4882e8c533f253ee918f4245b9a8415e9"
            ),
            "image_encoder/model.fp16_ema.safetensors": (
                "0dd0c1777bb75e2e9b7aa29b799b3ee8ebaaaa731e2c471a9ec589f12542cce7"
            ),
            "unet/diffusion_pytorch_model.fp16_ema.safetensors": (
                "4389cdd4ff8abff2908883be8b374f21d5b93a289fe268863832c4152105a20d"
            ),
            "vae/diffusion_pytorch_model.fp16_ema.safetensors": (
                "3e4c08995484ee61270175e9e7a072b66a6e4eeb5f0c266667fe1f45b90daf9a"
            ),
        },
    ),
    _averaged("zero123-xl", "bennyguo/zero123-xl-diffusers", "ae385edfaf74c677408f96bd04b513483bd326ac"),
    Weights(
        # A page that has a copy says 15.5 GB; which commit of the authors' repository brought it is not known.
        id="zero123-105000-original",
        repository="cvlab/zero123-weights",
        revision=None,
        files=("105000.ckpt",),
        required=("105000.ckpt",),
        bytes=15_500_000_000,
        licence="MIT",
        licence_note=NOTE,
        memory_bytes=MEMORY,
        part="105000",
    ),
    _mirror(
        # Torch's own files, at 32 bit; the page: "converted by diffusers scripts".
        "zero123-105000-mirror",
        "kxic/zero123-105000",
        "4fdd3ed0bb976526d6cbc9018d6273162c2e342f",
        "cc_projection",
        WHOLE,
        ("diffusion_pytorch_model.bin", "pytorch_model.bin"),
        part="kxic",  # the repositories of two owners have one name
    ),
    _mirror(
        # The page: 1.72 GB (unet), 1.19 MB (projection), so half precision without saying so in the names. The other
        # two networks are reckoned likewise.
        "zero123-xl-mirror",
        "ashawkey/zero123-xl-diffusers",
        "10e9e8e75adaa3bf77f5ac9c381419016fed68c7",
        "clip_camera_projection",
        HALF,
        ("diffusion_pytorch_model.safetensors", "model.safetensors"),
        part="ashawkey",
    ),
)
