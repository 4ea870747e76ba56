"""The state of a loop in two files, tensors and facts: what it needs to go on as if it had never stopped.

Kept are the parameters that are optimised and the buffers beside them, their averages, the best so far, what the
optimiser remembers, and the losses of the last steps. Chance and schedule are functions of the step and need no room
here; settings and the optimiser's own numbers come from the program. Parameters without gradients are not touched.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from models.headers import CheckpointDamaged, CheckpointForeign, open_header
from models.loading import read_json, read_tensors
from models.writing import EVERY_NAME, write_json, write_safetensors

if TYPE_CHECKING:
    from models.optimisation.loop import Loop

TENSORS, FACTS = "state.safetensors", "state.json"
FORMAT = 1


def write_state(loop: Loop, folder: Path) -> None:
    """Writes both files; the folder should be one that is put in place when it is whole.

    Raises:
        OSError: see `writing.write_whole`.
    """
    tensors = {f"objective.{name}": each for name, each in _kept(loop).items()}
    tensors |= {f"average.{name}": each for name, each in loop.averages.items()}
    tensors |= {f"best.{name}": each for name, each in (loop.best.parameters if loop.best else {}).items()}
    numbers: dict[str, dict[str, Any]] = {}
    for index, remembered in loop.optimiser.state_dict()["state"].items():
        for key, value in remembered.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser.{index}.{key}"] = value
            else:
                numbers.setdefault(str(index), {})[key] = value
    write_safetensors(folder / TENSORS, tensors, types=EVERY_NAME)
    facts = {
        "format": FORMAT,
        "step": loop.step,
        "seed": loop.settings.seed,
        "left_out": loop.left_out,
        "losses": {name: list(values) for name, values in loop.losses.values.items()},
        "best": None if loop.best is None else {"score": loop.best.score, "step": loop.best.step},
        "scaler": loop.scaler.state_dict(),
        "optimiser": numbers,
    }
    write_json(folder / FACTS, facts)


def read_state(loop: Loop, folder: Path) -> None:
    """Brings a loop to where the one was that wrote the files; it must have been made in the same way.

    Raises:
        CheckpointMissing, CheckpointDamaged: a file is not there or not whole.
        CheckpointForeign: it is the state of another optimisation. The loop is as it was, whichever it is.
    """
    from models.optimisation.loop import Best

    facts, header = read_json(folder / FACTS), open_header(folder / TENSORS).tensors
    _check(loop, facts, {name: each.shape for name, each in header.items()}, folder)
    # To the CPU first: of what the device holds already there need not be a second copy.
    tensors = read_tensors(folder / TENSORS, {name: name for name in header}, "cpu")
    try:
        remembered: dict[int, dict[str, Any]] = {int(index): dict(each) for index, each in facts["optimiser"].items()}
        best = facts["best"] and Best(float(facts["best"]["score"]), int(facts["best"]["step"]), {})
        window = loop.settings.window
        losses = {str(name): deque(map(float, values), window) for name, values in facts["losses"].items()}
        step, left_out, scaler = int(facts["step"]), int(facts["left_out"]), dict(facts["scaler"])
        for name in _under("optimiser", tensors):
            index, key = name.split(".", 1)
            remembered.setdefault(int(index), {})[key] = tensors[f"optimiser.{name}"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointDamaged(f"{folder / FACTS} is not whole: {error!r}") from error
    for name, kept in _kept(loop).items():
        kept.copy_(tensors[f"objective.{name}"])
    for name, average in loop.averages.items():
        average.copy_(tensors[f"average.{name}"])
    if best:
        best.parameters |= {name: tensors[f"best.{name}"].to(loop.device) for name in _under("best", tensors)}
    loop.best = best or None
    loop.optimiser.load_state_dict({"state": remembered, "param_groups": loop.optimiser.state_dict()["param_groups"]})
    loop.losses.values = losses
    if scaler:
        loop.scaler.load_state_dict(scaler)
    loop.step, loop.left_out = step, left_out
    loop.written = step


def _check(loop: Loop, facts: dict[str, Any], shapes: dict[str, tuple[int, ...]], folder: Path) -> None:
    """Raises CheckpointForeign, in words, where a state is not this loop's."""
    if facts.get("format") != FORMAT:
        raise CheckpointForeign(f"{folder / FACTS} is of format {facts.get('format')!r}; {FORMAT} can be read.")
    if facts.get("seed") != loop.settings.seed:
        raise CheckpointForeign(f"{folder / FACTS} has the seed {facts.get('seed')!r}, not {loop.settings.seed}.")
    expected = {f"objective.{name}": tuple(each.shape) for name, each in _kept(loop).items()}
    expected |= {f"average.{name}": tuple(each.shape) for name, each in loop.averages.items()}
    found = {name: shape for name, shape in shapes.items() if name.startswith(("objective.", "average."))}
    if different := sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)):
        name = different[0]
        raise CheckpointForeign(
            f"{folder / TENSORS} is of another optimisation: {name} is {found.get(name)}, not {expected.get(name)}."
        )


def _kept(loop: Loop) -> dict[str, Tensor]:
    """What is kept of the objective, by name; the tensors themselves, without their history."""
    frozen = {name for name, each in loop.objective.named_parameters() if not each.requires_grad}
    return {name: each for name, each in loop.objective.state_dict().items() if name not in frozen}


def _under(prefix: str, tensors: dict[str, Tensor]) -> list[str]:
    return [name.removeprefix(f"{prefix}.") for name in tensors if name.startswith(f"{prefix}.")]
