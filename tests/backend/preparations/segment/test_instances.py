"""The table of what was found: numbers, names, and what a review makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import Problem
from backend.preparations.segment.finds import Find
from backend.preparations.segment.instances import Instance, apply_review, instances_of, numbered, unique_names
from backend.preparations.segment.overlay import colour_of
from backend.questions import FoundInstance, InstancesAnswer, InstancesQuestion

NAMES = {1: "chair", 2: "chair 2", 3: "table", 4: "lamp"}
SCORES = {1: 0.9, 2: 0.5, 3: None, 4: 0.4}


def found() -> tuple[np.ndarray, list[Instance]]:
    labels = np.zeros((20, 30), dtype=np.uint16)
    labels[2:8, 1:5], labels[2:9, 6:10], labels[10:18, 0:30], labels[0:3, 20:24] = 1, 2, 3, 4
    return labels, instances_of(labels, NAMES, SCORES)


def reviewed(*rows: tuple[list[int], str]) -> tuple[np.ndarray, list[Instance]]:
    labels, instances = found()
    question = InstancesQuestion(
        title="t",
        picture="p.png",
        overlay="o.png",
        instances=[FoundInstance(**one.record(), color=colour_of(one.id)) for one in instances],
    )
    answer = {"instances": [{"ids": ids, "name": name} for ids, name in rows]}
    question.check(answer)
    return apply_review(labels, instances, InstancesAnswer.model_validate(answer))


def test_the_table_measures_the_map() -> None:
    labels, instances = found()
    assert instances[0] == Instance(1, "chair", 0.9, 24, (1, 2, 5, 8))
    assert instances[2] == Instance(3, "table", None, 240, (0, 10, 30, 18))
    assert sum(one.pixels for one in instances) == np.count_nonzero(labels)


def test_an_unchanged_review_changes_nothing() -> None:
    labels, instances = found()
    after, kept = reviewed(*(([one.id], one.name) for one in instances))
    np.testing.assert_array_equal(after, labels)
    assert kept == instances and after.dtype == np.uint16


def test_a_review_renames_merges_and_leaves_out() -> None:
    labels, _ = found()
    after, kept = reviewed(([4], "  "), ([2, 1], "sofa"))
    assert [(one.id, one.name, one.score) for one in kept] == [(1, "sofa", 0.9), (4, "lamp", 0.4)]
    assert kept[0].pixels == 24 + 28 and kept[0].box == (1, 2, 10, 9)
    np.testing.assert_array_equal(after, np.where(np.isin(labels, [1, 2]), 1, np.where(labels == 4, 4, 0)))
    assert reviewed(([3, 4], "both"))[1][0].score is None, "a drawn part makes it drawn"
    assert [one.name for one in reviewed(([1], "sofa"), ([2], "Sofa"))[1]] == ["sofa", "Sofa 2"]


@pytest.mark.parametrize("rows", [[([7], "x")], [([1], "x"), ([1, 2], "y")], []])
def test_a_review_that_does_not_fit_is_refused(rows: list[tuple[list[int], str]]) -> None:
    with pytest.raises(Problem) as caught:
        reviewed(*rows)
    assert caught.value.code == "answer-invalid"


@given(st.data())
def test_every_pixel_of_a_review_is_where_the_answer_says(data: st.DataObject) -> None:
    groups = data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(any), label="group of each id")
    rows = [([i for i in range(1, 5) if groups[i - 1] == group], f"g{group}") for group in sorted({*groups} - {0})]
    before, _ = found()
    after, kept = reviewed(*rows)
    for ids, name in rows:
        np.testing.assert_array_equal(after == min(ids), np.isin(before, ids))
        assert next(one for one in kept if one.id == min(ids)).name == name
    assert [one.id for one in kept] == sorted(min(ids) for ids, _ in rows)
    assert sum(one.pixels for one in kept) == np.count_nonzero(after)


@given(st.lists(st.sampled_from(["chair", "Chair", "chair 2", "lamp", ""]), max_size=8))
def test_names_become_unique_and_the_first_keeps_its_own(names: list[str]) -> None:
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(names)
    for index, (name, given_name) in enumerate(zip(names, unique, strict=True)):
        assert given_name.startswith(name)
        if name.casefold() not in [other.casefold() for other in names[:index]]:
            assert given_name == name


def test_small_and_hidden_objects_are_left_out_and_the_rest_is_numbered() -> None:
    labels = np.zeros((10, 10), dtype=np.uint16)
    labels[0:5, 0:5], labels[9, 9], labels[6:9, 0:9] = 1, 2, 4
    finds = [Find(name, (0, 0, 1, 1), 0.5) for name in ("cup", "crumb", "hidden", "cup")]
    compact, instances, left_out = numbered(labels, finds, least=4)
    assert [(one.id, one.name, one.pixels) for one in instances] == [(1, "cup", 25), (2, "cup 2", 27)]
    assert left_out == finds[1:3]
    np.testing.assert_array_equal(compact == 2, labels == 4)
    assert set(np.unique(compact)) == {0, 1, 2} and compact.dtype == np.uint16
    assert numbered(np.zeros((3, 3), np.uint16), finds, 0)[2] == finds, "what has no pixel is left out in any case"
