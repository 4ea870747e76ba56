"""The builds of torch there are, where each comes from, and which one suits a machine."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from types import MappingProxyType

AUTOMATIC, NONE = "auto", "none"
"""The build that suits the machine; no torch and no learned pipelines."""

LINUX, LINUX_ARM, WINDOWS, MAC = "linux-x64", "linux-arm64", "windows-x64", "macos-arm64"
PLATFORMS = (LINUX, LINUX_ARM, WINDOWS, MAC)

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Build:
    """One build of torch.

    title: for the panel; index: the package index that has it, "" for the usual one; platforms: where it exists;
    cuda: the least CUDA version the driver must support (12.x drivers run every 12.x build, CUDA's "minor version
    compatibility"); capabilities: the oldest and newest compute capability it has code for; download, disk: bytes, of
    torch with all it brings along, rounded up from the sizes of the published wheels.
    """

    title: str
    index: str
    platforms: tuple[str, ...]
    cuda: tuple[int, int] = (0, 0)
    capabilities: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (99, 0))
    download: int = 0
    disk: int = 0


BUILDS = MappingProxyType(
    {
        "cpu": Build(
            "Processor only",
            "https://download.pytorch.org/whl/cpu",
            (LINUX, LINUX_ARM, WINDOWS),
            download=230 * MEGABYTE,
            disk=1000 * MEGABYTE,
        ),
        "cu126": Build(
            "NVIDIA, CUDA 12.6",
            "https://download.pytorch.org/whl/cu126",
            (LINUX, WINDOWS),
            cuda=(12, 0),
            capabilities=((5, 0), (9, 0)),
            download=2700 * MEGABYTE,
            disk=6000 * MEGABYTE,
        ),
        "cu130": Build(
            "NVIDIA, CUDA 13.0",
            "https://download.pytorch.org/whl/cu130",
            (LINUX, LINUX_ARM, WINDOWS),
            cuda=(13, 0),
            capabilities=((7, 5), (12, 1)),
            download=2300 * MEGABYTE,
            disk=5000 * MEGABYTE,
        ),
        "rocm7.2": Build(
            "AMD, ROCm 7.2",
            "https://download.pytorch.org/whl/rocm7.2",
            (LINUX,),
            download=5500 * MEGABYTE,
            disk=19000 * MEGABYTE,
        ),
        "mps": Build("Apple Silicon", "", (MAC,), download=110 * MEGABYTE, disk=600 * MEGABYTE),
    }
)
"""The table of the indexes; the official ones of PyTorch, https://pytorch.org/get-started/locally."""


@dataclass(frozen=True)
class Machine:
    """What was found out about this machine.

    cuda: the newest CUDA version its driver supports; capability: compute capability of its best NVIDIA device;
    device: a name to show; rocm, metal: whether an AMD device with ROCm, or Apple Silicon, is there.
    """

    platform: str
    device: str = ""
    cuda: tuple[int, int] = (0, 0)
    capability: tuple[int, int] = (0, 0)
    rocm: bool = False
    metal: bool = False


def platform_name(system: str = sys.platform, machine: str = "") -> str:
    """As in PLATFORMS; others, like "macos-x64", are in no table."""
    kind = {"win32": "windows", "darwin": "macos"}.get(system, system)
    processor = (machine or platform.machine()).lower()
    return f"{kind}-{'arm64' if processor in ('arm64', 'aarch64') else 'x64' if '64' in processor else processor}"


def builds_for(platform_: str) -> dict[str, Build]:
    """The builds that exist for a platform; none for one that torch is not published for."""
    return {name: build for name, build in BUILDS.items() if platform_ in build.platforms}


def choose(machine: Machine) -> tuple[str, str]:
    """The build that suits the machine, and what its owner should know about that ("" if nothing)."""
    available = builds_for(machine.platform)
    if not available:
        return NONE, "PyTorch is not published for this kind of machine, so there are no learned pipelines on it."
    if machine.metal and "mps" in available:
        return "mps", ""
    if machine.cuda > (0, 0):
        fitting = [
            (build.cuda, name)
            for name, build in available.items()
            if build.cuda > (0, 0)
            and machine.cuda >= build.cuda
            and build.capabilities[0] <= machine.capability <= build.capabilities[1]
        ]
        if fitting:
            return max(fitting)[1], ""
        if machine.capability < min(build.capabilities[0] for build in available.values() if build.cuda > (0, 0)):
            return "cpu", f"PyTorch has no code for a card as old as {machine.device}; learned pipelines will be slow."
        driver = "{}.{}".format(*machine.cuda)
        return "cpu", f"The NVIDIA driver (CUDA {driver}) is too old for {machine.device}. Update it, then look again."
    if machine.rocm and "rocm7.2" in available:
        return "rocm7.2", ""
    return "cpu", "No graphics card that PyTorch can use was found; learned pipelines will be slow."
