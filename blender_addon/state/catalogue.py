"""What the backend describes of its pipelines and preparations, and what follows of that for a panel. The lists are the
desk's, as GET /pipelines and GET /preparations tell them; no method is known by its name here.

A preparation makes the picture where there is none, or finds the objects of one, or is a step: anything else that can
be done to a shot that brings what it needs. Which of its parameters is what is told by `control` in their schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Description = Mapping[str, Any]

SENTENCE, WORDS, BOXES = "sentence", "words", "boxes"
"""What a parameter may be marked as, see docs/api.md."""


def description_of(descriptions: Iterable[dict[str, Any]], identifier: str) -> dict[str, Any] | None:
    """What the backend says about a pipeline or a preparation; None if it does not have it."""
    return next((each for each in descriptions if each["id"] == identifier), None)


def title_of(description: Description) -> str:
    return str(description.get("title") or description["id"])


def makers(preparations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that make the picture, so that the request brings none."""
    return [each for each in preparations if each.get("makes_picture")]


def finders(preparations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that find the objects of a picture, so that the request brings no instance map."""
    return [each for each in preparations if each.get("finds_instances") and not each.get("makes_picture")]


def steps(preparations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """All others: what can be done to a shot beside."""
    return [each for each in preparations if not (each.get("makes_picture") or each.get("finds_instances"))]


def parameters_of(description: Description | None) -> dict[str, dict[str, Any]]:
    """The schema of each parameter, by its name."""
    fields = ((description or {}).get("parameters") or {}).get("properties")
    known = fields.items() if isinstance(fields, dict) else ()
    return {name: field for name, field in known if isinstance(field, dict)}


def marked(description: Description | None, control: str) -> str:
    """The name of the first parameter that is marked as this; "" if there is none."""
    return next((name for name, field in parameters_of(description).items() if field.get("control") == control), "")


def lacking(description: Description, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The schemas of the parameters one of which is wanted, if these values have none of them."""
    wanted = {name: field for name, field in parameters_of(description).items() if field.get("wanted")}
    return [] if any(not _empty(values.get(name)) for name in wanted) else list(wanted.values())


def models_of(description: Description, values: Mapping[str, Any]) -> list[str]:
    """The ids of the models that a pipeline or a preparation needs with these parameters.

    A property of its schema may have `weights`, choice -> ids, and `weights_with`: the parameter without which none of
    them is needed.
    """
    found = list(description.get("weights", ()))
    for name, field in parameters_of(description).items():
        partner = field.get("weights_with")
        if "weights" in field and (partner is None or not _empty(values.get(partner))):
            found += field["weights"].get(values.get(name, field.get("default")), ())
    return list(dict.fromkeys(found))


def takes_chance(pipeline: Description | None, preparations: Sequence[dict[str, Any]], prepared: Iterable[str]) -> bool:
    """Whether another seed makes something else with a pipeline, of which nothing may be known, and what was prepared
    before, by identifier."""
    done = (description_of(preparations, identifier) or {} for identifier in prepared)
    return bool((pipeline or {}).get("chance", True)) or any(each.get("chance") for each in done)


def maker_of(preparations: Sequence[dict[str, Any]], wanted: Iterable[str]) -> dict[str, Any] | None:
    """The one of these preparations, by identifier, that makes the picture; None if none does."""
    found = (description_of(makers(preparations), identifier) for identifier in wanted)
    return next((each for each in found if each is not None), None)


def sentence_of(result: Mapping[str, Any], preparations: Sequence[dict[str, Any]]) -> str | None:
    """The sentence that a job's picture was painted of, from its result.json; None of others."""
    prepared = result.get("prepared") or {}
    maker = maker_of(preparations, prepared)
    if maker is None:
        return None
    given = (prepared[maker["id"]] or {}).get("parameters") or {}
    return given.get(marked(maker, SENTENCE))


def pictures(pipeline: Description | None) -> tuple[int, int]:
    """Least and most pictures that a pipeline takes; one of a pipeline that nothing is known of."""
    images = (pipeline or {}).get("images") or {}
    return int(images.get("least", 1)), int(images.get("most", 1))


def most_objects(pipeline: Description | None) -> int:
    """How many objects a pipeline takes at once; one of a pipeline that nothing is known of."""
    return max(int((pipeline or {}).get("most_instances", 1)), 1)


def elevations(pipeline: Description | None) -> tuple[float, float]:
    """Least and greatest number of degrees from which a pipeline likes a camera to look down at an object."""
    told = (pipeline or {}).get("elevations") or {}
    return float(told.get("least", -90.0)), float(told.get("greatest", 90.0))


def _empty(value: Any) -> bool:
    return not (value.split() if isinstance(value, str) else value)
