"""Networks that stay on their device between jobs, so that the next job of the same method reads nothing from disk.

What is in use belongs to the job; what a job has done with may be held here, several at a time. What is held counts as
free: whoever needs the room lets go what was not used for the longest time, as long as the device has too little by
measurement. Networks that do not fit side by side wait in main memory, by the same rule. When the worker rests,
everything goes with its process; while a user thinks for long about a question, everything goes, too.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from backend import devices
from backend.devices import Device, release

T = TypeVar("T")

SHARE_FOR_OTHERS = 0.25
"""Of main memory, which networks that wait there leave free: Blender and the rest of the job need it."""


class Networks(Protocol):
    """What can be held."""

    @property
    def loaded_bytes(self) -> int:
        """What it takes on the device."""

    @property
    def bytes_aside(self) -> int:
        """What of it waits in main memory."""

    def release(self) -> None:
        """Give that back, even if something still refers to it."""


@dataclass(frozen=True)
class Form:
    """Which networks, and in which form.

    name: of what they are for; of one name at most one form is held.
    device: its name. dtype: their precision.
    files: what tells the files they came from, and that those were not exchanged since.
    """

    name: str
    device: str
    dtype: str
    files: Hashable


class Loaded(Generic[T]):
    """Anything that works with networks (`torch.nn.Module`), as something to be held."""

    def __init__(self, value: T, networks: Iterable[Any]) -> None:
        self.value = value
        self.networks = tuple(networks)

    @property
    def loaded_bytes(self) -> int:
        return sum(tensor.nbytes for network in self.networks for tensor in network.parameters() if not tensor.is_meta)

    @property
    def bytes_aside(self) -> int:
        return 0

    def release(self) -> None:
        """Give back their memory even if something still refers to them, as the frames of an exception do."""
        import torch

        for network in self.networks:
            for part in network.modules():
                for tensors in (part._parameters, part._buffers):
                    for name, tensor in tensors.items():
                        if tensor is not None:
                            tensors[name] = torch.nn.Parameter(tensor.to("meta"), requires_grad=False)


class Residency:
    """What is held, the least recently used first."""

    def __init__(self) -> None:
        self._held: dict[Form, Networks] = {}

    def held_by(self, name: str) -> Any:
        """What is held under a name; None if nothing is."""
        return next((networks for form, networks in self._held.items() if form.name == name), None)

    def bytes_on(self, device: str) -> int:
        """What everything that is held takes on a device."""
        return sum(_bytes_on(device, form, networks) for form, networks in self._held.items())

    def take(self, form: Form) -> Any:
        """What is held in this form, which is not held any more then; see `keep`. None if nothing is, and what is held
        under the same name in another form goes."""
        networks = self._held.pop(form, None)
        for other in [other for other in self._held if other.name == form.name]:
            self._held.pop(other).release()
        return networks

    def keep(self, form: Form, networks: Networks) -> None:
        """Hold this, the most recently used, until it is taken or goes."""
        self._held[form] = networks

    def make_room(self, device: Device, wanted: int) -> None:
        """Let go, the least recently used first, until the device has so many bytes free by measurement, or nothing is
        left to go on it."""
        while (oldest := self._oldest(device.name)) and devices.choose(device.name).free_bytes < wanted:
            self._held.pop(oldest).release()
            release(device)

    def room_aside(self, wanted: int) -> bool:
        """Whether networks of so many bytes may wait in main memory; for them goes what was not used for longer."""
        memory = devices.main_memory()
        wanted += round(SHARE_FOR_OTHERS * memory.total_bytes)
        if memory.free_bytes + self.bytes_on("cpu") < wanted:
            return False
        while (oldest := self._oldest("cpu")) and devices.main_memory().free_bytes < wanted:
            self._held.pop(oldest).release()
        return devices.main_memory().free_bytes >= wanted

    def clear(self) -> bool:
        """Let everything go; whether there was anything."""
        held, self._held = self._held, {}
        for networks in held.values():
            networks.release()
        for name in {form.device for form in held}:
            release(devices.choose(name))
        return bool(held)

    def _oldest(self, device: str) -> Form | None:
        return next((form for form, networks in self._held.items() if _bytes_on(device, form, networks)), None)


def _bytes_on(device: str, form: Form, networks: Networks) -> int:
    aside = networks.bytes_aside if device == "cpu" else 0
    return aside + (networks.loaded_bytes if form.device == device else 0)


residency = Residency()
"""The worker's own."""
