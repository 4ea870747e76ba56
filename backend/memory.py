"""From measured free memory to a plan, and on to a lower plan where the first one was too much.

A pipeline describes its ways of working as a ladder of `Plan`s, the most generous first, each with the bytes it is
predicted to need. What is chosen is told to the user in one sentence before anything is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, cast

from backend.devices import Device, release
from backend.errors import Problem

T = TypeVar("T")
Dtype = Literal["float32", "bfloat16", "float16"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

ITEM_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}

# Beyond the tensors that a prediction counts: fragments between blocks of the allocator, work space of the matrix
# libraries, whatever else begins to use the device meanwhile.
MARGIN_SHARE = 0.10
MARGIN_BYTES = 400_000_000

# Predictions err on the safe side and some systems lend main memory to the GPU, so a plan that lacks a little is worth
# a try. One that lacks a third of what it needs is not.
HOPELESS = 1.5

# What allocators say where they raise a plain RuntimeError.
OUT_OF_MEMORY = (
    "out of memory",  # CUDA, HIP, MPS
    "defaultcpuallocator: not enough memory",
    "defaultcpuallocator: can't allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "invalid buffer size",  # MPS, for one tensor beyond what Metal allows
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """One way of working, and what it costs.

    name: short and stable, for records: "full".
    sentence: told in the panel; in a ladder the manner alone ("16-bit, one part at a time"), in a chosen plan with the
        memory before it ("12.0 GB free: 16-bit, one part at a time").
    needs_bytes: predicted peak on the device, without the safety margin.
    dtype: of weights and activations.
    settings: switches that the pipeline knows.
    tight: the plan is the lowest and does not fit with the margin; it may run out of memory.
    """

    name: str
    sentence: str
    needs_bytes: int
    dtype: Dtype
    settings: Mapping[str, Any] = field(default_factory=dict)
    tight: bool = False


def choose_dtype(device: Device, precision: Precision = "auto") -> Dtype:
    """The precision to compute in: as asked, or bfloat16 where it is fast, float16 on other GPUs, float32 on the CPU.

    Raises:
        ValueError: no such precision.
    """
    if precision != "auto":
        if precision not in ITEM_BYTES:
            raise ValueError(f"{precision!r} is no precision; auto, {', '.join(ITEM_BYTES)} are.")
        return precision
    if device.kind == "cpu":
        return "float32"
    return "bfloat16" if device.bfloat16 else "float16"


def with_margin(needs_bytes: int) -> int:
    """The bytes that should be free for a prediction of `needs_bytes`."""
    return round(needs_bytes * (1 + MARGIN_SHARE)) + MARGIN_BYTES


def choose_plan(ladder: Sequence[Plan], device: Device) -> Plan:
    """The most generous plan that fits, its sentence completed; else the lowest, marked as `tight`.

    Args:
        ladder: plans, the most generous first.
        device: measured just now.

    Raises:
        Problem: out-of-memory, if even the lowest plan needs far more than there is; nothing has been loaded then.
        ValueError: the ladder is empty.
    """
    if not ladder:
        raise ValueError("a ladder needs a plan")
    free = f"{_gigabytes(device.free_bytes)} free"
    for plan in ladder:
        if with_margin(plan.needs_bytes) <= device.free_bytes:
            return replace(plan, sentence=f"{free}: {plan.sentence}")
    lowest = min(ladder, key=lambda plan: plan.needs_bytes)
    if lowest.needs_bytes > HOPELESS * device.free_bytes:
        detail = (
            f"{device.title} has {free} of {_gigabytes(device.total_bytes)}; "
            f"the most frugal way needs about {_gigabytes(with_margin(lowest.needs_bytes))}."
        )
        raise Problem("out-of-memory", detail, _what_to_free(lowest, device))
    manner = f"{lowest.sentence}; about {_gigabytes(lowest.needs_bytes)} needed, it may not be enough"
    return replace(lowest, sentence=f"{free}: {manner}", tight=True)


def run_with_plans(
    ladder: Sequence[Plan],
    device: Device,
    work: Callable[[Plan], T],
    on_retry: Callable[[Plan, Plan], None],
    make_room: Callable[[], bool] = lambda: False,
) -> T:
    """Work by the plan that fits; if memory runs out once, again by the next lower one.

    Args:
        ladder, device: see `choose_plan`.
        work: does everything anew each time it is called; what it loaded and keeps elsewhere it must let go itself
            when the plan asks for that.
        on_retry: is told the plan that failed and the one that follows, before the latter begins.
        make_room: lets go whatever else was held on the device, and says whether there was anything; if so, the plan
            that failed first is tried once more.

    Raises:
        Problem: out-of-memory, before the work (see `choose_plan`), or when memory ran out twice or on the lowest plan.
        Whatever else `work` raises.
    """
    plan = choose_plan(ladder, device)
    done, result = _attempt(work, plan)
    if not done and make_room():
        release(device)
        done, result = _attempt(work, plan)
    lower = [each for each in ladder if each.needs_bytes < plan.needs_bytes]
    if not done and lower:
        release(device)
        failed, plan = plan, max(lower, key=lambda each: each.needs_bytes)
        on_retry(failed, plan)
        done, result = _attempt(work, plan)
    if done:
        return cast(T, result)
    release(device)
    detail = f"{device.title} ran out of memory with the plan '{plan.name}', {_gigabytes(plan.needs_bytes)} expected."
    raise Problem("out-of-memory", detail, _what_to_free(plan, device))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on whatever device."""
    if any(kind.__name__ in ("OutOfMemoryError", "MemoryError") for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in OUT_OF_MEMORY)


def _attempt(work: Callable[[Plan], T], plan: Plan) -> tuple[bool, T | None]:
    """Whether the memory was enough, and the result.

    The exception is gone when this returns: its traceback holds the frames that hold the tensors.
    """
    try:
        return True, work(plan)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        logger.warning("out of memory with the plan %s: %s", plan.name, str(error).partition("\n")[0])
    return False, None


def place_of(device: Device) -> str:
    """Where the memory of a device is, for people."""
    return "this computer's memory" if device.kind == "cpu" else "the graphics card"


def _what_to_free(plan: Plan, device: Device) -> str:
    where = place_of(device)
    elsewhere = "" if device.kind == "cpu" else ", or run on the CPU (SET_DRESSER_DEVICE=cpu, slow)"
    needed = with_margin(plan.needs_bytes)
    if needed <= device.total_bytes:
        missing = max(needed - device.free_bytes, 0)
        amount = f" (about {_gigabytes(missing)} more)" if missing else ""
        return f"Close other programs that use {where}{amount}, choose fewer objects at a time{elsewhere}."
    return f"It is too much for {where} as a whole: choose fewer objects at a time or a lower precision{elsewhere}."


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
