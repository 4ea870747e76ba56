"""Which device a learned pipeline runs on, and how much memory it has free just now.

CUDA and ROCm are one name in PyTorch ("cuda"); the title tells which. PyTorch is imported inside functions only.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import Any

from backend.errors import Problem

VARIABLE = "SET_DRESSER_DEVICE"
"""The environment variable that overrides every choice: auto, cpu, mps, cuda, or a card by its number, cuda:1, which
all workers have to share then."""

_worker, _workers = 0, 0
_cards: int | None = None

INSTALL = "Install what the learned pipelines need: requirements/learned.txt and requirements/torch.txt."


@dataclass(frozen=True)
class Device:
    """A device as it was found at one moment.

    name: what `torch.device` takes: "cuda" (or "cuda:1" where a card was named), "mps", "cpu".
    title: for people, as in "NVIDIA GeForce RTX 3060 (CUDA 12.8)".
    total_bytes, free_bytes: memory that can be had at most, and now.
    bfloat16: whether it computes in bfloat16 at full speed.
    """

    name: str
    title: str
    total_bytes: int
    free_bytes: int
    bfloat16: bool = False

    @property
    def kind(self) -> str:
        """One of "cuda", "mps", "cpu"."""
        return self.name.partition(":")[0]


def work_beside(worker: int, workers: int) -> None:
    """This process is number `worker`, from 0, of so many that work on this machine side by side; of as many as there
    are cards if `workers` is 0.

    Cards are given to them in turn, and what several have to share counts as free to each in equal parts.
    """
    global _worker, _workers
    _worker, _workers = worker, workers


def cards() -> int | None:
    """How many graphics cards workers can use side by side: 0 where there is none, 1 where one was named; None as long
    as nobody has asked for a device."""
    return _cards


def choose(wanted: str = "auto") -> Device:
    """The device to run on, its memory measured now.

    Args:
        wanted: "auto" takes the first there is of CUDA or ROCm, MPS, CPU; of several cards the one that is this
            worker's, see `work_beside`. `SET_DRESSER_DEVICE` overrides it.

    Raises:
        Problem: engine-missing without PyTorch; device-missing if the device that was named is not there.
    """
    global _cards
    override = _override()
    name = override or wanted.strip().lower()
    source = f"The environment variable {VARIABLE} asks for" if override else "The job asks for"
    torch = _torch()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    _cards = _card_count(torch)
    if name == "cuda" and (card := _worker % max(_cards, 1)):
        name = f"cuda:{card}"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise Problem("device-missing", f"{source} the device {name!r}; auto, cpu, mps, cuda and cuda:1 are known.")
    missing = _missing(torch, name)
    if missing:
        raise Problem("device-missing", f"{source} the device {name}, but {missing}.")
    try:
        return {"cuda": _cuda, "mps": _mps, "cpu": _cpu}[name.partition(":")[0]](torch, name)
    except RuntimeError as error:
        # A card may be listed and yet be closed to us: driver too old, in exclusive use, memory full to the brim.
        first = str(error).strip().partition("\n")[0]
        raise Problem("device-missing", f"{source} the device {name}, which cannot be used: {first}") from error


def main_memory() -> Device:
    """This computer's own memory, measured now, whatever the device that was asked for."""
    return _cpu(_torch(), "cpu")


def peak(device: Device) -> int | None:
    """The most bytes that were in use: of tensors on the card since `reset_peak`, of the process for the CPU.

    None where the system does not tell (MPS, and the CPU on Windows before the process ends).
    """
    if device.kind == "cuda":
        return int(_torch().cuda.max_memory_allocated(device.name))
    if device.kind == "mps" or sys.platform == "win32":
        return None
    import resource

    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024


def reset_peak(device: Device) -> None:
    """Begin a new `peak`. The peak of the process, for the CPU, cannot be reset."""
    if device.kind == "cuda":
        _torch().cuda.reset_peak_memory_stats(device.name)


def release(device: Device) -> None:
    """Give back everything that nothing refers to any more, the allocator's cache included."""
    import gc

    gc.collect()
    if device.kind == "cuda":
        _torch().cuda.empty_cache()
    elif device.kind == "mps":
        _torch().mps.empty_cache()


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise Problem("engine-missing", f"PyTorch cannot be imported: {error}.", INSTALL) from error
    return torch


def _override() -> str:
    return os.environ.get(VARIABLE, "").strip().lower()


def _card_count(torch: Any) -> int:
    """How many cards workers can use side by side."""
    override = _override()
    if override in ("", "auto", "cuda"):
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    return int(override.startswith("cuda"))


def _share(torch: Any, free: int, own: int, name: str) -> int:
    """What of a device's free memory is this worker's, in bytes, where several share the device.

    own: what this process holds of it. What the others hold is not known to it; together they never take more than
    there is: with f bytes free and a_i held by worker i of n, each may take (f + a_i) / n - a_i more.
    """
    count = max(_card_count(torch), 1)
    workers = _workers or count
    if name.startswith("cuda"):
        sharing = sum(number % count == _worker % count for number in range(workers))
    else:
        sharing = workers
    return free if sharing < 2 else max((free + own) // sharing - own, 0)


def _missing(torch: Any, name: str) -> str:
    """What speaks against a device; empty if nothing does."""
    kind, _, number = name.partition(":")
    if kind == "mps" and not torch.backends.mps.is_available():
        return "there is no Apple GPU that PyTorch can use"
    if kind == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        return "no graphics card is ready" if built else "this build of PyTorch is for the CPU only"
    if number and int(number) >= (count := torch.cuda.device_count()):
        return f"there is only {'one card, cuda:0' if count == 1 else f'cuda:0 to cuda:{count - 1}'}"
    return ""


def _cuda(torch: Any, name: str) -> Device:
    free, total = torch.cuda.mem_get_info(name)
    # What PyTorch has reserved and does not use is free to us, whatever the driver says.
    held = torch.cuda.memory_allocated(name)
    free = _share(torch, free + torch.cuda.memory_reserved(name) - held, held, name)
    rocm = torch.version.hip
    engine = f"ROCm {rocm}" if rocm else f"CUDA {torch.version.cuda}"
    fast = bool(rocm) or torch.cuda.get_device_capability(name)[0] >= 8
    return Device(name, f"{torch.cuda.get_device_name(name)} ({engine})", total, free, bfloat16=fast)


def _mps(torch: Any, name: str) -> Device:
    total, held = torch.mps.recommended_max_memory(), torch.mps.driver_allocated_memory()
    return Device(name, "Apple GPU (MPS)", total, _share(torch, max(total - held, 0), held, name))


def _cpu(torch: Any, name: str) -> Device:
    import psutil

    memory, held = psutil.virtual_memory(), psutil.Process().memory_info().rss
    free = _share(torch, memory.available, held, name)
    return Device(name, f"CPU ({torch.get_num_threads()} threads)", memory.total, free)
