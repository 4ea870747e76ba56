"""Networks of transformers from a folder, with the assurance that every number in them came from there."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.loading import CheckpointDamaged, CheckpointForeign, read_headers, read_json

logger = logging.getLogger(__name__)


def load_network(kind: Any, folder: Path, device: str) -> Any:
    """A network in float32, ready for inference.

    Grounding DINO's deformable attention and SAM's layer norms are known to fail or to lose their outlines in float16,
    and both networks together take 1.3 GB as they are.

    Args:
        kind: a model class of transformers.
        folder: `config.json` and `model.safetensors`, maybe in shards; nothing is downloaded.
        device: what `torch.device` takes.

    Raises:
        CheckpointMissing, CheckpointDamaged: see `models.loading.read_headers`.
        CheckpointForeign: the folder holds another network. transformers itself would go on with random numbers.
    """
    file = folder / "config.json"
    described = read_json(file).get("model_type")
    wanted = kind.config_class.model_type
    if described != wanted:
        raise CheckpointForeign(f"{file} describes a {described}, not a {wanted}.")
    read_headers(folder, "model")
    quiet()
    try:
        network, report = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CheckpointForeign(f"{folder} holds no {kind.__name__} that can be loaded: {error}") from error
    lacking = sorted({*report["missing_keys"], *(item[0] for item in report["mismatched_keys"])})
    if lacking:
        rest = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        detail = f"{', '.join(lacking[:3])}{rest} missing or of another shape"
        raise CheckpointForeign(f"{folder / 'model.safetensors'}: {detail}; this is the checkpoint of another network.")
    if report["unexpected_keys"]:
        logger.info("%s: %d tensors that are not needed", folder, len(report["unexpected_keys"]))
    return network.to(device).requires_grad_(False).eval()


def numbers_of(folder: Path) -> int:
    """How many parameters the network of a folder has, by the headers of its files. Raises as `read_headers`."""
    return sum(math.prod(header.shape) for header in read_headers(folder, "model").values())


def load_processor(folder: Path) -> Any:
    """What turns pictures and words into a network's inputs.

    Raises:
        CheckpointDamaged: its files are missing or unreadable.
    """
    from transformers import AutoProcessor

    processor: Any = AutoProcessor
    quiet()
    try:
        return processor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        detail = f"{folder / 'preprocessor_config.json'}, or a file of the tokenizer beside it, cannot be used"
        raise CheckpointDamaged(f"{detail}: {error}") from error


@contextmanager
def watched(network: nn.Module, tick: Callable[[float], None]) -> Iterator[None]:
    """While it lasts, `tick` gets the share that is done, 0 to 1, after each layer of the network.

    On a processor alone one picture can take a minute or two; whatever `tick` raises ends it.
    """
    layers = [
        layer
        for group in network.modules()
        if isinstance(group, nn.ModuleList)
        for layer in group
        if type(layer).__name__.endswith("Layer")
    ]
    done = 0

    def after(*_: object) -> None:
        nonlocal done
        done += 1
        tick(min(done / len(layers), 1.0))

    hooks = [layer.register_forward_hook(after) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def quiet() -> None:
    """No progress bars on the terminal of whoever runs this; loading takes a second."""
    from transformers.utils import logging as transformers_logging

    verbosity: Any = transformers_logging
    verbosity.disable_progress_bar()
