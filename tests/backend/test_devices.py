"""Which device is chosen, what is said when it is not there, and that its memory is measured."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend import devices
from backend.devices import VARIABLE, choose, peak, release, reset_peak
from backend.errors import Problem

GB = 10**9


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def engine(
    cards: int = 0, mps: bool = False, hip: str | None = None, capability: tuple[int, int] = (8, 6), closed: str = ""
) -> Any:
    """A PyTorch with graphics cards of 12 GB: card i has 11 - i GB free, and 1 of 3 GB reserved are in use."""

    def mem_get_info(name: str) -> tuple[int, int]:
        if closed:
            raise RuntimeError(closed)
        return (11 - int(name.partition(":")[2] or 0)) * GB, 12 * GB

    cuda = SimpleNamespace(
        is_available=lambda: cards > 0,
        device_count=lambda: cards,
        mem_get_info=mem_get_info,
        memory_reserved=lambda name: 3 * GB,
        memory_allocated=lambda name: 1 * GB,
        get_device_capability=lambda name: capability,
        get_device_name=lambda name: "Card",
    )
    return SimpleNamespace(
        cuda=cuda,
        mps=SimpleNamespace(recommended_max_memory=lambda: 16 * GB, driver_allocated_memory=lambda: 2 * GB),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        version=SimpleNamespace(cuda=None if hip else "12.8" if cards else None, hip=hip),
        get_num_threads=lambda: 4,
    )


def use(monkeypatch: pytest.MonkeyPatch, fake: Any) -> None:
    monkeypatch.setattr(devices, "_torch", lambda: fake)


def test_a_card_is_taken_first_then_an_apple_gpu_then_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for fake, expected in ((engine(1, mps=True), "cuda"), (engine(mps=True), "mps"), (engine(), "cpu")):
        use(monkeypatch, fake)
        assert choose().kind == choose().name == expected


def test_free_memory_is_the_drivers_and_what_the_allocator_does_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, engine(2))
    device = choose("cuda:1")
    assert (device.name, device.kind, device.total_bytes, device.free_bytes) == ("cuda:1", "cuda", 12 * GB, 12 * GB)
    use(monkeypatch, engine(mps=True))
    assert (choose().total_bytes, choose().free_bytes) == (16 * GB, 14 * GB)


def test_the_processors_memory_is_this_machines() -> None:
    device = choose("cpu")
    assert 0 < device.free_bytes < device.total_bytes
    assert device.title.startswith("CPU (")


def test_the_title_tells_rocm_from_cuda_and_bfloat16_is_told_where_it_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, engine(1))
    assert (choose().title, choose().bfloat16) == ("Card (CUDA 12.8)", True)
    use(monkeypatch, engine(1, capability=(7, 5)))
    assert not choose().bfloat16
    use(monkeypatch, engine(1, hip="6.4", capability=(7, 5)))
    assert (choose().title, choose().bfloat16) == ("Card (ROCm 6.4)", True)


def test_the_variable_overrides_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, engine(2))
    monkeypatch.setenv(VARIABLE, " CPU ")
    assert choose("cuda").name == "cpu"
    monkeypatch.setenv(VARIABLE, "cuda:1")
    assert choose("cpu").name == "cuda:1"
    monkeypatch.setenv(VARIABLE, "")
    assert choose("cpu").name == "cpu"


@pytest.mark.parametrize(
    ("fake", "wanted", "says"),
    [
        (engine(), "cuda", "this build of PyTorch is for the CPU only"),
        (engine(hip="6.4"), "cuda", "no graphics card is ready"),
        (engine(1), "cuda:1", "only one card, cuda:0"),
        (engine(2), "cuda:5", "only cuda:0 to cuda:1"),
        (engine(1), "mps", "no Apple GPU"),
        (engine(1), "toaster", "'toaster'"),
        (engine(1, closed="the driver is too old\nat line 1"), "cuda", "cannot be used: the driver is too old"),
    ],
)
def test_a_device_that_is_not_there_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, fake: Any, wanted: str, says: str
) -> None:
    use(monkeypatch, fake)
    with pytest.raises(Problem) as told:
        choose(wanted)
    assert told.value.code == "device-missing"
    assert says in told.value.detail and "\n" not in told.value.detail
    assert told.value.detail.startswith("The job asks for")
    monkeypatch.setenv(VARIABLE, wanted)
    with pytest.raises(Problem, match=f"The environment variable {VARIABLE} asks for"):
        choose("cpu")


def test_a_backend_without_pytorch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Problem) as told:
        choose()
    assert told.value.code == "engine-missing" and "requirements/torch.txt" in told.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the peak of a running process this way")
def test_the_peak_of_the_processor_covers_what_was_used() -> None:
    device = choose("cpu")
    reset_peak(device)
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    found = peak(device)
    assert found is not None and found > len(block)
    release(device)


# several workers side by side


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """`work_beside`, undone after the test."""
    for name in ("_worker", "_workers", "_cards"):
        monkeypatch.setattr(devices, name, getattr(devices, name))
    return devices.work_beside


@pytest.mark.parametrize(
    ("cards", "workers", "names"),
    [
        (2, 0, ["cuda", "cuda:1"]),
        (2, 4, ["cuda", "cuda:1", "cuda", "cuda:1"]),
        (3, 2, ["cuda", "cuda:1"]),
        (1, 2, ["cuda", "cuda"]),
        (0, 2, ["cpu", "cpu"]),
    ],
)
def test_each_worker_has_a_card_of_its_own_as_far_as_there_are_any(
    monkeypatch: pytest.MonkeyPatch,
    beside: Callable[[int, int], None],
    cards: int,
    workers: int,
    names: list[str],
) -> None:
    use(monkeypatch, engine(cards))
    for worker, name in enumerate(names):
        beside(worker, workers)
        device = choose()
        assert device.name == name
        assert choose(device.name).name == name, "measured again it is the same"
        assert devices.cards() == cards


def test_a_card_that_was_named_is_everybodys(
    monkeypatch: pytest.MonkeyPatch, beside: Callable[[int, int], None]
) -> None:
    use(monkeypatch, engine(3))
    for variable, names, cards in (
        ("cuda:2", ["cuda:2", "cuda:2"], 1),
        ("cuda", ["cuda", "cuda:1"], 3),
        ("cpu", ["cpu", "cpu"], 0),
    ):
        monkeypatch.setenv(VARIABLE, variable)
        for worker, name in enumerate(names):
            beside(worker, 2)
            assert (choose().name, devices.cards()) == (name, cards)


def test_what_is_shared_counts_in_equal_parts(
    monkeypatch: pytest.MonkeyPatch, beside: Callable[[int, int], None]
) -> None:
    use(monkeypatch, engine(2))
    beside(0, 0)
    assert choose().free_bytes == 13 * GB, "a card of its own: 11 GB free, and 2 of the allocator's"
    beside(0, 3)
    assert choose().free_bytes == (13 + 1) // 2 * GB - 1 * GB, "with the third worker; 1 GB is held here"
    beside(1, 3)
    assert choose().free_bytes == 12 * GB
    monkeypatch.setenv(VARIABLE, "cuda:0")
    beside(1, 3)
    assert choose().free_bytes == (13 + 1) * GB // 3 - 1 * GB
    use(monkeypatch, engine(mps=True))
    monkeypatch.setenv(VARIABLE, "mps")
    beside(1, 2)
    assert choose().free_bytes == (14 + 2) // 2 * GB - 2 * GB


def test_main_memory_is_shared_by_all_workers_whatever_card_they_have(
    monkeypatch: pytest.MonkeyPatch, beside: Callable[[int, int], None]
) -> None:
    memory, held = SimpleNamespace(total=64 * GB, available=30 * GB), SimpleNamespace(rss=2 * GB)
    process = SimpleNamespace(memory_info=lambda: held)
    psutil = SimpleNamespace(virtual_memory=lambda: memory, Process=lambda: process)
    monkeypatch.setitem(sys.modules, "psutil", psutil)
    use(monkeypatch, engine(4))
    for workers, free in ((1, 30), (2, 14), (0, 6), (16, 0)):
        beside(0, workers)
        assert devices.main_memory().free_bytes == free * GB
    # Whatever the workers hold, together they never count more than there is.
    free_bytes, total = 30 * GB, 0
    for rss in (0, 5 * GB, 20 * GB):
        held.rss = rss
        beside(0, 3)
        total += devices.main_memory().free_bytes
    assert total <= free_bytes
