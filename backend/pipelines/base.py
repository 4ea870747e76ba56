"""What a pipeline is: a light description that the server can read, and a function that does the work.

The description (`PipelineInfo`) imports nothing heavy: the server draws GET /pipelines, the command line and
Blender's panel from it. The function named by `entry` is imported in the worker only.

`Context` and `Cancelled` are named here, too: plug-ins of others import all that a pipeline is made of from here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from backend.camera import Camera
from backend.contract import MAXIMUM_INSTANCES
from backend.errors import Problem, faults
from backend.pipelines.context import Cancelled as Cancelled
from backend.pipelines.context import Context as Context
from backend.pipelines.former import FORMERLY, migrate
from backend.shot import Shot

ONE_OBJECT_SIDE, LABELLED_SIDE = 2048, 4096
"""What `Parameters.picture_side` says where a method does not know better. The first is what outlines are found at."""


class Parameters(BaseModel):
    """Base of every pipeline's parameters.

    Each field carries `title`, `description`, a default and its range; enumerations are `Literal`s. That one
    definition is the API's schema, the command line's options and the panel's controls. `json_schema_extra` may add
    what only a panel needs: `PROMINENT`, `special(…)`, "group", one of `GROUPS`, and "titles", what to call choices
    whose capitals are their own; `control(…)`; "weights", choice -> ids of `backend/weights` that it needs, and
    "weights_with", the name of another parameter without which none of them is needed. What several methods have stands
    in `parameters.py`. Former names and values, marked with `formerly(…)`, are understood wherever parameters come in.
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


GROUPS = ("picture", "making", "views", "optimising", "mesh", "texture", "placing", "computing")
"""What parameters are about, in the order in which a panel folds them."""

PROMINENT: dict[str, Any] = {"prominent": True}
"""Marks the parameters that artists turn: a panel shows these, five at most, and folds the others away."""


def special(value: float, title: str, otherwise: float) -> dict[str, Any]:
    """Marks a number's one value that is none, like 0 for "Auto": a panel shows `title` in its place, and begins with
    `otherwise` when the user wants a number."""
    return {"special": {"value": value, "title": title, "otherwise": otherwise}}


def control(kind: Literal["sentence", "words", "boxes"], wanted: bool = False) -> dict[str, Any]:
    """Marks what a text, or a list, is about, where its type does not tell.

    kind: "sentence", a text of what the picture shows; "words", a list of names, or a text with commas between them;
        "boxes", a list of `{left, top, right, bottom, name}` in pixels of the picture, drawn around its objects.
    wanted: of the method's parameters that are marked so, one at least must not be empty.
    """
    return {"control": kind, **({"wanted": True} if wanted else {})}


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
            wrong = faults(error, "parameters")
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
    needs_cameras: it works with the cameras that took the pictures, and there must be one for each.
    hears_words: it is told in words what it makes, and takes those that were learned from the picture (`Shot.words`).
    elevations: least and greatest number of degrees from which a camera should look down at an object.
    """

    images: tuple[int, int] = (1, 1)
    instances: tuple[int, int] = (1, MAXIMUM_INSTANCES)
    chance: bool = True
    needs_cameras: bool = False
    hears_words: bool = False
    elevations: tuple[float, float] = (-90.0, 90.0)

    def check_cameras(self, cameras: Sequence[Camera | None]) -> None:
        """Raises Problem("camera-invalid") for the first picture without a camera."""
        for number, camera in enumerate(cameras, 1):
            if camera is None:
                detail = (
                    f"Nobody knows the camera that took picture {number}; {self.title} needs that of every picture."
                )
                hint = "Take the pictures with cameras of the scene, or send each with its camera."
                raise Problem("camera-invalid", detail, hint)
