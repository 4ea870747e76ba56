"""What this machine has, found out without torch: NVIDIA's driver, ROCm, Apple Silicon."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .builds import Machine, platform_name
from .events import NO_WINDOW

SECONDS = 10.0
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
"""CUdevice_attribute values of cuda.h: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""

Run = Callable[[list[str]], str]


def find_machine(run: Run | None = None) -> Machine:
    """Look at this machine. Takes up to some seconds: drivers may have to wake up."""
    run = run or _output
    name = platform_name()
    if name == "macos-arm64":
        return Machine(name, device="Apple Silicon", metal=True)
    found = _by_driver() or _by_nvidia_smi(run)
    if found is not None:
        device, cuda, capability = found
        return Machine(name, device=device, cuda=cuda, capability=capability)
    if name.startswith("linux") and (amd := _by_rocm(run)):
        return Machine(name, device=amd, rocm=True)
    return Machine(name)


Nvidia = tuple[str, tuple[int, int], tuple[int, int]]


def _by_driver() -> Nvidia | None:
    """Ask the CUDA driver's own library (cuda.h: cuInit, cuDriverGetVersion, cuDeviceGetAttribute)."""
    try:
        # By name: it is part of the driver, and the system knows where.
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    version, count = ctypes.c_int(), ctypes.c_int()
    if library.cuInit(0) or library.cuDriverGetVersion(ctypes.byref(version)):
        return None
    if library.cuDeviceGetCount(ctypes.byref(count)):
        return None
    best: tuple[tuple[int, int], str] | None = None
    for number in range(count.value):
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        name = ctypes.create_string_buffer(100)
        failed = library.cuDeviceGet(ctypes.byref(device), number)
        failed = failed or library.cuDeviceGetName(name, len(name), device)
        for target, attribute in ((major, CAPABILITY_MAJOR), (minor, CAPABILITY_MINOR)):
            failed = failed or library.cuDeviceGetAttribute(ctypes.byref(target), attribute, device)
        if not failed:
            each = ((major.value, minor.value), name.value.decode("utf-8", "replace"))
            best = max(best, each) if best else each
    if best is None:
        return None
    # 12040 is CUDA 12.4.
    return best[1], (version.value // 1000, version.value % 1000 // 10), best[0]


def _by_nvidia_smi(run: Run) -> Nvidia | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    cuda = re.search(r"CUDA Version: *(\d+)\.(\d+)", run([program]))
    lines = run([program, "--query-gpu=compute_cap,name", "--format=csv,noheader"]).splitlines()
    devices = [match for line in lines if (match := re.match(r"\s*(\d+)\.(\d+)\s*,\s*(.+)", line))]
    if cuda is None or not devices:
        return None
    best = max(devices, key=lambda match: (int(match[1]), int(match[2])))
    return best[3].strip(), (int(cuda[1]), int(cuda[2])), (int(best[1]), int(best[2]))


def _by_rocm(run: Run) -> str:
    """The name of an AMD device that ROCm can use; "" if there is none. /dev/kfd is ROCm's kernel driver."""
    if not Path("/dev/kfd").exists():
        return ""
    program = shutil.which("rocminfo") or "/opt/rocm/bin/rocminfo"
    text = run([program]) if Path(program).is_file() else ""
    agents = re.findall(r"Marketing Name: *(.+)", text)
    kinds = re.findall(r"Device Type: *(\w+)", text)
    for agent, kind in zip(agents, kinds, strict=False):
        if kind == "GPU":
            return str(agent).strip()
    return "AMD graphics with ROCm" if Path("/opt/rocm").is_dir() and not text else ""


def _output(command: list[str]) -> str:
    """What a program says; "" if it says nothing in time."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            creationflags=NO_WINDOW,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
