"""Networks that leave the device wait in main memory where there is room, and come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.parts import Parts  # noqa: E402


class Network(torch.nn.Linear):
    """Notes where it is sent; there is no card here."""

    def __init__(self, sent: list[str]) -> None:
        super().__init__(4, 4)
        self.sent = sent

    def to(self, device: Any) -> Network:  # type: ignore[override]
        self.sent.append(str(device))
        return self


BYTES = 4 * (4 * 4 + 4)


@pytest.fixture
def sent() -> list[str]:
    return []


def parts_on(device: str, sent: list[str], loads: list[str]) -> Parts:
    def loader(name: str) -> Callable[[], Any]:
        def load() -> Network:
            loads.append(name)
            return Network(sent)

        return load

    return Parts(torch.device(device), {name: loader(name) for name in ("first", "second")})


def test_a_part_that_was_laid_aside_is_not_loaded_again(sent: list[str]) -> None:
    loads: list[str] = []
    asked: list[int] = []
    parts = parts_on("cuda", sent, loads)
    first = parts["first"]
    parts.lay_aside(lambda count: not asked.append(count), "first")  # type: ignore[func-returns-value]
    assert (sent, asked, parts.bytes, parts.bytes_aside) == (["cpu"], [BYTES], 0, BYTES)
    assert parts["first"] is first and sent == ["cpu", "cuda"] and loads == ["first"]
    assert (parts.bytes, parts.bytes_aside) == (BYTES, 0)
    parts.lay_aside(lambda count: True)
    parts.release()
    assert (parts.bytes, parts.bytes_aside) == (0, 0) and parts["first"] is not first


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_without_room_or_a_memory_of_its_own_it_is_let_go(device: str, sent: list[str]) -> None:
    parts = parts_on(device, sent, [])
    _ = parts["first"], parts["second"]
    parts.lay_aside(lambda count: device != "cuda", "first")
    assert sent == [] and parts.bytes_aside == 0 and list(parts.loaded) == ["second"]
    with pytest.raises(KeyError, match="no part third"):
        parts.lay_aside(lambda count: True, "third")


def test_a_part_that_cannot_come_back_is_gone_after_its_release(sent: list[str]) -> None:
    parts = parts_on("cuda", sent, [])
    network = parts["first"]
    parts.lay_aside(lambda count: True, "first")

    def full(device: Any) -> Any:
        raise torch.OutOfMemoryError

    network.to = full
    with pytest.raises(torch.OutOfMemoryError):
        _ = parts["first"]
    parts.release()
    assert parts["first"] is not network
