"""What methods share is the same everywhere, and what earlier versions wrote is understood.

`tests/backend/former/` was written by the version before names and types were settled: of each method a job's
request.json with no parameter at its default, the result.json of that job, and the defaults of all methods.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.contract import GenerateRequest, Result
from backend.errors import Problem
from backend.export import recipe
from backend.pipelines import PIPELINES
from backend.pipelines.base import MethodInfo
from backend.pipelines.former import formerly, migrate
from backend.preparations import preparations

FORMER = Path(__file__).resolve().parents[1] / "former"
METHODS: dict[str, MethodInfo] = {**PIPELINES, **preparations()}
OURS = [path.name.partition(".")[0] for path in sorted(FORMER.glob("*.request.json"))]

CHANGED: dict[str, dict[str, Any]] = {
    "inflate": {"resolution": 64},
    "midi": {"resolution": 64, "colour": "none"},
    "instantmesh": {"resolution": 64, "texture_size": 1024},
    "imagine": {"choose": "never"},
    "segment": {},
}
"""What the parameters of the stored requests are today, where that is something else."""

GONE = {"inflate": {"detail"}}


def fields(info: MethodInfo) -> dict[str, dict[str, Any]]:
    return dict(info.parameters.model_json_schema()["properties"])


def stored(identifier: str) -> tuple[GenerateRequest, GenerateRequest]:
    """The request of a job, and the one that its result tells of."""
    request = GenerateRequest.model_validate_json((FORMER / f"{identifier}.request.json").read_bytes())
    return request, recipe(Result.model_validate_json((FORMER / f"{identifier}.result.json").read_bytes()))


def own(request: GenerateRequest, identifier: str) -> dict[str, Any]:
    return dict(request.parameters if request.pipeline == identifier else request.prepare[identifier])


def test_a_name_has_one_type_one_title_one_group_and_the_same_choices_everywhere() -> None:
    seen: dict[str, dict[str, tuple[Any, ...]]] = {}
    for identifier in OURS:
        for name, field in fields(METHODS[identifier]).items():
            choices = () if "weights" in field else tuple(field.get("enum", ()))  # which networks there are
            about = field["type"], field["title"], field["group"], choices
            seen.setdefault(name, {})[identifier] = about
    assert {name: by for name, by in seen.items() if len(set(by.values())) > 1} == {}
    shared = {name for name, by in seen.items() if len(by) > 1}
    assert {"texture_size", "colour", "resolution", "faces", "steps", "quality", "guidance", "choose"} <= shared


@pytest.mark.parametrize("identifier", OURS)
def test_groups_stand_together_and_in_their_order(identifier: str) -> None:
    order = ["picture", "making", "views", "optimising", "mesh", "texture", "placing", "computing"]
    places = [order.index(field["group"]) for field in fields(METHODS[identifier]).values()]
    assert places == sorted(places)


@pytest.mark.parametrize("identifier", OURS)
def test_requests_and_results_of_the_version_before_mean_the_same_today(identifier: str) -> None:
    for request in stored(identifier):
        former = own(request, identifier)
        today = METHODS[identifier].check(former).model_dump(mode="json")
        kept = {name: value for name, value in former.items() if name not in GONE.get(identifier, ())}
        assert {name: today[name] for name in {**kept, **CHANGED[identifier]}} == {**kept, **CHANGED[identifier]}
        assert METHODS[identifier].check(today).model_dump(mode="json") == today, "and they are told as they are now"


@pytest.mark.parametrize("identifier", OURS)
def test_the_defaults_of_the_version_before_are_those_of_today(identifier: str) -> None:
    former = json.loads((FORMER / "defaults.json").read_text())[identifier]
    given = {"labels": "chair"} if identifier == "segment" else {}
    then, now = METHODS[identifier].check(former), METHODS[identifier].check(given)
    steps = {"steps": 0} if identifier == "imagine" else {}  # 30, which is what quality stands for
    assert then.model_copy(update=steps) == now
    if steps:
        assert (then.chosen_steps, now.chosen_steps) == (30, 30)  # type: ignore[attr-defined]


@pytest.mark.parametrize("identifier", OURS)
def test_every_former_value_becomes_one_that_is_allowed(identifier: str) -> None:
    base = {"labels": "chair"} if identifier == "segment" else {}
    names: set[str] = set()
    for name, field in fields(METHODS[identifier]).items():
        mark = field.get("formerly", {"names": [], "values": []})
        names |= set(mark["names"])
        for former, new in mark["values"]:
            assert getattr(METHODS[identifier].check({**base, name: former}), name) == new
            assert former != new
    assert not names & set(fields(METHODS[identifier])), "a former name is nothing else today"


def test_a_parameter_under_both_its_names_is_refused_with_a_sentence() -> None:
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        PIPELINES["inflate"].check({"detail": 64, "resolution": 128})
    assert "detail is called resolution now" in caught.value.detail
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        PIPELINES["inflate"].check({"detail": 5})
    assert "resolution" in caught.value.detail, "what is wrong is told of the name of today"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (True, "on"), ("true", "on"), ("Yes", "on"), (1, "on"), ("off", "no"), (0, "no"), (False, "no"),
        ("on", "on"), ("no", "no"), ("maybe", "maybe"), (2, 2), (None, None), (1.0, 1.0), ([True], [True]),
    ],
)  # fmt: skip
def test_a_switch_that_became_a_choice_is_understood_as_json_and_as_words(given: Any, found: Any) -> None:
    mark = formerly("lid", values=((True, "on"), (False, "no")))["formerly"]
    assert migrate({"cover": given, "other": given}, {"cover": mark}) == {"cover": found, "other": given}
    assert migrate({"lid": given}, {"cover": mark}) == {"cover": found}


def test_a_number_of_today_is_no_former_text() -> None:
    assert PIPELINES["midi"].check({"resolution": 257}).resolution == 257  # type: ignore[attr-defined]
    assert PIPELINES["midi"].check({"resolution": "257"}).resolution == 256  # type: ignore[attr-defined]
    assert PIPELINES["midi"].check({"resolution": "300"}).resolution == 300  # type: ignore[attr-defined]
