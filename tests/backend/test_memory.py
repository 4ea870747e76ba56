"""From free memory to a plan, and what happens when memory runs out all the same."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.devices import Device
from backend.errors import Problem
from backend.memory import Plan, choose_dtype, choose_plan, is_out_of_memory, run_with_plans, with_margin

GB = 10**9
LADDER = [
    Plan("full", "16-bit, everything stays loaded", 8 * GB, "bfloat16"),
    Plan("parts", "16-bit, one part at a time", 6 * GB, "bfloat16"),
    Plan("halves", "16-bit, in halves", 4 * GB, "bfloat16", {"one_batch": False}),
]


def card(free: float, total: float = 24) -> Device:
    return Device("cuda", "Card (CUDA 12.8)", round(total * GB), round(free * GB), bfloat16=True)


class Body:
    """Something large that a failed attempt holds."""


class Work:
    """Runs out of memory a number of times, holding on to a body in its frame; notes by which plans it ran."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.plans: list[str] = []
        self.left: list[weakref.ref[Body]] = []
        self.alive: list[int] = []

    def __call__(self, plan: Plan) -> str:
        self.alive.append(sum(reference() is not None for reference in self.left))
        self.plans.append(plan.name)
        body = Body()
        self.left.append(weakref.ref(body))
        if len(self.plans) <= self.failures:
            # A new one each time, as an allocator raises it: a kept one would hold the frame, and so the body.
            raise type(self.error)(*self.error.args)
        return f"done by {plan.name}"


def note(retries: list[tuple[str, str]]):  # type: ignore[no-untyped-def]
    return lambda failed, following: retries.append((failed.name, following.name))


@pytest.mark.parametrize(
    ("free", "name", "tight"),
    [(24, "full", False), (9.3, "full", False), (9.1, "parts", False), (6.9, "halves", False), (3.0, "halves", True)],
)
def test_the_most_generous_plan_that_fits_is_chosen(free: float, name: str, tight: bool) -> None:
    plan = choose_plan(LADDER, card(free))
    assert (plan.name, plan.tight) == (name, tight)
    assert plan.sentence.startswith(f"{free:.1f} GB free: 16-bit")
    assert ("may not be enough" in plan.sentence) == tight
    assert replace(plan, sentence="", tight=False) == replace(next(p for p in LADDER if p.name == name), sentence="")


@given(st.lists(st.integers(0, 40 * GB), min_size=2, max_size=2))
def test_more_memory_never_gives_a_lower_plan(free: list[int]) -> None:
    def needed(count: int) -> int:
        try:
            return choose_plan(LADDER, card(count / GB, 40)).needs_bytes
        except Problem:
            return 0

    less, more = sorted(free)
    assert needed(less) <= needed(more)
    assert choose_plan(LADDER, card(40, 40)).name == "full"


def test_what_can_never_fit_is_refused_before_anything_is_loaded() -> None:
    work = Work(0)
    with pytest.raises(Problem) as told:
        run_with_plans(LADDER, card(2.0, total=12), work, note([]))
    assert told.value.code == "out-of-memory" and work.plans == []
    assert "2.0 GB free of 12.0 GB" in told.value.detail and "4.8 GB" in told.value.detail
    assert "2.8 GB more" in told.value.hint and "graphics card" in told.value.hint
    with pytest.raises(Problem) as told:
        choose_plan(LADDER, card(2.0, total=3))
    assert "as a whole" in told.value.hint and "SET_DRESSER_DEVICE=cpu" in told.value.hint
    with pytest.raises(Problem) as told:
        choose_plan(LADDER, Device("cpu", "CPU", 3 * GB, 2 * GB))
    assert "SET_DRESSER_DEVICE" not in told.value.hint and "this computer's memory" in told.value.hint


def test_out_of_memory_once_goes_on_with_the_next_lower_plan() -> None:
    work, retries = Work(1), list[tuple[str, str]]()
    assert run_with_plans(LADDER, card(24), work, note(retries)) == "done by parts"
    assert work.plans == ["full", "parts"] and retries == [("full", "parts")]


def test_nothing_of_the_failed_attempt_is_alive_in_the_second() -> None:
    work = Work(1)
    run_with_plans(LADDER, card(24), work, note([]))
    assert work.alive == [0, 0]


def test_out_of_memory_twice_says_what_to_free() -> None:
    work = Work(2)
    with pytest.raises(Problem) as told:
        run_with_plans(LADDER, card(24), work, note([]))
    assert told.value.code == "out-of-memory" and work.plans == ["full", "parts"]
    assert "Card" in told.value.detail and "'parts'" in told.value.detail and "Close other programs" in told.value.hint


def test_on_the_lowest_plan_there_is_no_second_attempt() -> None:
    work, retries = Work(1), list[tuple[str, str]]()
    with pytest.raises(Problem, match="out-of-memory"):
        run_with_plans(LADDER, card(4.2), work, note(retries))
    assert work.plans == ["halves"] and retries == []


def test_other_errors_pass_as_they_are() -> None:
    error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1"):
        run_with_plans(LADDER, card(24), Work(1, error), note([]))


def test_every_allocators_words_are_understood() -> None:
    with pytest.raises(RuntimeError) as processor:
        torch.empty(10**15)
    with pytest.raises(MemoryError) as arrays:
        np.empty(10**17)
    apple = "MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB, max allowed: 9.07 GB)."
    errors = [processor.value, arrays.value, torch.OutOfMemoryError("HIP out of memory."), RuntimeError(apple)]
    errors.append(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried"))
    errors.append(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert all(map(is_out_of_memory, errors))
    assert not any(map(is_out_of_memory, [ValueError("out of memory"), RuntimeError("device-side assert"), OSError()]))


def test_the_precision_is_the_fastest_that_the_device_has() -> None:
    turing = replace(card(12), bfloat16=False)
    apple, processor = Device("mps", "Apple", GB, GB), Device("cpu", "CPU", GB, GB)
    found = [choose_dtype(device) for device in (card(12), turing, apple, processor)]
    assert found == ["bfloat16", "float16", "float16", "float32"]
    assert choose_dtype(card(12), "float32") == "float32" and choose_dtype(processor, "bfloat16") == "bfloat16"
    with pytest.raises(ValueError, match="int4"):
        choose_dtype(processor, "int4")  # type: ignore[arg-type]


def test_the_margin_grows_with_the_need() -> None:
    assert with_margin(0) == 400_000_000 and with_margin(10 * GB) == 11.4 * GB
