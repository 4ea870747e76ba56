"""What every pipeline of the registry promises, with tiny checkpoints. One that is registered is tried here; see
`promises.py`. Three attempts at one small job serve all promises of a pipeline."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backend import memory
from backend.contract import Progress, Warning
from backend.pipelines import PIPELINES
from backend.pipelines.base import PipelineInfo
from backend.residency import residency
from tests.backend.pipelines.promises import (
    CANCELLED,
    DEGENERATE,
    SIGKILLED,
    Attempt,
    attempt,
    example_of,
    killed_attempt,
    openings,
    solids,
    write_job,
)

ROOT = Path(__file__).resolve().parents[3]
SEED, ANOTHER = 7, 8
PLUGINS = "tests.backend.pipelines.promised_plugins"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies of the process are cancelled and killed")


@pytest.fixture(scope="module", params=PIPELINES.values(), ids=lambda info: info.id)
def info(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PipelineInfo]:
    """A pipeline, with its tiny checkpoints where the backend looks for them."""
    info: PipelineInfo = request.param
    if info.learned:
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)  # a copy of the process has no threads but its own
    models = tmp_path_factory.mktemp("models")
    example_of(info).write(models)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("SET_DRESSER_MODELS", models),
            ("SET_DRESSER_CONVERTED", models / "converted"),
            ("HF_HUB_CACHE", models / "hub"),
            ("SET_DRESSER_DEVICE", "cpu"),
        ):
            patch.setenv(name, str(value))
        yield info
        residency.clear()


@pytest.fixture(scope="module")
def tried(info: PipelineInfo, tmp_path_factory: pytest.TempPathFactory) -> Attempt:
    """An attempt that went through, with a copy of the process cancelled wherever it could be."""
    info.load()
    gc.freeze()  # copies that let go of their memory need not look, nor copy, what was there before
    return attempt(write_job(tmp_path_factory.mktemp("job") / "first", info, SEED), cancel_copies=True)


@pytest.fixture(scope="module")
def again(info: PipelineInfo, tried: Attempt, tmp_path_factory: pytest.TempPathFactory) -> Attempt:
    """The same; where the method keeps checkpoints, after an attempt that was killed with -9 near its end."""
    folder = write_job(tmp_path_factory.mktemp("job") / "again", info, SEED)
    if info.checkpoints:
        assert killed_attempt(folder, len(tried.said) * 3 // 4) == SIGKILLED
    return attempt(folder)


@dataclass
class Counted:
    """Bytes of all tensors at the worst moment, and what the plan that was followed had predicted; 0 without one."""

    attempt: Attempt
    held: int = 0
    predicted: int = 0


@pytest.fixture(scope="module")
def other(info: PipelineInfo, tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """An attempt with another seed, its networks loaded anew and its tensors counted."""
    folder = write_job(tmp_path_factory.mktemp("job") / "other", info, ANOTHER)
    if not info.learned:
        return Counted(attempt(folder))
    from tests.backend.living import Living

    plans: list[int] = []
    choose = memory.choose_plan

    def spied(*arguments: Any) -> memory.Plan:
        plan = choose(*arguments)
        plans.append(plan.needs_bytes)
        return plan

    residency.clear()
    with pytest.MonkeyPatch.context() as patch, Living() as living:
        patch.setattr(memory, "choose_plan", spied)
        made = attempt(folder)
    return Counted(made, living.peak, max(plans))


def test_every_object_is_one_closed_prop_or_is_told(info: PipelineInfo, tried: Attempt) -> None:
    names = example_of(info).names
    props = solids(tried.glb)
    told = {said.instance for said in tried.said if isinstance(said, Warning)}
    assert set(props) == {prop.id for prop in tried.result.props}
    assert len(props) == len(tried.result.props), "one prop for each object"
    assert {number for number in names if number not in told} <= set(props) <= set(names)
    assert set(props) >= set(names) - {DEGENERATE}
    assert {number: openings(faces) for number, faces in props.items()} == dict.fromkeys(props, 0)


def test_a_degenerate_object_is_told_and_the_others_come(info: PipelineInfo, tried: Attempt) -> None:
    names = example_of(info).names
    if DEGENERATE not in names:
        pytest.skip("it takes one object alone")
    told = [said for said in tried.said if isinstance(said, Warning) and said.instance == DEGENERATE]
    assert told and all(said.message for said in told)
    assert set(names) - {DEGENERATE} <= {prop.id for prop in tried.result.props}


def test_progress_never_falls_and_comes_often(tried: Attempt) -> None:
    reports = [said for said in tried.said if isinstance(said, Progress)]
    fractions = [said.fraction for said in reports]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1
    assert len(set(fractions)) >= 4
    indices = [said.stage_index for said in reports]
    assert indices == sorted(indices)


def test_it_can_be_cancelled_at_every_report(tried: Attempt) -> None:
    """It looks before each report but for the sign of life at the beginning, and then nothing comes but the end."""
    assert tried.copies and set(tried.copies) == {CANCELLED}
    looks = [look for said, look in zip(tried.said, tried.looks, strict=True) if isinstance(said, Progress)]
    assert looks[0] == 0 and all(one < other for one, other in pairwise(looks))


def test_the_same_seed_makes_the_same_bytes_also_after_a_kill(tried: Attempt, again: Attempt) -> None:
    assert again.glb == tried.glb


def test_another_seed_makes_another_result_where_there_is_chance(
    info: PipelineInfo, tried: Attempt, other: Counted
) -> None:
    assert (other.attempt.glb == tried.glb) is not info.chance


def test_the_memory_that_was_predicted_is_enough(info: PipelineInfo, other: Counted) -> None:
    if info.learned:
        assert 0 < other.held < other.predicted


def test_every_parameter_is_in_the_documents(info: PipelineInfo) -> None:
    if not info.entry.startswith("backend."):
        pytest.skip("a plug-in has documents of its own")
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    table = pages.partition(f"<!-- parameters of {info.id}:")[2].partition("<!-- /")[0]
    assert [name for name in info.parameters.model_fields if f"| `{name}` |" not in table] == []


@pytest.mark.skipif("SET_DRESSER_PLUGINS" in os.environ, reason="this is the inner run")
def test_a_plugin_is_held_to_the_promises_by_being_registered() -> None:
    """One keeps them, checkpoints and all; of one that breaks them each is noticed."""
    environment = {**os.environ, "SET_DRESSER_PLUGINS": PLUGINS}
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider", str(Path(__file__))]
    command += ["-k", "steady or careless"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=200)
    ends = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)\[(\w+)\]", done.stdout, flags=re.MULTILINE)
    assert {end for end, _, name in ends if name == "steady"} == {"PASSED"}, done.stdout
    kept = {test for end, test, name in ends if name == "careless" and end == "PASSED"}
    assert len([end for end, _, name in ends if name == "careless"]) == 7
    assert kept == {
        "test_another_seed_makes_another_result_where_there_is_chance",
        "test_the_memory_that_was_predicted_is_enough",
    }, done.stdout
