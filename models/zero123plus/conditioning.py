"""What the UNet is told of a photo: embeddings of its content, and its latents as a reference.

There are no words: the text is always empty. CLIP's embedding of the photo is added to the embedding of the empty text,
to each of its tokens with a strength of its own (the ramp, from `model_index.json`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.headers import open_header
from models.loading import (
    CheckpointDamaged,
    CheckpointError,
    CheckpointForeign,
    CheckpointMissing,
    read_header,
    read_json,
    read_tensors,
)
from models.published import load_clip_text
from models.writing import write_safetensors

TEXT = "empty_text"


@dataclass(frozen=True)
class Condition:
    """Of one photo, float32 on the CPU. Both tensors hold the unconditional half first, then the conditional one.

    embeddings: [2, tokens, width]; the unconditional half is the empty text alone.
    references: [2, channels, h, w], latents without the factor of ordinary ones (the authors train with that); the
        unconditional half is of a plain grey picture.
    """

    embeddings: Tensor
    references: Tensor


@dataclass(frozen=True)
class Posterior:
    """What the VAE says of a picture: mean and standard deviation of its latents [1, channels, h, w]."""

    mean: Tensor
    deviation: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        return self.mean + self.deviation * noise


def scale_latents(latents: Tensor) -> Tensor:
    """Latents of the VAE → as the UNet makes them."""
    return (latents - 0.22) * 0.75


def unscale_latents(latents: Tensor) -> Tensor:
    """The inverse of `scale_latents`."""
    return latents / 0.75 + 0.22


def scale_image(image: Tensor) -> Tensor:
    """Pictures −1 … 1 → in the range that the VAE is given: −0.625 … 0.625."""
    return image * 0.5 / 0.8


def unscale_image(image: Tensor) -> Tensor:
    """The inverse of `scale_image`."""
    return image / 0.5 * 0.8


def ramped(text: Tensor, image: Tensor, ramp: Tensor) -> Tensor:
    """Text [tokens, width], image [width] and ramp [tokens] → `Condition.embeddings` [2, tokens, width]."""
    return torch.stack([text, text + ramp[:, None] * image])


def image_embedding(pixels: NDArray[np.float32], encoder: Any) -> Tensor:
    """CLIP's projected embedding [width] of `Preprocessor.pixels` [3, S, S], float32 on the CPU."""
    embedding: Tensor = encoder(pixel_values=_batch(torch.from_numpy(pixels), encoder)).image_embeds[0]
    return embedding.float().cpu()


def posterior(pixels: Tensor, vae: Any) -> Posterior:
    """The VAE's view of pixels [3, H, W], float32 on the CPU."""
    found = vae.encode(_batch(pixels, vae)).latent_dist
    return Posterior(found.mean.float().cpu(), found.std.float().cpu())


def decoded(latents: Tensor, vae: Any) -> NDArray[np.float32]:
    """Latents of the UNet [channels, h, w] → the picture [H, W, 3], 0 … 1.

    Raises:
        FloatingPointError: the latents or the picture are no numbers: the precision was not enough.
    """
    unscaled = unscale_latents(latents.float()) / vae.config.scaling_factor
    picture = unscale_image(vae.decode(_batch(unscaled, vae), return_dict=False)[0][0].float())
    if not picture.isfinite().all():
        raise FloatingPointError("the views came out as no numbers; choose a precision of wider range, as bfloat16")
    return (picture / 2.0 + 0.5).clamp(0.0, 1.0).permute(1, 2, 0).detach().cpu().contiguous().numpy()


def empty_text(encoder: Any) -> Tensor:
    """The embedding of no words [tokens, width]: begin, end, and zeros to the full length.

    Begin and end are the last two of the vocabulary; numbers in published configurations of this encoder are not those
    of its tokenizer.
    """
    config = encoder.config
    ids = torch.zeros(1, config.max_position_embeddings, dtype=torch.long)
    ids[0, :2] = torch.tensor([config.vocab_size - 2, config.vocab_size - 1])
    embedding: Tensor = encoder(input_ids=ids).last_hidden_state[0]
    return embedding


def load_empty_text(folder: Path, kept: Path | None = None) -> Tensor:
    """`empty_text` of the encoder in `folder`, which is loaded for it and let go, in float32 on the CPU.

    Args:
        folder: `text_encoder` of the checkpoint.
        kept: a small file for the result. When it is there and of this very encoder, or the encoder's weights are not
            there any more, it is read instead.

    Raises:
        CheckpointError: see `loading.load_module`; also where `kept` cannot be written.
    """
    if kept is not None and (found := _read_kept(folder, kept)) is not None:
        return found
    text = empty_text(load_clip_text(folder, "cpu", torch.float32)).clone()
    if kept is not None:
        try:
            write_safetensors(kept, {TEXT: text}, {"made_of": _weights(folder)})
        except OSError as error:
            raise CheckpointError(f"{kept}, the embedding of the empty text, cannot be written: {error}") from error
    return text


def check_empty_text(folder: Path, kept: Path | None = None) -> int:
    """The width of what `load_empty_text` would give; errors are the same, but nothing is computed."""
    if kept is not None and (found := _read_kept(folder, kept)) is not None:
        return int(found.shape[1])
    return int(load_clip_text(folder, "meta", torch.float32).config.hidden_size)


def read_ramp(folder: Path) -> Tensor:
    """The strength of the photo's embedding for each token, float32, from `model_index.json`.

    Raises:
        CheckpointForeign: there is none: this is not Zero123++.
    """
    file = folder / "model_index.json"
    values = read_json(file).get("ramping_coefficients")
    if not isinstance(values, list) or not values or not all(isinstance(value, int | float) for value in values):
        raise CheckpointForeign(f"{file} has no ramping_coefficients; this is not a checkpoint of Zero123++.")
    return torch.tensor(values, dtype=torch.float32)


def _read_kept(folder: Path, kept: Path) -> Tensor | None:
    try:
        if list(read_header(kept)) != [TEXT]:
            return None
    except (CheckpointMissing, CheckpointDamaged):
        return None  # made anew
    if (now := _weights(folder)) and open_header(kept).metadata.get("made_of") != now:
        return None
    return read_tensors(kept, {TEXT: TEXT}, "cpu")[TEXT]


def _weights(folder: Path) -> str:
    """Tells the encoder's files of now from others; "" if they are not there."""
    files = sorted(folder.glob("*.safetensors"))
    return " ".join(f"{file.name}:{(stat := file.stat()).st_size}:{stat.st_mtime_ns}" for file in files)


def _batch(tensor: Tensor, network: Any) -> Tensor:
    """One row, where and in the precision in which the network works."""
    parameter = next(network.parameters())
    return tensor[None].to(device=parameter.device, dtype=parameter.dtype)
