"""What a pipeline is: a light description that the server can read, and a function that does the work.

The description (`PipelineInfo`) imports nothing heavy: the server draws GET /pipelines, the command line and
Blender's panel from it. The function named by `entry` is imported in the worker only.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from backend.contract import MAXIMUM_INSTANCES, Progress, StageTime, Warning
from backend.errors import Problem
from backend.pipelines.checkpoints import CheckpointKeeper, Checkpoints, Nowhere
from backend.pipelines.former import FORMERLY, migrate
from backend.pipelines.time_left import Advance
from backend.questions import Question
from backend.shot import Shot

ONE_OBJECT_SIDE, LABELLED_SIDE = 2048, 4096
"""What `Parameters.picture_side` says where a method does not know better. The first is what outlines are found at."""


class Parameters(BaseModel):
    """Base of every pipeline's parameters.

    Each field carries `title`, `description`, a default and its range; enumerations are `Literal`s. That one
    definition is the API's schema, the command line's options and the panel's controls. `json_schema_extra` may add
    what only a panel needs: `PROMINENT`, `special(…)`, "group", one of `GROUPS`, and "titles", what to call choices
    whose capitals are their own. What several methods have stands in `parameters.py`. Former names and values, marked
    with `formerly(…)`, are understood wherever parameters come in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _understand_former_ones(cls, values: Any) -> Any:
        extras: dict[str, Any] = {name: field.json_schema_extra or {} for name, field in cls.model_fields.items()}
        changed = {name: extra[FORMERLY] for name, extra in extras.items() if FORMERLY in extra}
        return migrate(values, changed) if isinstance(values, Mapping) else values

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Group by group, in the order of `GROUPS`; what has no group comes last."""
        made = handler(core)
        schema = handler.resolve_ref_schema(made)
        rank = {group: place for place, group in enumerate(GROUPS)}
        fields = sorted(
            schema.get("properties", {}).items(), key=lambda each: rank.get(each[1].get("group"), len(rank))
        )
        schema["properties"] = dict(fields)
        return made

    def needed_weights(self) -> tuple[str, ...]:
        """Ids of `backend/weights` that these very values need, beyond those that the method always needs."""
        return ()

    def skipped_stages(self) -> tuple[str, ...]:
        """Names of the method's stages that these very values leave out."""
        return ()

    def picture_side(self, objects: bool) -> int:
        """Pixels of a picture's longer side that are of use; larger pictures are reduced before anything else.

        objects: whether the picture has an instance map, whose objects are small parts of it; otherwise it shows one.
        """
        return LABELLED_SIDE if objects else ONE_OBJECT_SIDE


GROUPS = ("picture", "making", "views", "mesh", "texture", "placing", "computing")
"""What parameters are about, in the order in which a panel folds them."""

PROMINENT: dict[str, Any] = {"prominent": True}
"""Marks the parameters that artists turn: a panel shows these, five at most, and folds the others away."""


def special(value: float, title: str, otherwise: float) -> dict[str, Any]:
    """Marks a number's one value that is none, like 0 for "Auto": a panel shows `title` in its place, and begins with
    `otherwise` when the user wants a number."""
    return {"special": {"value": value, "title": title, "otherwise": otherwise}}


@dataclass(frozen=True)
class Stage:
    """A named step. `weight` is its usual share of the time; only the ratio counts."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Needs:
    """What a run needs.

    memory_bytes: of the graphics card; 0 for none.
    minutes: about how long it takes `on` what; None where it was not measured.
    """

    memory_bytes: int = 0
    minutes: float | None = None
    on: str = ""


@dataclass(frozen=True)
class MethodInfo:
    """All that is known of a pipeline, or of a preparation, without loading it.

    entry: "module:function" of what does the work; see the subclasses.
    stages: every stage that there can be, in order; `stages_of` tells those of one run.
    finishes_early: it looks at `Context.finish_wanted`, and ends with what it has when that is true.
    checkpoints: it keeps `Context.checkpoints`, and goes on from the latest.
    weights: ids of `backend/weights` that it always needs.
    learned: whether it runs networks with PyTorch, and so needs what `backend/engine.py` looks for.
    memory_bytes: GPU memory it wants, whatever the parameters; 0 for none. `needs` tells more.
    needed: what a run with given parameters needs, where that is known better.
    licence: SPDX expression of code and weights together, with what it forbids in `licence_note`.
    """

    id: str
    version: str
    title: str
    description: str
    entry: str
    parameters: type[Parameters]
    stages: tuple[Stage, ...]
    weights: tuple[str, ...] = ()
    learned: bool = False
    memory_bytes: int = 0
    needed: Callable[[Any], Needs] | None = None
    licence: str = "GPL-3.0-or-later"
    licence_note: str = ""
    finishes_early: bool = False
    checkpoints: bool = False

    def needs(self, parameters: Parameters) -> Needs:
        """What a run with these parameters needs."""
        return Needs(self.memory_bytes) if self.needed is None else self.needed(parameters)

    def check(self, values: dict[str, Any]) -> Parameters:
        """The parameters, checked. Raises Problem("parameters-invalid") naming each wrong one."""
        try:
            return self.parameters.model_validate(values)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, item['loc'])) or 'parameters'}: {item['msg']}" for item in error.errors()]
            detail = f"{self.title} cannot use these parameters: {'; '.join(wrong)}."
            raise Problem("parameters-invalid", detail, fields=wrong) from error

    def stages_of(self, parameters: Parameters) -> tuple[Stage, ...]:
        """The stages of a run with these parameters, in order."""
        skipped = parameters.skipped_stages()
        return tuple(stage for stage in self.stages if stage.name not in skipped)

    def load(self) -> Callable[[Shot, Any, Context], Any]:
        """Import the function that runs it (in the worker)."""
        module, _, function = self.entry.partition(":")
        loaded: Callable[[Shot, Any, Context], Any] = getattr(importlib.import_module(module), function)
        return loaded


@dataclass(frozen=True)
class PipelineInfo(MethodInfo):
    """A pipeline. `entry` names `run(shot, parameters, context) -> Scene`.

    images: least and most pictures it takes.
    instances: least and most objects of an instance map.
    chance: whether the seed makes a difference.
    """

    images: tuple[int, int] = (1, 1)
    instances: tuple[int, int] = (1, MAXIMUM_INSTANCES)
    chance: bool = True


class Cancelled(Exception):
    """Raised inside a pipeline by the next progress report after the user has cancelled."""


def _nobody_keeps(name: str, data: bytes) -> None:
    raise Problem("internal", f"The pipeline made the file {name} where nobody can keep it.")


def _nothing_kept(name: str) -> bytes | None:
    return None


def _nobody_looks(slot: str, picture: NDArray[np.uint8], caption: str) -> None:
    return None


def _nothing_due() -> None:
    return None


def _nobody_answers(question: dict[str, Any]) -> dict[str, Any]:
    raise Problem("internal", "The pipeline asked a question where nobody can answer.")


@dataclass
class Context:
    """A running pipeline's way to the outside: progress, warnings, previews, checkpoints, cancellation, chance.

    Every call of `stage`, `progress` or `check` raises `Cancelled` once `cancelled()` is true, so a pipeline that
    reports often can be stopped often. Nothing else of the outside is visible to a pipeline.

    report: takes each Progress and each Warning.
    answer: takes a question and returns the user's answer; blocks until there is one.
    save: keeps a file with the job; see `keep`.
    restore: gives back what `save` was given at an earlier attempt; see `recall`.
    finishing: whether the user wants an early end; see `finish_wanted`.
    show: takes each preview; see `preview`. show_rest: called where one that is held back must not wait any longer.
    keeper: where checkpoints are kept; see `checkpoints`.
    clock: seconds, from any beginning.
    skipped: stages that the parameters leave out; entering one of them is not told.
    stages: those of the whole run, in order; the stages of `info` if nothing comes before them.
    """

    info: MethodInfo
    seed: int
    report: Callable[[Progress | Warning], None]
    cancelled: Callable[[], bool] = lambda: False
    answer: Callable[[dict[str, Any]], dict[str, Any]] = _nobody_answers
    save: Callable[[str, bytes], None] = _nobody_keeps
    restore: Callable[[str], bytes | None] = _nothing_kept
    finishing: Callable[[], bool] = lambda: False
    show: Callable[[str, NDArray[np.uint8], str], None] = _nobody_looks
    show_rest: Callable[[], None] = _nothing_due
    keeper: CheckpointKeeper = field(default_factory=Nowhere)
    clock: Callable[[], float] = time.monotonic
    device: str = "cpu"
    stages: tuple[Stage, ...] = ()
    skipped: frozenset[str] = frozenset()
    timings: list[StageTime] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)
    finished_early: bool = field(default=False, init=False)
    checkpoints: Checkpoints = field(init=False)
    _index: int = field(default=-1, init=False)

    def __post_init__(self) -> None:
        self.stages = self.stages or self.info.stages
        self._started = self.clock()
        self._entered: dict[str, float] = {}
        self._advance = Advance(self.clock)
        self.checkpoints = Checkpoints(self.keeper, self._advance, self.warnings)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.clock() - self._started

    @property
    def finish_wanted(self) -> bool:
        """Whether the user wants an early end with the best there is; only for methods that say `finishes_early`.

        Once this has said yes the result counts as one that was finished early, so ask only where the answer is heeded.
        """
        self.finished_early = self.finished_early or (self.info.finishes_early and self.finishing())
        return self.finished_early

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enter a stage of `stages`; times it and reports its beginning."""
        if name in self.skipped:
            yield
            return
        self._index = [stage.name for stage in self.stages].index(name)
        self.progress(0.0)
        self._entered[name] = self.clock()
        yield
        self.show_rest()
        self.timings.append(StageTime(stage=name, seconds=self.clock() - self._entered.pop(name)))

    def stage_times(self) -> list[StageTime]:
        """`timings`, and what the stage that was not left yet has taken so far."""
        now = self.clock()
        running = [StageTime(stage=name, seconds=now - began) for name, began in self._entered.items()]
        return [*self.timings, *running]

    def progress(self, fraction: float, message: str = "") -> None:
        """Report how much of the current stage is done, 0 to 1. What is told never goes back."""
        self.check()
        stages = self.stages
        total = sum(stage.weight for stage in stages)
        before = sum(stage.weight for stage in stages[: self._index])
        left = self._advance.to((before + stages[self._index].weight * min(max(fraction, 0.0), 1.0)) / total)
        self.report(
            Progress(
                stage=stages[self._index].name,
                stage_index=self._index,
                stage_count=len(stages),
                fraction=self._advance.fraction,
                elapsed=self.elapsed,
                eta=left,
                message=message,
            )
        )

    def check(self) -> None:
        """Raise `Cancelled` if the user has cancelled."""
        if self.cancelled():
            raise Cancelled

    def keep(self, name: str, data: bytes) -> None:
        """Keep a file with the job, for the user to see at once: a candidate, a preview, the picture that was used.

        `name` is a plain file name; a question and result.json may mention it.
        """
        self.save(name, data)

    def recall(self, name: str) -> bytes | None:
        """What `keep` was given under this name by this attempt or an earlier one; None if there is no such file.

        A job that waits for an answer may be put aside, and it may outlive its server; it is then run again from its
        beginning. What took long and was kept need not be computed again. An attempt gives the same question the same
        answer, so a pipeline that recalls comes back to where it was.
        """
        found = self.restore(name)
        if found is not None:
            self._advance.resumes()
        return found

    def preview(self, slot: str, picture: NDArray[np.uint8], caption: str = "") -> None:
        """Show what there is so far: HxWx3 or HxWx4, 8 bits a channel; what is longer than 512 pixels is reduced.

        Cheap to call often: at most two a second are shown, the later ones of a slot take the place of those that wait
        for their turn, and the last one before the end of a stage is never left out.

        slot: which place the picture takes, a short plain word; the next one of the slot replaces it.
        """
        self.show(slot, picture, caption)

    def ask(self, question: dict[str, Any] | Question) -> dict[str, Any]:
        """Ask the user and wait: the job is in `needs_input` until the answer comes.

        Args:
            question: one of `backend/questions.py`, whose answer is checked before it comes here; or any JSON object
                of a plug-in.

        Raises `Cancelled` if the user cancels instead.
        """
        self.check()
        self.show_rest()
        return self.answer(question.model_dump(mode="json") if isinstance(question, Question) else question)

    def warn(self, code: str, message: str, hint: str = "", instance: int | None = None) -> None:
        """Tell the user something without stopping."""
        warning = Warning(code=code, message=message, hint=hint, instance=instance)
        self.warnings.append(warning)
        self.report(warning)
