"""What a job asks of a cluster, read from its request: resources, models, and the networks it would like to find."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.cluster.machines import CPU, GPU, GRAPHICS_MEMORY, Machine
from backend.errors import Problem
from backend.pipelines import PIPELINES
from backend.pipelines.base import MethodInfo, Parameters
from backend.preparations import preparations
from backend.weights import WEIGHTS, State, present
from backend.weights.background import ROWS as BACKGROUND
from backend.weights.depth import ROWS as DEPTH

GB = 10**9
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What one job asks for.

    resources: of the machine, in Ray's words.
    networks: a name for each set of networks: method, models and precision.
    models: ids of `backend/weights` that have to be on the machine.
    """

    resources: Mapping[str, float] = field(default_factory=lambda: {CPU: 1.0})
    networks: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()


def wanted_of(folder: Path, machines: Iterable[Machine]) -> Wanted:
    """What a job asks of these machines. A graphics card only where there is one; what of its memory is wanted only
    where a machine tells that it has so much: less memory is a slower plan, and no reason not to begin.

    A request that cannot be read asks for next to nothing: the worker tells what is wrong with it.
    """
    try:
        request = json.loads((folder / "request.json").read_bytes())
        known: dict[str, MethodInfo] = {**PIPELINES, **preparations()}
        named = {request["pipeline"]: request["parameters"], **request["prepare"]}
        methods = [(known[name], known[name].check(values)) for name, values in named.items() if name in known]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, Problem) as error:
        logger.info("what the job in %s needs is not known: %s", folder.name, error)
        return Wanted()
    learned = [(method, chosen) for method, chosen in methods if method.learned]
    networks = frozenset(_name(method, chosen) for method, chosen in learned)
    memory = max((method.needs(chosen).memory_bytes for method, chosen in methods), default=0)
    models = [name for method, chosen in methods for name in (*method.weights, *chosen.needed_weights())]
    return Wanted(_resources(bool(learned) or memory > 0, memory, machines), networks, _with_helpers(models, learned))


def _name(method: MethodInfo, chosen: Parameters) -> str:
    models = sorted({*method.weights, *chosen.needed_weights()})
    return " ".join([method.id, *models, str(getattr(chosen, "precision", ""))])


def _resources(graphics: bool, memory: int, machines: Iterable[Machine]) -> dict[str, float]:
    asked = {CPU: 1.0}
    if graphics and any(machine.total.get(GPU, 0.0) >= 1 for machine in machines):
        asked[GPU] = 1.0
        gigabytes = -(-memory // GB)
        if gigabytes and any(machine.total.get(GRAPHICS_MEMORY, 0.0) >= gigabytes for machine in machines):
            asked[GRAPHICS_MEMORY] = float(gigabytes)
    return asked


def _with_helpers(models: list[str], learned: list[tuple[MethodInfo, Any]]) -> tuple[str, ...]:
    """And those that jobs use where they are there: what removes backgrounds and, for networks, what sees depth."""
    helpers = [row.id for row in (*BACKGROUND, *(DEPTH if learned else ()))]
    there = [name for name in helpers if WEIGHTS[name].source != "local" and present(name) is State.ready]
    return tuple(dict.fromkeys([*models, *there]))
