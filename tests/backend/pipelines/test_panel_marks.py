"""What a description tells a panel beyond the schema: what artists turn, which value of a number is none."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import Problem
from backend.pipelines import PIPELINES
from backend.pipelines.base import GROUPS, MethodInfo
from backend.preparations import preparations
from backend.server.views import PipelineView
from build_docs import shipped, shipped_pipelines, shipped_preparations

METHODS = [*PIPELINES.values(), *preparations().values()]


def fields(info: MethodInfo) -> dict[str, dict[str, Any]]:
    return dict(info.parameters.model_json_schema()["properties"])


@pytest.mark.parametrize("info", PIPELINES.values(), ids=lambda info: info.id)
def test_three_to_five_parameters_of_each_pipeline_are_prominent(info: MethodInfo) -> None:
    assert 3 <= len([name for name, field in fields(info).items() if field.get("prominent")]) <= 5


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.id)
def test_every_parameter_belongs_to_a_group(info: MethodInfo) -> None:
    assert {name: field.get("group") for name, field in fields(info).items() if field.get("group") not in GROUPS} == {}


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.id)
def test_a_special_value_and_its_number_are_both_allowed(info: MethodInfo) -> None:
    for name, field in fields(info).items():
        if special := field.get("special"):
            base = {"prompt": "a chair"} if info.id == "text" else {}  # what it must be told at least
            for value in (special["value"], special["otherwise"]):
                assert getattr(info.check({**base, name: value}), name) == value
            assert special["value"] != special["otherwise"]
            assert special["title"]


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.id)
def test_a_mark_for_a_control_fits_its_parameter(info: MethodInfo) -> None:
    for field in fields(info).values():
        fitting = {"sentence": ("string",), "words": ("string", "array"), "boxes": ("array",)}
        assert "control" not in field or field["type"] in fitting[field["control"]]
        assert field.get("weights_with", "") in ("", *fields(info))


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.id)
def test_what_is_wanted_is_refused_where_it_is_missing(info: MethodInfo) -> None:
    """What a panel says before it sends is what the backend would say."""
    wanted = [name for name, field in fields(info).items() if field.get("wanted")]
    if not wanted:
        info.check({})
        return
    with pytest.raises(Problem):
        info.check({})
    given = {"string": "a chair", "array": [{"left": 1, "top": 1, "right": 5, "bottom": 5, "name": "a chair"}]}
    for name in wanted:
        info.check({name: given[fields(info)[name]["type"]]})


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.id)
def test_titles_name_choices_that_there_are(info: MethodInfo) -> None:
    for field in fields(info).values():
        assert set(field.get("titles", {})) <= set(field.get("enum", ()))


def test_what_the_addon_shows_before_the_backend_ran_is_what_the_backend_will_tell() -> None:
    """Else: `python build_docs.py`."""
    assert {path: path.read_text(encoding="utf-8") for path in shipped()} == shipped()
    assert [each["id"] for each in shipped_preparations()] == ["text", "imagine", "segment", "inversion"]
    assert shipped_pipelines() == [PipelineView.of(PIPELINES["inflate"]).model_dump(mode="json")]
