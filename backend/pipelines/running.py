"""How every method runs its networks: the device, the plan that fits, networks that stay, objects one after the other.

A method makes one `Running` for each of its learned stages and says by it what it needs; that a plan is tight, that
memory ran out, that a file is damaged, that one of several objects failed is told here, in the same words by all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from backend import devices, weights
from backend.devices import Device
from backend.errors import Problem
from backend.memory import Plan, place_of, run_with_plans, with_margin
from backend.pipelines.context import Context
from backend.residency import Form, Networks, residency
from backend.shot import Shot
from models.isosurface import EmptySurface, FieldError
from models.loading import CheckpointError

T = TypeVar("T")
N = TypeVar("N", bound=Networks)
Tell = Callable[[float], None]
"""Takes the share done, 0 to 1."""

OF_ONE_OBJECT = {"geometry-failed", "image-empty", "instances-empty", "optimisation-diverged"}
"""Codes of problems that say something of one object; the others concern all of them."""


@dataclass
class Running:
    """One learned stage of a job.

    device: what it runs on. Its free memory is that of the beginning; see `measured`.
    followed: the plans that were begun, in their order.
    """

    context: Context
    device: Device
    followed: list[Plan] = field(default_factory=list)

    @classmethod
    def begin(cls, context: Context) -> Running:
        """Choose the device. Raises Problem("device-missing"), Problem("engine-missing")."""
        device = devices.choose()
        context.device = device.name
        return cls(context, device)

    def measured(self) -> Device:
        """The device as it is now. What is held on it counts as free, as it goes when the room is needed; so what a
        worker did before makes no plan lower."""
        device = devices.choose(self.device.name)
        return replace(device, free_bytes=device.free_bytes + residency.bytes_on(device.name))

    def by_plans(self, ladder: Callable[[Device], Sequence[Plan]], work: Callable[[Plan], T]) -> T:
        """Work by the plan that fits, see `backend.memory.run_with_plans`; the user is told what is out of the common.

        Args:
            ladder: the ways of working on the device as it was measured.
            work: does everything anew each time it is called.

        Raises:
            Problem: "out-of-memory". Whatever else `work` raises.
        """
        device = self.measured()
        close = f"Close other programs that use {place_of(device)}, or choose fewer objects at a time."

        def attempt(plan: Plan) -> T:
            if plan.tight and plan not in self.followed:
                self.context.warn("memory-tight", f"Memory may not be enough. {plan.sentence}.", close)
            self.followed.append(plan)
            return work(plan)

        def told(failed: Plan, following: Plan) -> None:
            message = f"Memory ran out with the plan '{failed.name}'. It goes on with less: {following.sentence}."
            self.context.warn("memory-short", message, close)

        return run_with_plans(ladder(device), device, attempt, told, residency.clear)

    @contextmanager
    def networks(
        self,
        name: str,
        identifiers: Sequence[str],
        plan: Plan,
        make: Callable[[], N],
        *,
        needs_bytes: int | None = None,
        keep: bool = True,
    ) -> Iterator[N]:
        """Networks for as long as the block lasts: those that an earlier job has left, or those that `make` gives.

        Room is made for them before, see `Residency.make_room`. After the block they are held for the next job, but
        if it ends by an exception they are gone from the device.

        Args:
            name: of what they are for; of one name at most one form is held.
            identifiers: of `backend/weights`, whose files they come from; see `checkpoints`.
            plan: its dtype is theirs.
            needs_bytes: of these networks with the work in the block; what the plan needs if None.
            keep: hold them afterwards.
        """
        with checkpoints(*identifiers):
            form = Form(name, self.device.name, plan.dtype, _files(identifiers))
            found: N | None = residency.take(form)
            needed = with_margin(plan.needs_bytes if needs_bytes is None else needs_bytes)
            residency.make_room(self.device, needed - (found.loaded_bytes if found is not None else 0))
            networks = make() if found is None else found
            try:
                yield networks
            except BaseException:
                networks.release()
                devices.release(self.device)
                raise
            if keep:
                residency.keep(form, networks)
                return
            networks.release()
        devices.release(self.device)

    @property
    def record(self) -> dict[str, Any]:
        """The plan that it ended with, for result.json; empty if nothing had to be computed."""
        if not self.followed:
            return {}
        return {"plan": {"name": self.followed[-1].name, "sentence": self.followed[-1].sentence}}


@contextmanager
def checkpoints(*identifiers: str) -> Iterator[None]:
    """Whatever is wrong with a checkpoint inside the block, as a Problem.

    Args:
        identifiers: of `backend/weights`. The problem belongs to the last one whose folder the error names, to the
            first if it names none.

    Raises:
        Problem: "weights-missing", "weights-damaged", "weights-foreign", "disk-full", "output-not-writable".
    """
    try:
        yield
    except CheckpointError as error:
        whose = identifiers[0]
        for identifier in identifiers:
            place = weights.look(identifier).place
            folders = (weights.converted_folder(identifier), place.folder if place else None)
            if any(folder is not None and str(folder) in str(error) for folder in folders):
                whose = identifier
        raise weights.problem_of(error, whose) from error


_seen: dict[str, tuple[Hashable, Any]] = {}


def seen(name: str, identifiers: Sequence[str], look: Callable[[], T]) -> T:
    """What `look` finds out about checkpoints by their headers, which are read again only after a file has changed.

    Args:
        name: of what is found out; of one name the last is remembered.
        identifiers: see `checkpoints`.

    Raises:
        Problem: see `checkpoints` and `backend.weights.locate`.
    """
    with checkpoints(*identifiers):
        files = _files(identifiers)
        if name not in _seen or _seen[name][0] != files:
            _seen[name] = files, look()
    found: T = _seen[name][1]
    return found


def each(
    numbers: Iterable[int], work: Callable[[int, Tell], T], shot: Shot, context: Context, hint: str = ""
) -> dict[int, T]:
    """Work on one object after the other. One of several that fails is told and left out, and the others go on.

    Args:
        numbers: ids of instances of the shot.
        work: takes an id and what reports the share done of this object.
        hint: what to do about an object of which nothing came.

    Returns:
        What came of each that did not fail, in the order of `numbers`.

    Raises:
        Problem: the last one, if nothing came of any object. One that concerns all objects, see `OF_ONE_OBJECT`.
        Whatever else `work` raises.
    """
    numbers = list(numbers)
    done: dict[int, T] = {}
    for index, number in enumerate(numbers):

        def tell(share: float, index: int = index, number: int = number) -> None:
            context.progress((index + share) / len(numbers), shot.title(number))

        tell(0.0)
        try:
            done[number] = work(number, tell)
        except (Problem, EmptySurface, FieldError, ArithmeticError, np.linalg.LinAlgError) as error:
            code, problem = _of_one(error, shot.title(number), hint)
            if len(numbers) == 1 or (index == len(numbers) - 1 and not done):
                raise problem from error
            context.warn(code, f"{problem.detail} It was left out.", problem.hint, number)
    return done


def each_beside(
    numbers: Sequence[int], work: Callable[[int, Tell], object], shot: Shot, context: Context, hint: str = ""
) -> None:
    """Make something beside each prop. The props are there, so what cannot be made is told and nothing else.

    Args:
        numbers, work, hint: see `each`.
    """
    for index, number in enumerate(numbers):

        def tell(share: float, index: int = index, number: int = number) -> None:
            context.progress((index + share) / len(numbers), shot.title(number))

        tell(0.0)
        try:
            work(number, tell)
        except FieldError as error:
            context.warn("geometry-failed", f"{shot.title(number)}: {error}", hint, number)
        except Problem as problem:
            context.warn(problem.code, problem.detail, problem.hint, number)


def _of_one(error: Exception, title: str, hint: str) -> tuple[str, Problem]:
    """The code of the warning, and the problem, with which an object is left out. Raises what concerns all objects."""
    if isinstance(error, EmptySurface):
        return "instance-empty", Problem("geometry-failed", f"{title} came out empty: there is no surface.", hint)
    if not isinstance(error, Problem):
        return "geometry-failed", Problem("geometry-failed", f"{title} could not be made: {error}", hint)
    if error.code not in OF_ONE_OBJECT:
        raise error
    detail = error.detail if title in error.detail else f"{title} could not be made: {error.detail}"
    return error.code, Problem(error.code, detail, error.hint, **error.extra)


def _files(identifiers: Sequence[str]) -> Hashable:
    """Where the files of checkpoints lie, how long they are and when they were written; nothing of them is read."""
    found = []
    for identifier in identifiers:
        folder = weights.locate(identifier)
        for name in weights.row_of(identifier).required:
            pattern = re.sub(r"\[.*?\]", "", name).replace(".safetensors", "*.safetensors")  # other forms, and shards
            for file in sorted(folder.glob(pattern)):
                status = file.stat()
                found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)
