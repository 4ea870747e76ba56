"""Checkpoints of OpenLRM and MIRA in their three published layouts: read, judged by their claims, and written.

* OpenLRM 1.1: a folder with `config.json` and `model.safetensors`.
* OpenLRM 1.0: `model.pth`, a pickle of weights and constructor arguments. The `config.json` beside it is not needed,
  and in some revisions no JSON.
* MIRA: `checkpoint_<n>.pt`, a pickle of training, beside `config.json`.

Which one a file is shows in its content: a pickle's entries, and the names of its tensors. The names decide the order
of scale and shift too, which no shape tells; so names of one generation beside the configuration of another are
refused instead of guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.headers import WIDTHS as TYPE_WIDTHS
from models.headers import CheckpointForeign, CheckpointMissing, Header, TensorHeader, open_header
from models.loading import check_finite, check_headers, filled, read_json, read_tensors
from models.lrm.checkpoint import placeholders_for_other_classes
from models.lrm.configs import Shapes
from models.lrm.single_view import Generation, SingleViewConfig, SingleViewModel
from models.lrm.single_view_configs import (
    PICTURE_SIZES,
    check_writable,
    mira_config,
    mira_settings,
    openlrm_config,
    openlrm_settings,
    picture_sizes,
)
from models.lrm.single_view_names import generation_of, published_name, renamed
from models.pickled import examine, header_of, read_content, tensor_table
from models.writing import write_json, write_safetensors, write_torch

CONFIG, WEIGHTS, OLD_WEIGHTS = "config.json", "model.safetensors", "model.pth"
NUMBERED = re.compile(r"checkpoint_(\d{1,12})\.pt")
SMALL_PARTS = ("camera_embedder.", "synthesizer.")
"""Parts that stay in float32: the numbers of a camera, and densities along a ray, do not fit 16 bits."""


@dataclass(frozen=True)
class SingleViewClaims:
    """What a checkpoint says of itself; its tensors have the names and shapes that its configuration asks for.

    Attributes:
        file: the one with the tensors.
        config: sizes of the networks.
        source_size, render_size: sides in pixels of the picture that is given and of those that are rendered.
        bytes: of the tensors as they are stored.
        parameters: how many numbers they are.
    """

    file: Path
    config: SingleViewConfig
    source_size: int
    render_size: int
    bytes: int
    parameters: int

    @property
    def generation(self) -> Generation:
        """Whose layout it is."""
        return self.config.generation


@dataclass(frozen=True)
class _Opened:
    """A checkpoint whose headers have been read.

    Attributes:
        names: name in the network → name in the file.
        tensors: of a pickle, mapped, by name in the file; None for safetensors.
    """

    claims: SingleViewClaims
    names: dict[str, str]
    tensors: Mapping[str, Tensor] | None


def claims(path: str | Path) -> SingleViewClaims:
    """What a checkpoint is, from headers and configuration; no tensor is read.

    Args:
        path: the file with the tensors, or the folder that holds it; of several MIRA checkpoints in a folder the one
            with the highest number is meant.

    Raises:
        CheckpointMissing: no checkpoint there, or its configuration is missing.
        CheckpointDamaged: a file is cut, claims what it does not hold, or is no JSON.
        CheckpointForeign: of another network, or configuration and tensors belong to different ones.
    """
    return _open(Path(path)).claims


def open_single_view(
    path: str | Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> SingleViewModel:
    """The networks of a checkpoint, all tensors filled, for inference until they are told to learn.

    Args:
        path: see `claims`.
        device: "meta" only checks.
        dtype: of encoder and transformer, whatever the file has; None for float32. `SMALL_PARTS` are float32.

    Raises:
        CheckpointError: see `claims`; or a tensor has values that are not finite.
    """
    opened = _open(Path(path))
    with torch.device("meta"):
        network = SingleViewModel(opened.claims.config)
    if torch.device(device).type == "meta":
        return network.eval()
    small = {name: old for name, old in opened.names.items() if name.startswith(SMALL_PARTS)}
    large = {name: old for name, old in opened.names.items() if name not in small}
    file = opened.claims.file
    if opened.tensors is not None:
        examine(file)
    state: dict[str, Tensor] = {}
    for names, kind in ((large, dtype or torch.float32), (small, torch.float32)):
        if opened.tensors is None:
            state |= read_tensors(file, names, device, kind)
        else:
            # A copy, because what torch gives is the mapped file itself.
            state |= {name: opened.tensors[old].to(device, kind, copy=True) for name, old in names.items()}
    check_finite(state, file)
    return filled(network, state)


def write_openlrm(
    network: SingleViewModel, path: Path, source_size: int, render_size: int, dtype: torch.dtype | None = None
) -> Path:
    """Writes a network of OpenLRM as published: 1.1 as a folder, 1.0 as `model.pth` in it.

    `config.json` of 1.1 has no room for the sizes of pictures; they go into the header of `model.safetensors`.

    Args:
        path: the folder, made if need be.
        source_size, render_size: see `SingleViewClaims`.
        dtype: of the stored tensors; None: as they are.

    Returns:
        The file with the tensors.

    Raises:
        CheckpointForeign: a network of MIRA, or one whose encoder or sizes of pictures no reader would take.
        OSError: a file cannot be written; an older one is untouched.
    """
    config = network.config
    pictures = {"source_size": source_size, "render_size": render_size}
    check_writable(config, pictures)
    tensors = _published(network, dtype)
    if config.generation == "openlrm-1.1":
        write_json(path / CONFIG, openlrm_settings(config))
        return write_safetensors(path / WEIGHTS, tensors, {name: str(size) for name, size in pictures.items()})
    if config.generation == "openlrm-1.0":
        kwargs = {"model": openlrm_settings(config), "infer": pictures}
        return write_torch(path / OLD_WEIGHTS, {"weights": tensors, "kwargs": kwargs})
    raise CheckpointForeign("A network of MIRA has the layout of MIRA; `as_generation` makes one of OpenLRM of it.")


def write_mira(
    network: SingleViewModel,
    file: Path,
    epoch: int,
    settings: Mapping[str, Any],
    optimiser: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Writes a checkpoint of MIRA's training and its `config.json`, as published.

    Args:
        file: `checkpoint_<n>.pt`.
        settings: in place of `single_view_configs.MIRA_SETTINGS`, the sizes of pictures among them.
        optimiser: its state, to go on from.
        dtype: of the stored tensors; None: as they are.

    Raises:
        CheckpointForeign: a network of OpenLRM, or one whose encoder or sizes of pictures no reader would take.
        ValueError: a setting that MIRA does not know.
        OSError: a file cannot be written; an older one is untouched.
    """
    config = network.config
    if config.generation != "mira":
        raise CheckpointForeign("A network of OpenLRM has another layout; `as_generation` makes one of MIRA of it.")
    stated = mira_settings(config, settings)
    check_writable(config, stated)
    write_json(file.parent / CONFIG, stated)
    content = {
        "epoch": epoch,
        "model_state_dict": _published(network, dtype),
        "optimizer_state_dict": dict(optimiser or {}),
        "wandb_run_id": None,
    }
    return write_torch(file, content)


def _published(network: SingleViewModel, dtype: torch.dtype | None) -> dict[str, Tensor]:
    generation = network.config.generation
    return {
        published_name(name, generation): tensor.cpu().to(dtype or tensor.dtype)
        for name, tensor in network.state_dict().items()
    }


def _open(path: Path) -> _Opened:
    file = _file_of(path.expanduser())
    if file.suffix == ".safetensors":
        return _open_folder(file)
    with placeholders_for_other_classes(file):
        content = read_content(file)
    if isinstance(content, dict) and "model_state_dict" in content:
        return _open_mira(file, content["model_state_dict"])
    if isinstance(content, dict) and "weights" in content:
        return _open_old(file, content)
    raise CheckpointForeign(
        f"{file} has neither the weights of OpenLRM 1.0 nor the model_state_dict of MIRA; it is another checkpoint."
    )


def _file_of(path: Path) -> Path:
    """The file with the tensors. Raises CheckpointMissing if there is none."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointMissing(f"{path} is missing; give a checkpoint, or the folder that holds it.")
    for name in (WEIGHTS, OLD_WEIGHTS):
        if (path / name).is_file():
            return path / name
    numbered = {int(match[1]): each for each in path.iterdir() if (match := NUMBERED.fullmatch(each.name))}
    if not numbered:
        raise CheckpointMissing(f"{path} holds no {WEIGHTS}, no {OLD_WEIGHTS} and no checkpoint_<n>.pt.")
    return numbered[max(numbered)]


def _open_folder(file: Path) -> _Opened:
    header, place = open_header(file), file.parent / CONFIG
    stated = read_json(place)
    _check_names(header.tensors, "openlrm-1.1", file)
    sizes = Shapes({name: each.shape for name, each in header.tensors.items()}, file)
    config = openlrm_config(stated, sizes, "openlrm-1.1", place)
    pictures: Mapping[str, Any] = _noted_sizes(header) or dict(
        zip(("source_size", "render_size"), PICTURE_SIZES.get(config.width, PICTURE_SIZES[512]), strict=True)
    )
    return _opened(file, config, header.tensors, {name: name for name in header.tensors}, pictures, file)


def _noted_sizes(header: Header) -> dict[str, int] | None:
    """The sizes of pictures that `write_openlrm` noted."""
    noted = {name: header.metadata.get(name, "") for name in ("source_size", "render_size")}
    if not all(re.fullmatch(r"\d{1,6}", each) for each in noted.values()):
        return None
    return {name: int(each) for name, each in noted.items()}


def _open_old(file: Path, content: Mapping[str, Any]) -> _Opened:
    kwargs = content.get("kwargs")
    parts = [kwargs.get(name) if isinstance(kwargs, dict) else None for name in ("model", "infer")]
    if not all(isinstance(part, dict) for part in parts):
        raise CheckpointForeign(f"{file} does not say with which arguments its network is made (kwargs).")
    model, pictures = parts
    return _open_pickle(file, content["weights"], "openlrm-1.0", model, pictures, f"{file} (kwargs)")


def _open_mira(file: Path, weights: object) -> _Opened:
    place = file.parent / CONFIG
    if not place.is_file():
        raise CheckpointMissing(f"{place} is missing; a checkpoint of MIRA does not tell its sizes without it.")
    stated = read_json(place)
    return _open_pickle(file, weights, "mira", stated, stated, place)


def _open_pickle(
    file: Path,
    weights: object,
    generation: Generation,
    stated: Any,
    pictures: Any,
    place: str | Path,
) -> _Opened:
    tensors = tensor_table(weights, file)
    _check_names(tensors, generation, file)
    names = {renamed(old, generation): old for old in tensors}
    headers = {name: header_of(tensors[old], file) for name, old in names.items()}
    sizes = Shapes({name: header.shape for name, header in headers.items()}, file)
    if generation == "mira":
        config = mira_config(stated, sizes, place)
    else:
        config = openlrm_config(stated, sizes, generation, place)
    return _opened(file, config, headers, names, pictures, place, tensors)


def _opened(
    file: Path,
    config: SingleViewConfig,
    headers: Mapping[str, TensorHeader],
    names: dict[str, str],
    pictures: Mapping[str, Any],
    place: str | Path,
    tensors: Mapping[str, Tensor] | None = None,
) -> _Opened:
    with torch.device("meta"):
        network = SingleViewModel(config)
    check_headers({name: tuple(each.shape) for name, each in network.state_dict().items()}, headers, file)
    claim = SingleViewClaims(
        file,
        config,
        *picture_sizes(pictures, config, place),
        sum(TYPE_WIDTHS[header.dtype] * torch.Size(header.shape).numel() for header in headers.values()),
        sum(torch.Size(header.shape).numel() for header in headers.values()),
    )
    return _Opened(claim, names, tensors)


def _check_names(names: Mapping[str, object], expected: Generation, file: Path) -> None:
    """Raises CheckpointForeign where tensors have the names of another generation than their layout."""
    found = generation_of(names)
    if found is None:
        raise CheckpointForeign(f"{file} has tensors of neither OpenLRM nor MIRA; this is another checkpoint.")
    if found != expected:
        raise CheckpointForeign(
            f"{file} has the names of {found} in the layout of {expected}. The two order scale and shift, or see "
            "pictures, in different ways, and no shape tells which is right: give the checkpoint as it was published."
        )
