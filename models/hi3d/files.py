"""The published files of both stages: read as data, judged by their shapes, and converted once to folders.

A file is what DeepSpeed keeps of a training: the weights under the entry `module`, each with `module.` before its name.
It holds all the networks of its stage, conditioners too, and a second autoencoder, which is written out only where it
differs from the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.converted_folders import INDEX, Part, check_parts, convert_into, converted_folder, is_made_of
from models.headers import CheckpointForeign
from models.hi3d import encoder_names, names, shapes
from models.hi3d.conditioning import depth_side
from models.hi3d.shapes import UNET_CLASS, VAE_CLASS
from models.loading import MOST_LAYERS, read_json
from models.pickled import read_content, tensor_table

CLASS = "Hi3DStage"
PREFIX = "module."
WEIGHTS, SIZES = "module", "sizes"
"""Entries of a file. The published ones have no `sizes`: then frames and size are those of `Stage`."""

SECOND_VAE = "condition_vae"
FRAMES = 16


@dataclass(frozen=True)
class Stage:
    """One of the two stages, as published.

    Attributes:
        number: 1 or 2.
        file: what its checkpoint is called.
        does: for people.
        size: pixels along a side of a frame.
        largest: scale of the most guided frame.
        own: the prefix of a network that only this stage has.
    """

    number: int
    file: str
    does: str
    size: int
    largest: float
    own: str


ORBIT = Stage(1, "first_stage.pt", "the orbit", 512, 2.5, encoder_names.SCORE_TOWER)
REFINE = Stage(2, "second_stage.pt", "the refinement", 1024, 2.0, encoder_names.DEPTH)


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        parts: by the name of their folder.
        score: the folded aesthetic head, "weight" and "bias"; empty in stage 2.
        frames, size: how many frames the networks make, and pixels along a side of one.
    """

    parts: dict[str, Part]
    score: dict[str, Tensor]
    frames: int
    size: int


def read_stage(file: Path, stage: Stage) -> Contents:
    """The networks of a file, their tensors mapped; each is judged by names and shapes.

    Raises:
        CheckpointMissing, CheckpointDamaged: there is no such file, or it is cut off.
        CheckpointForeign: it is the other stage's, or something else.
    """
    content = read_content(file)
    if not isinstance(content, dict) or not isinstance(content.get(WEIGHTS), dict):
        raise CheckpointForeign(f"{file} has no entry {WEIGHTS!r}; it is not {stage.file} of Hi3D.")
    tensors = tensor_table(content[WEIGHTS], file)
    sizes = content.get(SIZES, {})
    frames, size = (_size(sizes, name, usual, file) for name, usual in (("frames", FRAMES), ("size", stage.size)))
    try:
        found = contents(tensors, stage, frames, size)
    except CheckpointForeign as error:
        raise CheckpointForeign(f"{file}: {error}") from error
    _check_fit(found, file)
    check_parts(found.parts, file)
    return found


def contents(tensors: Mapping[str, Tensor], stage: Stage, frames: int = FRAMES, size: int | None = None) -> Contents:
    """Published tensors, sorted and renamed; none of them is read.

    Raises:
        CheckpointForeign: they are not those of the stage; the message names no file.
    """
    if all(name.startswith(PREFIX) for name in tensors):
        tensors = {name.removeprefix(PREFIX): each for name, each in tensors.items()}
    _check_stage(tensors, stage)
    parts = {
        "unet": _unet(names.under(tensors, names.UNET), frames),
        "vae": _vae(names.under(tensors, names.VAE)),
        "image_encoder": _clip(names.under(tensors, encoder_names.IMAGE_TOWER), "gelu"),
    }
    second = names.under(tensors, names.SECOND_VAE)
    if second and not _same(names.under(tensors, names.VAE), second):
        parts[SECOND_VAE] = _vae(second)
    score: dict[str, Tensor] = {}
    if stage is ORBIT:
        parts["score_encoder"] = _clip(names.under(tensors, encoder_names.SCORE_TOWER), "quick_gelu")
        score = encoder_names.score_tensors(names.under(tensors, encoder_names.SCORE_HEAD))
    else:
        depth = names.under(tensors, encoder_names.DEPTH)
        config = shapes.depth_config(_shapes(depth))
        parts["depth_estimator"] = Part("DPTForDepthEstimation", config, encoder_names.depth_tensors(depth))
    return Contents(parts, score, frames, size or stage.size)


def convert(file: Path, stage: Stage, place: Path | None = None) -> Path:
    """The folder with a file's networks, made at the first call and found again at later ones.

    It is made anew when the file has changed. When the file is gone and the folder is there, that will do.

    Args:
        file: as published; or such a folder, which is given back.
        place: the folder in which the folder is kept; beside the file if None.

    Raises:
        CheckpointError: see `read_stage`; CheckpointUnwritable where the place cannot be written to.
    """
    if (file / INDEX).is_file():
        folder = file
    else:
        folder = converted_folder(file, place)
        if not is_made_of(folder, file):
            found = read_stage(file, stage)
            others = {"score.safetensors": found.score} if found.score else {}
            convert_into(folder, file, found.parts, _stated(found, stage), others)
    made = read_json(folder / INDEX)
    if made.get("_class_name") != CLASS or made.get("stage") != stage.number:
        raise _other_stage(str(folder), stage)
    return folder


def _stated(found: Contents, stage: Stage) -> dict[str, Any]:
    """What the index of a folder says."""
    return {"_class_name": CLASS, "stage": stage.number, "frames": found.frames, "size": found.size}


def _check_fit(found: Contents, file: Path) -> None:
    """Raises CheckpointForeign where one network does not take what another gives."""
    configs = {name: part.config for name, part in found.parts.items()}
    fits = [("image_encoder", configs["image_encoder"]["projection_dim"], configs["unet"]["cross_attention_dim"])]
    if found.score:
        fits.append(("score_encoder", configs["score_encoder"]["projection_dim"], len(found.score["weight"])))
    else:
        fits.append(("depth_estimator", configs["depth_estimator"]["image_size"], depth_side(found.size)))
    for name, gives, takes in fits:
        if gives != takes:
            raise CheckpointForeign(f"{file}: {name} is for {gives} where {takes} is needed.")


def _check_stage(tensors: Mapping[str, Tensor], stage: Stage) -> None:
    for each in (ORBIT, REFINE):
        if any(name.startswith(each.own) for name in tensors):
            if each is not stage:
                raise _other_stage("it", stage)
            return
    raise CheckpointForeign(f"it has no {stage.own}…; it is not {stage.file} of Hi3D.")


def _other_stage(what: str, stage: Stage) -> CheckpointForeign:
    other = REFINE if stage is ORBIT else ORBIT
    return CheckpointForeign(
        f"{what} is the checkpoint of stage {other.number}, {other.does}, where that of stage {stage.number}, "
        f"{stage.does}, is needed: give {stage.file}. Perhaps the two are the wrong way round."
    )


def _unet(tensors: Mapping[str, Tensor], frames: int) -> Part:
    config = shapes.unet_config(_shapes(tensors), frames)
    return Part(
        UNET_CLASS, {"_class_name": UNET_CLASS, **config}, names.unet_tensors(tensors, config["layers_per_block"])
    )


def _vae(tensors: Mapping[str, Tensor]) -> Part:
    config = shapes.vae_config(_shapes(tensors))
    levels = len(config["block_out_channels"])
    return Part(VAE_CLASS, {"_class_name": VAE_CLASS, **config}, names.vae_tensors(tensors, levels))


def _clip(tensors: Mapping[str, Tensor], activation: str) -> Part:
    config = shapes.clip_config(_shapes(tensors), activation)
    return Part("CLIPVisionModelWithProjection", config, encoder_names.clip_tensors(tensors))


def _same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two autoencoders encode alike; only this half of the second is used."""
    needed = [name for name in second if not name.startswith(("decoder.", "post_quant_conv."))]
    if any(name not in first or first[name].shape != second[name].shape for name in needed):
        return False
    return all(each.is_meta or torch.equal(first[name], each) for name, each in second.items() if name in needed)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in tensors.items()}


def _size(sizes: object, name: str, usual: int, file: Path) -> int:
    value = sizes.get(name, usual) if isinstance(sizes, dict) else None
    most = MOST_LAYERS if name == "frames" else 4096
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise CheckpointForeign(f"{file}: {SIZES} states {name} as {value!r}; 1 to {most} are possible.")
    return value
