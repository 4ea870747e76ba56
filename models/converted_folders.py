"""A published file that holds several networks, as a folder of diffusers' layout: made once, found again later.

The index is written last, so that a folder whose making was cut off does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from models.headers import CheckpointMissing, CheckpointUnwritable
from models.loading import check_headers, read_json
from models.pickled import examine, fingerprint, header_of
from models.published import on_meta
from models.writing import write_json, write_safetensors

INDEX = "model_index.json"
CONFIGS = {"clip_vision_model": "CLIPVisionConfig", "dpt": "DPTConfig"}


@dataclass(frozen=True)
class Part:
    """One network: its class in diffusers or transformers, its configuration, and its tensors by their names there."""

    class_name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def stem(self) -> str:
        """Of its file of tensors."""
        return "diffusion_pytorch_model" if "_class_name" in self.config else "model"


def part_network(part: Part, file: Path) -> Any:
    """A part's network on the meta device. Raises CheckpointForeign, naming `file`, if its sizes do not fit."""

    def build() -> Any:
        import diffusers
        import transformers

        if "_class_name" in part.config:
            return getattr(diffusers, part.class_name).from_config(dict(part.config))
        config_class = CONFIGS[part.config["model_type"]]
        config = getattr(transformers, config_class).from_dict(dict(part.config))
        return getattr(transformers, part.class_name)(config)

    return on_meta(build, part.config, file, part.class_name)


def check_parts(parts: Mapping[str, Part], file: Path) -> None:
    """Raises CheckpointForeign where a network's tensors are not all there, or of other shapes."""
    for name, part in parts.items():
        network = part_network(part, file)
        expected = {each: tuple(tensor.shape) for each, tensor in network.state_dict().items()}
        # Numbers of positions, which newer files lack.
        expected = {each: shape for each, shape in expected.items() if not each.endswith("position_ids")}
        check_headers(expected, {each: header_of(tensor, file) for each, tensor in part.tensors.items()}, file / name)


def converted_folder(file: Path, place: Path | None = None) -> Path:
    """Where the folder that is made of a file is kept; beside the file if there is no place."""
    return (place or file.parent) / f"{file.stem}.converted"


def is_made_of(folder: Path, file: Path) -> bool:
    """Whether a folder is whole and made of this file as it is now; without the file any whole folder will do.

    Raises:
        CheckpointMissing: neither is there.
    """
    if not (folder / INDEX).is_file():
        if not file.is_file():
            raise CheckpointMissing(f"{file} is missing.")
        return False
    return not file.is_file() or read_json(folder / INDEX).get("converted_from") == fingerprint(file)


def write_folder(
    folder: Path,
    parts: Mapping[str, Part],
    index: Mapping[str, Any],
    made_of: str,
    others: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> Path:
    """Writes networks as folders.

    Args:
        index: what is stated beside the names of the parts.
        made_of: the fingerprint of the file.
        others: tables of tensors that are no networks, by the path of their file in the folder.

    Raises:
        OSError: they cannot be written.
    """
    (folder / INDEX).unlink(missing_ok=True)
    for name, part in parts.items():
        write_safetensors(folder / name / f"{part.stem}.safetensors", part.tensors)
        write_json(folder / name / "config.json", part.config)
    for name, tensors in (others or {}).items():
        write_safetensors(folder / name, tensors)
    write_json(folder / INDEX, {**index, "converted_from": made_of, "parts": sorted(parts)})
    return folder


def convert_into(
    folder: Path,
    file: Path,
    parts: Mapping[str, Part],
    index: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Tensor]] | None = None,
) -> Path:
    """`write_folder`, of a file whose checksums are compared first.

    Raises:
        CheckpointDamaged: they are others.
        CheckpointUnwritable: the folder cannot be written.
    """
    examine(file)
    try:
        return write_folder(folder, parts, index, fingerprint(file), others)
    except OSError as error:
        raise CheckpointUnwritable(
            f"{folder}, the converted form of {file.name}, cannot be written: {error}"
        ) from error
