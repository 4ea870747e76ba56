"""What every training run has in its TOML file, and how such a file is read: checked before anything else is done."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Momentum = Annotated[float, Field(ge=0.0, lt=1.0)]
Range = tuple[float, float]


class ConfigError(ValueError):
    """A configuration cannot be used; says where and why, a line for each fault."""


class DataError(ValueError):
    """Training data cannot be used; says which and why."""


class Part(BaseModel):
    """A table of the file. Names that nobody knows are refused: a slip of the pen must not become a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def ascending(name: str, limits: Range, above_zero: bool = False) -> None:
    """Raises ValueError where a range is none."""
    low, high = limits
    if not low <= high or (above_zero and low <= 0.0):
        raise ValueError(f"{name} {low:g} to {high:g} must ascend{' and begin above 0' if above_zero else ''}")


class Data(Part):
    """[data]: the objects."""

    folder: Path = Field(description="Rendered objects, one folder each, in a layout that `training.views` reads.")
    held_out: Path | Share = Field(
        default=0.05,
        description="The file of `python -m training.split`, whose `hard` and `near` objects are validated on and "
        "never trained on; or a share of all objects, drawn by the seed.",
    )

    @field_validator("held_out", mode="before")
    @classmethod
    def _share_or_file(cls, given: object) -> object:
        share = given if isinstance(given, int | float) and not isinstance(given, bool) else -1
        if isinstance(given, str | Path) or 0 <= share <= 1:
            return given
        raise ValueError(f"the name of a file, or a share from 0 to 1, not {given!r}")


class Run(Part):
    """[run]: how it goes."""

    folder: Path = Field(description="Gets checkpoints, losses, previews and exported models; is made if need be.")
    steps: Positive = Field(description="Steps of the optimiser in all.")
    batch: Positive = Field(default=16, description="Objects of a step over all processes and parts.")
    accumulation: Positive = Field(default=1, description="Parts that each process works its share off in.")
    seed: int = Field(default=42, ge=0, lt=2**63, description="Of all chance.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(default="bfloat16", description="Of the forward pass.")
    workers: int = Field(
        default=2, ge=0, description="Processes that prepare data beside each training process; 0: itself."
    )
    left_out: int = Field(
        default=0, ge=0, description="Steps in a row that may be left out because a loss was not finite."
    )
    log_every: Positive = Field(default=10, description="Steps between lines of `losses.jsonl`.")
    checkpoint_every: Positive = Field(default=1000, description="Steps between states to go on from.")
    validate_every: Positive = Field(
        default=1000, description="Steps between validations, previews and exported models."
    )
    tensorboard: bool = Field(default=True, description="Whether to write its files too, where it is installed.")


class Optimiser(Part):
    """[optimiser]: AdamW. Norms, biases, learned tokens and position tables do not decay."""

    rate: Annotated[float, Field(gt=0.0)] = Field(default=4e-4, description="Learning rate at its highest.")
    betas: tuple[Momentum, Momentum] = Field(default=(0.9, 0.95), description="Of the moments.")
    decay: Annotated[float, Field(ge=0.0)] = Field(default=0.05, description="Weight decay, decoupled.")
    warm_up: int = Field(
        default=3000, ge=0, description="Steps over which the rate grows; then it falls along a cosine."
    )
    least: Share = Field(default=0.0, description="Of the highest rate, what is left in the last step.")
    clip: Annotated[float, Field(gt=0.0)] | None = Field(default=1.0, description="Longest gradient.")
    averaging: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        default=0.999,
        description="How much of the moving average of the weights stays in each step; exported and validated.",
    )


C = TypeVar("C", bound=Part)


def read_file(kind: type[C], file: Path, changed: Mapping[str, Any]) -> C:
    """The configuration of a file.

    Args:
        kind: of the run: a table for each of its fields.
        changed: values in place of those of the file, by "table.field".

    Raises:
        ConfigError: it cannot be read, or something in it is wrong; a line for each fault.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    for place, value in changed.items():
        table, _, name = place.partition(".")
        inner = content.setdefault(table, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{file}: {table} is a table, [{table}], not a value.")
        inner[name] = value
    try:
        # As JSON, where a list is a tuple and a text a path, while 2.0 and true and "2" are no whole numbers.
        return kind.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(file, each) for each in error.errors())) from error


def _sentence(file: Path, fault: Any) -> str:
    place = ".".join(str(each) for each in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{file}: {place} is no field; docs/training.md lists them all."
    if fault["type"] == "missing":
        return f"{file}: {place} is missing."
    message = str(fault["msg"]).removeprefix("Value error, ")
    given = "" if fault["type"] == "value_error" else f", not {fault['input']!r}"
    return f"{file}: {place + ': ' if place else ''}{message}{given}."


def tables(kind: type[Part]) -> str:
    """All tables and their fields with defaults and what they mean, in Markdown; docs/training.md shows it."""
    lines: list[str] = []
    for name, field in kind.model_fields.items():
        part = field.annotation
        assert isinstance(part, type) and issubclass(part, Part)
        purpose = (part.__doc__ or "").partition(": ")[2]
        lines += [f"**`[{name}]`** {purpose}", "", "| field | default | what it is |", "| --- | --- | --- |"]
        for inner, each in part.model_fields.items():
            default = "" if each.is_required() else f"`{_written(each.default)}`"
            lines.append(f"| `{inner}` | {default} | {each.description} |")
        lines.append("")
    return "\n".join(lines)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_written(each) for each in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
