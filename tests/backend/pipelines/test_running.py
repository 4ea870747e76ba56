"""How networks are run: plans told in the same words, objects that fail left out, networks that stay while there is
room. Memory is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend import devices, weights  # noqa: E402
from backend.camera import default_camera  # noqa: E402
from backend.contract import Warning  # noqa: E402
from backend.devices import Device  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.memory import Plan, with_margin  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.midi import MIDI  # noqa: E402
from backend.pipelines.running import Running, Tell, checkpoints, each, seen  # noqa: E402
from backend.residency import Form, residency  # noqa: E402
from backend.shot import InstanceMap, Shot  # noqa: E402
from models.isosurface import EmptySurface, FieldError  # noqa: E402
from models.loading import CheckpointDamaged, CheckpointForeign  # noqa: E402

GB = 10**9


class Card:
    """Memory that networks are put into and taken from."""

    total = 24 * GB

    def __init__(self) -> None:
        self.used: dict[int, int] = {}

    def choose(self, wanted: str = "auto") -> Device:
        return Device("cpu", "Card", self.total, self.total - sum(self.used.values()))


class Nets:
    """Networks that take room on the card for as long as they are not released."""

    bytes_aside = 0

    def __init__(self, card: Card, size: int) -> None:
        self.card, self.size = card, size
        card.used[id(self)] = size

    @property
    def loaded_bytes(self) -> int:
        return self.size

    def release(self) -> None:
        self.card.used.pop(id(self), None)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Card]:
    found = Card()
    residency.clear()
    monkeypatch.setattr(devices, "choose", found.choose)
    monkeypatch.setattr(weights, "locate", lambda identifier: tmp_path)
    yield found
    residency.clear()


def context(said: list[Any] | None = None) -> Context:
    return Context(MIDI, 1, (said if said is not None else []).append)


def plan_of(size: int, name: str = "full") -> Plan:
    return Plan(name, name, size, "float32")


def job(card: Card, name: str, size: int, work: int = GB) -> list[str]:
    """A job whose networks take `size` and whose work `work` bytes; the names of what was loaded for it."""
    loaded: list[str] = []

    def make() -> Nets:
        loaded.append(name)
        return Nets(card, size)

    def run(plan: Plan) -> None:
        with running.networks(name, ["midi"], plan, make):
            assert card.choose().free_bytes >= with_margin(work), "there is room for the work"

    running = Running.begin(context())
    running.by_plans(lambda device: [plan_of(size + work)], run)
    return loaded


def held() -> list[str]:
    return [name for name in ("one", "two", "three") if residency.held_by(name) is not None]


def test_networks_of_several_methods_stay_while_they_fit_and_the_least_recently_used_go(card: Card) -> None:
    assert job(card, "one", 8 * GB) and job(card, "two", 8 * GB)
    assert job(card, "one", 8 * GB) == [], "held, although another method's job came between"
    assert held() == ["one", "two"]
    assert job(card, "three", 7 * GB) == ["three"]
    assert held() == ["one", "three"], "the second was not used for the longest time"
    assert job(card, "two", 8 * GB) == ["two"]
    assert held() == ["two", "three"]
    assert job(card, "one", 20 * GB) == ["one"]
    assert held() == ["one"], "all others had to go"
    assert sum(card.used.values()) == 20 * GB, "and nothing of them takes room"


def test_what_is_held_makes_no_plan_lower(card: Card) -> None:
    ladder = [plan_of(18 * GB, "full"), plan_of(9 * GB, "parts")]
    names = []
    for _ in range(2):
        running = Running.begin(context())
        running.by_plans(lambda device: ladder, lambda plan: names.append(plan.name))
        job(card, "two", 8 * GB)
    assert names == ["full", "full"]


class Aside(Nets):
    """Networks that wait in main memory."""

    loaded_bytes = 0

    @property
    def bytes_aside(self) -> int:
        return self.size


def test_networks_wait_in_main_memory_while_a_quarter_of_it_stays_free(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Card()
    monkeypatch.setattr(devices, "main_memory", home.choose)
    for name in ("one", "two", "three"):
        assert residency.room_aside(8 * GB)
        residency.keep(Form(name, "cuda", "bfloat16", ()), Aside(home, 8 * GB))
        assert sum(home.used.values()) <= 0.75 * home.total
    assert held() == ["two", "three"], "the first was not used for the longest time"
    assert residency.bytes_on("cpu") == 16 * GB and residency.bytes_on("cuda") == 0
    assert not residency.room_aside(19 * GB), "that would leave too little to others"
    assert held() == ["two", "three"], "nothing goes in vain"
    monkeypatch.setattr(devices, "choose", home.choose)
    residency.make_room(home.choose(), home.total)
    assert held() == [], "work on the processor has them go"


def test_a_job_that_ends_by_an_exception_leaves_nothing_of_its_own_and_all_of_the_others(card: Card) -> None:
    job(card, "one", 8 * GB)
    running = Running.begin(context())
    with pytest.raises(ZeroDivisionError), running.networks("two", ["midi"], plan_of(GB), lambda: Nets(card, GB)):
        raise ZeroDivisionError
    assert held() == ["one"] and sum(card.used.values()) == 8 * GB


def test_another_form_of_the_same_networks_takes_the_place_of_the_first(card: Card, tmp_path: Path) -> None:
    job(card, "one", 2 * GB)
    file = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"another file than before")
    assert job(card, "one", 3 * GB) == ["one"], "a checkpoint that was exchanged is read"
    assert list(card.used.values()) == [3 * GB]
    file.write_bytes(b"and now it has another length")
    looks: list[int] = []
    for _ in range(2):
        assert seen("size", ["midi"], lambda: looks.append(1) or 7) == 7
    file.write_bytes(b"shorter")
    seen("size", ["midi"], lambda: looks.append(2) or 8)
    assert looks == [1, 2], "looked at once for each state of the files"


def test_memory_that_runs_out_lets_go_what_is_held_before_a_lower_plan_is_tried(card: Card) -> None:
    job(card, "one", 8 * GB)
    said: list[Any] = []
    running = Running.begin(context(said))
    tried: list[tuple[str, int]] = []

    def run(plan: Plan) -> str:
        tried.append((plan.name, len(card.used)))
        if len(tried) < 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return plan.name

    assert running.by_plans(lambda device: [plan_of(2 * GB), plan_of(GB, "parts")], run) == "parts"
    assert tried == [("full", 1), ("full", 0), ("parts", 0)]
    assert [(each.code, "full" in each.message, "parts" in each.message) for each in said] == [
        ("memory-short", True, True)
    ]
    assert running.record == {"plan": {"name": "parts", "sentence": "parts"}}


def test_a_plan_that_may_not_be_enough_is_told_once(card: Card) -> None:
    said: list[Any] = []
    running = Running.begin(context(said))
    running.by_plans(lambda device: [plan_of(25 * GB)], lambda plan: None)
    (told,) = said
    assert told.code == "memory-tight" and "24.0 GB free" in told.message and "this computer's memory" in told.hint


def shot() -> Shot:
    labels = np.arange(1, 6, dtype=np.uint16)[None].repeat(5, axis=0)
    names = {1: "a", 2: "b", 3: "", 4: "d", 5: "e"}
    return Shot((np.zeros((5, 5, 4), np.uint8),), InstanceMap(labels, names), default_camera(5, 5))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EmptySurface(inside=False), "instance-empty"),
        (FieldError("The field returned a value that is not a finite number."), "geometry-failed"),
        (Problem("geometry-failed", "It has no triangle."), "geometry-failed"),
        (np.linalg.LinAlgError("Singular matrix"), "geometry-failed"),
        (ZeroDivisionError("division by zero"), "geometry-failed"),
    ],
)
def test_one_object_that_fails_is_told_and_the_others_go_on(error: Exception, code: str) -> None:
    said: list[Any] = []
    outer = context(said)

    def work(number: int, tell: Tell) -> str:
        tell(0.5)
        if number == 3:
            raise error
        return f"made {number}"

    with outer.stage("decode"):
        done = each([1, 2, 3, 4, 5], work, shot(), outer, "Try again.")
    assert done == {number: f"made {number}" for number in (1, 2, 4, 5)}
    (told,) = [one for one in said if isinstance(one, Warning)]
    assert (told.code, told.instance) == (code, 3)
    assert told.message.startswith("Object 3 ") and told.message.endswith(" It was left out.") and told.hint


def test_where_every_object_fails_the_job_does_and_what_concerns_all_is_no_objects_fault() -> None:
    def empty(number: int, tell: Tell) -> None:
        raise EmptySurface(inside=False)

    def damaged(number: int, tell: Tell) -> None:
        raise Problem("weights-damaged", "vae.safetensors is cut off.")

    def faulty(number: int, tell: Tell) -> None:
        raise KeyError(number)

    outer = context()
    with outer.stage("decode"):
        for numbers in ([1], [1, 2, 4]):
            with pytest.raises(Problem, match="came out empty") as caught:
                each(numbers, empty, shot(), outer, "Try another seed.")
            assert caught.value.code == "geometry-failed" and caught.value.hint == "Try another seed."
        with pytest.raises(Problem, match="weights-damaged"):
            each([1, 2], damaged, shot(), outer)
        with pytest.raises(KeyError):
            each([1, 2], faulty, shot(), outer)


def test_a_broken_file_is_told_as_the_model_it_belongs_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    both = ("zero123plus", "instantmesh-views")
    for identifier in both:
        file = tmp_path / weights.WEIGHTS[identifier].home / weights.WEIGHTS[identifier].required[0]
        file.parent.mkdir(parents=True)
        file.write_bytes(b"{}")
    for identifier in both:
        with pytest.raises(Problem) as caught, checkpoints(*both):
            raise CheckpointDamaged(f"{tmp_path / weights.WEIGHTS[identifier].home / 'vae'} is cut off.")
        assert (caught.value.code, caught.value.extra["weights"]) == ("weights-damaged", identifier)
    with pytest.raises(Problem) as caught, checkpoints(*both):
        raise CheckpointForeign("It is of another network.")
    assert (caught.value.code, caught.value.extra["weights"]) == ("weights-foreign", both[0])
