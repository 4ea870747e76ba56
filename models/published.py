"""Networks of diffusers and transformers from their published folders: built on the meta device, filled strictly.

Nothing is downloaded and nothing of a file is run. Errors name the file; see `loading.load_module`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from models.loading import (
    MOST_LAYERS,
    CheckpointError,
    CheckpointForeign,
    CheckpointMissing,
    Module,
    load_module,
    read_json,
)

# Old names of diffusers' attention, and today's.
RENAMED = (
    (".query.", ".to_q."),
    (".key.", ".to_k."),
    (".value.", ".to_v."),
    (".proj_attn.", ".to_out.0."),
)
LARGEST = 1_000_000  # of any number in a configuration


def diffusers_network(folder: Path, class_name: str) -> Any:
    """A network of diffusers on the meta device, from `config.json`.

    Raises:
        CheckpointMissing, CheckpointDamaged: see `read_json`.
        CheckpointForeign: the file describes another class, or nothing that can be built.
    """
    import diffusers

    file = folder / "config.json"
    config = read_json(file)
    if config.get("_class_name", class_name) != class_name:
        raise CheckpointForeign(f"{file} describes a {config['_class_name']}, not a {class_name}.")
    return on_meta(lambda: getattr(diffusers, class_name).from_config(config), config, file, class_name)


def load_diffusers(
    folder: Path, class_name: str, device: torch.device | str, dtype: torch.dtype, weights: Path | None = None
) -> Any:
    """A network of diffusers with its weights, from a safetensors file of another name or place if one is given.

    Errors: `diffusers_network` and `load_module`.
    """
    network = diffusers_network(folder, class_name)
    file = weights or stored_file(folder, "diffusion_pytorch_model")
    return whole(load_module(network, file.parent, file.stem, device, dtype, rename=todays_name), device)


def load_clip_vision(folder: Path, device: torch.device | str, dtype: torch.dtype, weights: Path | None = None) -> Any:
    """CLIP's picture half with its projection. weights, errors: see `load_diffusers`."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    model = transformers_network(folder, CLIPVisionModelWithProjection, CLIPVisionConfig)
    file = weights or stored_file(folder, "model")
    load_module(model, file.parent, file.stem, device, dtype, ignore=["vision_model.embeddings.position_ids"])
    return whole(model, device)


def load_clip_text(folder: Path, device: torch.device | str, dtype: torch.dtype) -> Any:
    """CLIP's text half. Published names have a prefix that newer releases of transformers drop. Errors as above."""
    from transformers import CLIPTextConfig, CLIPTextModel

    model = transformers_network(folder, CLIPTextModel, CLIPTextConfig)
    load_module(
        model,
        folder,
        stored_stem(folder, "model"),
        device,
        dtype,
        rename=lambda name: name.removeprefix("text_model."),
        ignore=["text_model.embeddings.position_ids"],
    )
    return whole(model, device)


def load_tokenizer(folder: Path) -> Any:
    """CLIP's tokenizer.

    Raises:
        CheckpointError: its files are missing or of another kind.
    """
    from transformers import CLIPTokenizer

    if not (folder / "vocab.json").is_file() and not (folder / "tokenizer.json").is_file():
        raise CheckpointMissing(f"{folder / 'vocab.json'} is missing.")
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever the tokenizers library says of a damaged file: it has no classes of its own
        raise CheckpointError(f"{folder} holds no usable tokenizer ({error}).") from error


def stored_stem(folder: Path, stem: str) -> str:
    """The name of a part's files without the ending: the half-precision form if that is there."""
    half = f"{stem}.fp16"
    there = any((folder / f"{half}.safetensors{end}").is_file() for end in ("", ".index.json"))
    return half if there else stem


def stored_file(folder: Path, stem: str) -> Path:
    """The safetensors file of a part, which may be in shards instead; see `stored_stem`."""
    return folder / f"{stored_stem(folder, stem)}.safetensors"


def transformers_network(folder: Path, model_class: Any, config_class: Any) -> Any:
    """A network of transformers on the meta device, from `config.json`. Errors: see `diffusers_network`."""
    file = folder / "config.json"
    content = read_json(file)
    kind = content.get("model_type", config_class.model_type)
    if kind != config_class.model_type:
        raise CheckpointForeign(f"{file} describes a {kind}, not a {config_class.model_type}.")

    def build() -> Any:
        config = config_class.from_dict(content)
        if config.hidden_size % config.num_attention_heads:
            raise ValueError(f"hidden_size {config.hidden_size} is no multiple of {config.num_attention_heads} heads")
        return model_class(config)

    return on_meta(build, content, file, model_class.__name__)


def on_meta(build: Callable[[], Any], config: Mapping[str, Any], file: Path, class_name: str) -> Any:
    """What `build` makes, without memory for its parameters.

    Raises:
        CheckpointForeign: the configuration, read from `file`, does not describe such a network.
    """
    from huggingface_hub.errors import StrictDataclassError

    for name, value in config.items():
        most = MOST_LAYERS if "layers" in name else LARGEST
        if isinstance(value, list) and len(value) > MOST_LAYERS:
            raise CheckpointForeign(f"{file}: {name} has {len(value)} entries; {MOST_LAYERS} are the most.")
        if not all(number <= most for number in _numbers(value)):
            raise CheckpointForeign(f"{file}: {name} is {str(value)[:80]}; {most} is the most.")
        if name == "num_hidden_layers" and (not isinstance(value, int) or value < 1):
            raise CheckpointForeign(f"{file}: {name} is {value!r}; 1 to {most} are possible.")
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing is initialised, which torch remarks on
            return build()
    except (
        StrictDataclassError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        ArithmeticError,
        AttributeError,
        AssertionError,
        RuntimeError,
    ) as error:
        raise CheckpointForeign(f"{file} does not describe a {class_name}: {error}") from error


def _numbers(value: Any) -> Iterator[float]:
    """All numbers in a value, however deep."""
    if isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)
    elif isinstance(value, int | float):
        yield value


def whole(model: Module, device: torch.device | str) -> Module:
    """A network ready for inference: position numbers, the one buffer that newer files lack, are filled in."""
    if torch.device(device).type != "meta":
        for part in model.modules():
            numbers = getattr(part, "position_ids", None)
            if isinstance(numbers, torch.Tensor):
                part.position_ids = torch.arange(numbers.shape[-1], device=device)[None]
        left = [name for name, buffer in model.named_buffers() if buffer.is_meta]
        if left:
            raise NotImplementedError(f"{type(model).__name__} has a buffer that no file fills: {left[0]}")
    return model.eval()


def todays_name(name: str) -> str:
    """The name that diffusers gives today to a parameter of its attention."""
    for old, new in RENAMED:
        name = name.replace(old, new)
    return name
