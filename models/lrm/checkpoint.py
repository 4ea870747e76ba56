"""The published `.ckpt` files: read as data, converted to safetensors once, loaded strictly.

They are training checkpoints of Lightning: the network's tensors are under "state_dict" and begin with a prefix; beside
them may lie other networks (a perceptual loss) and whatever training kept.
"""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.loading import CheckpointError, TensorHeader, load_module, read_header
from models.pickled import converted, converted_form, pickled_headers
from models.pickled_claims import check_claims

PREFIX = "lrm_generator."
TRAINING_ONLY = "source_camera"  # in names of tensors that training kept and the network has not


def network_name(name: str) -> str | None:
    """Name in a `.ckpt` → name in the network; None for what belongs to something else."""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) and TRAINING_ONLY not in name else None


def read_headers_of(path: Path, place: Path | None = None) -> dict[str, TensorHeader]:
    """Types and shapes of the network's tensors in a `.ckpt`, or in a safetensors form of it.

    Args:
        path: the file. A `.ckpt` that is gone is replaced by its converted form if that is still there.
        place: the folder of converted forms; beside the file if None.

    Raises:
        CheckpointError: see `pickled.read_pickled` and `loading.read_header`.
    """
    if path.suffix == ".safetensors":
        return read_header(path)
    form = converted_form(path, place)
    if form.is_file() and not path.is_file():
        return read_header(form)
    with placeholders_for_other_classes(path):
        return pickled_headers(path, network_name)


def fill(
    network: nn.Module,
    path: Path,
    place: Path | None,
    device: torch.device | str,
    precision: Mapping[str, torch.dtype],
) -> None:
    """Fills a network on the meta device from a `.ckpt`, which is converted first if it has not been, or from the form.

    Args:
        network: its parameters are replaced.
        path, place: see `read_headers_of`; what they gave has been checked.
        precision: for each part of the network by its path, and all parts together are the whole.

    Raises:
        CheckpointError: see `pickled.converted` and `loading.load_module`.
    """
    form = path
    if path.suffix != ".safetensors":
        with placeholders_for_other_classes(path):
            form = converted(path, place, network_name)
    names = read_header(form).keys()
    for part, dtype in precision.items():
        others = [name for name in names if not name.startswith(f"{part}.")]
        module = network.get_submodule(part)
        load_module(
            module,
            form.parent,
            form.stem,
            device,
            dtype,
            rename=lambda name, part=part: name.removeprefix(f"{part}."),  # type: ignore[misc]
            ignore=others,
        )


class Placeholder:
    """Stands for any class that a checkpoint mentions besides tensors: takes everything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Placeholder:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


@contextlib.contextmanager
def placeholders_for_other_classes(path: Path) -> Iterator[None]:
    """Within it, settings and callbacks that training saved along do not keep a file from being read as data.

    None of their code runs, nor need it be installed: torch's weights-only mode gets `Placeholder` under their names.
    What is no checkpoint is left to whoever reads it.
    """
    mentioned: list[Any] = []
    if path.is_file() and zipfile.is_zipfile(path):
        with contextlib.suppress(
            CheckpointError, RuntimeError, ValueError, TypeError, LookupError, EOFError, pickle.PickleError
        ):
            check_claims(path)
            mentioned = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    with torch.serialization.safe_globals([(Placeholder, name) for name in mentioned]):
        yield
