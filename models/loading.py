"""Checkpoints in the folder layout of diffusers: one folder per part, `config.json` and safetensors, maybe in shards.

A file is judged by its header, a few kilobytes, before anything of size is allocated: that it is all there, and that
its names and shapes are those of the network. What is wrong is said with the name of the file and of the tensor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from models.headers import CheckpointDamaged as CheckpointDamaged
from models.headers import CheckpointError as CheckpointError
from models.headers import CheckpointForeign as CheckpointForeign
from models.headers import CheckpointMissing as CheckpointMissing
from models.headers import CheckpointUnwritable as CheckpointUnwritable
from models.headers import TensorHeader as TensorHeader
from models.headers import read_header as read_header

Config = TypeVar("Config")
Module = TypeVar("Module", bound=nn.Module)

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
MOST_LAYERS = 256  # of any network here; a configuration that asks for more is damaged
LONGEST_JSON = 8_000_000  # bytes


def checkpoint_folder(source: str | Path) -> Path:
    """The folder of a checkpoint, which is there.

    Raises:
        CheckpointMissing: it is not, or it is a file.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise CheckpointMissing(f"{folder} is a file; give the folder that holds the checkpoint.")
    raise CheckpointMissing(f"{folder} is no folder; give the one that holds the checkpoint.")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CheckpointMissing: no such file.
        CheckpointDamaged: not a JSON object.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(LONGEST_JSON + 1)
        if len(text) > LONGEST_JSON:
            raise CheckpointDamaged(f"{file} has more than {LONGEST_JSON} bytes, which no configuration has.")
        content = json.loads(text)
    except FileNotFoundError as error:
        raise CheckpointMissing(f"{file} is missing.") from error
    except CheckpointDamaged:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointDamaged(f"{file} is not readable JSON: {error}") from error
    except IsADirectoryError as error:
        raise CheckpointDamaged(f"{file} is a folder where a file of that name is expected.") from error
    if not isinstance(content, dict):
        raise CheckpointDamaged(f"{file} holds no JSON object.")
    return content


def read_config(file: Path, kind: type[Config], class_name: str) -> Config:
    """A configuration dataclass from a diffusers `config.json`; fields that the file lacks keep their defaults.

    Raises:
        CheckpointForeign: the file names another class, or a value is not of the kind of the default.
    """
    content = read_json(file)
    if content.get("_class_name", class_name) != class_name:
        raise CheckpointForeign(f"{file} describes a {content['_class_name']}, not a {class_name}.")
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if content.get(field.name) is None:
            continue
        value = content[field.name]
        value = tuple(value) if isinstance(value, list) else value
        if not _fits(value, field.default):
            raise CheckpointForeign(f"{file}: {field.name} is {value!r}, which is out of range.")
        values[field.name] = value
        if field.name.startswith("num_layers") and content[field.name] > MOST_LAYERS:
            raise CheckpointForeign(f"{file}: {field.name} is {value}; {MOST_LAYERS} is the most.")
    try:
        return kind(**values)
    except ValueError as error:
        raise CheckpointForeign(f"{file}: {error}") from error


def read_headers(folder: Path, stem: str) -> dict[str, TensorHeader]:
    """Names, types and shapes of all tensors of `<stem>.safetensors`, or of the shards that its index names.

    Raises:
        CheckpointMissing: no file, or a shard is not there.
        CheckpointDamaged: a file is cut off, or the index and the shards disagree.
    """
    single = folder / f"{stem}.safetensors"
    index = folder / f"{stem}.safetensors.index.json"
    if single.is_file() or not index.is_file():
        return read_header(single)
    placed = read_json(index).get("weight_map")
    if not isinstance(placed, dict) or not all(_is_file_name(shard) for shard in placed.values()):
        raise CheckpointDamaged(f"{index} has no usable weight_map.")
    found: dict[str, TensorHeader] = {}
    for shard in sorted(set(placed.values())):
        found |= read_header(folder / shard)
    for name, shard in placed.items():
        if name not in found or found[name].file != folder / shard:
            raise CheckpointDamaged(f"{folder / shard} lacks {name}, which {index.name} places there.")
    if extra := sorted(found.keys() - placed.keys()):
        raise CheckpointDamaged(f"{found[extra[0]].file} holds {extra[0]}, which {index.name} does not know.")
    return found


def load_module(
    module: Module,
    folder: Path,
    stem: str,
    device: torch.device | str,
    dtype: torch.dtype,
    rename: Callable[[str], str] = str,
    ignore: Iterable[str] = (),
) -> Module:
    """Fills a network that was built on the meta device, strictly, and gives it back ready for inference.

    Args:
        module: on the meta device; its parameters are replaced.
        folder, stem: see `read_headers`.
        device: "meta" only checks, reading nothing but headers.
        dtype: of all parameters, whatever the file has.
        rename: name in the file → name in the network, for those names that the network does not have.
        ignore: names in the file that may be there and are not needed.

    Raises:
        CheckpointMissing, CheckpointDamaged: see `read_headers`.
        CheckpointForeign: names, shapes or types are not those of the network; says which.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    headers = read_headers(folder, stem)
    source = {name if name in expected else rename(name): name for name in headers if name not in set(ignore)}
    check_headers(expected, {name: headers[source[name]] for name in source}, folder / stem)
    device = torch.device(device)
    if device.type == "meta":
        return module
    state: dict[str, torch.Tensor] = {}
    for file in sorted({header.file for header in headers.values()}):
        names = {name: old for name, old in source.items() if headers[old].file == file}
        state |= read_tensors(file, names, device, dtype)
    return filled(module, state)


def filled(module: Module, state: Mapping[str, torch.Tensor]) -> Module:
    """A network of the meta device with a checkpoint's tensors, which fit it; for inference until told to learn."""
    module.load_state_dict(state, strict=True, assign=True)
    return module.requires_grad_(False).eval()


def read_tensors(
    file: Path, wanted: Mapping[str, str], device: torch.device | str, dtype: torch.dtype | None = None
) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file whose header has been checked.

    Args:
        wanted: name that a tensor gets → name that it has in the file.
        dtype: of all of them; None: as they are in the file.

    Raises:
        CheckpointDamaged: the content cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            # A copy, because what safetensors gives is the mapped file itself.
            return {
                name: tensors.get_tensor(old).to(device=device, dtype=dtype, copy=True) for name, old in wanted.items()
            }
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointDamaged(f"{file} cannot be read: {error}") from error


def check_finite(state: Mapping[str, torch.Tensor], file: Path) -> None:
    """Whether the tensors of a checkpoint hold numbers. It costs a sum over each.

    Raises:
        CheckpointDamaged: one has a value that is not finite; says which, and `file`. What is infinite in float16 alone
            may have been a number in the file, and is let pass.
    """
    if not state:
        return
    sums = torch.stack([value.sum(dtype=torch.float32) for value in state.values()])
    for sound, (name, value) in zip(sums.isfinite().tolist(), state.items(), strict=True):
        if sound:
            continue
        wrong = value.isnan() if value.dtype == torch.float16 else ~value.isfinite()
        if count := int(wrong.sum()):
            raise CheckpointDamaged(f"{file}: {name} has {count} of {value.numel()} values that are no finite numbers.")


def check_headers(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, TensorHeader], place: Path) -> None:
    """Compares the tensors of a file with the names and shapes of a network.

    Raises:
        CheckpointForeign: they differ; says in what. `place` stands for the file where something is not in it.
    """
    missing = [name for name in expected if name not in found]
    if missing:
        raise CheckpointForeign(f"{place}: {_listed(missing)} missing; this is the checkpoint of another network.")
    unknown = [name for name in found if name not in expected]
    if unknown:
        file = found[unknown[0]].file
        raise CheckpointForeign(f"{file}: {_listed(unknown)} unknown; this is the checkpoint of another network.")
    for name, shape in expected.items():
        header = found[name]
        if header.shape != shape:
            raise CheckpointForeign(
                f"{header.file}: {name} has the shape {list(header.shape)}; its configuration asks for {list(shape)}."
            )
        if header.dtype not in DTYPES:
            raise CheckpointForeign(f"{header.file}: {name} is {header.dtype}; only {', '.join(DTYPES)} can be used.")


def _listed(names: list[str]) -> str:
    verb = "is" if len(names) == 1 else "are"
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + f"{rest} {verb}"


def _is_file_name(value: object) -> bool:
    """A plain name: an index must not reach outside its folder."""
    return isinstance(value, str) and value.endswith(".safetensors") and Path(value).name == value and "\\" not in value


def _fits(value: object, default: object) -> bool:
    """Whether a value of a file is of the kind of the default, and, for a number, positive and finite."""
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, int) and 0 < value <= 1_000_000
    if isinstance(default, float):
        return isinstance(value, int | float) and math.isfinite(value) and value > 0
    if default is None:
        return isinstance(value, tuple) and all(isinstance(item, int) and item >= 0 for item in value)
    return isinstance(value, type(default))
