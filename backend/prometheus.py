"""Figures for Prometheus, and the text in which they are told: exposition format 0.0.4.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/. Written here and not taken from prometheus_client:
most of the figures are read from the list of jobs when they are asked for, and what is left is less than a library that
everybody would have to install.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Values = tuple[str, ...]
"""Of the labels of a family, in their order."""


@dataclass(frozen=True)
class Sample:
    """One line: what comes after the family's name, labels and their values, and the figure."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """Figures of one name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: Sequence[Sample]

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {_escaped(self.help)}"
        yield f"# TYPE {self.name} {self.kind}"
        for sample in self.samples:
            labels = ",".join(f'{label}="{_quoted(value)}"' for label, value in sample.labels)
            yield f"{self.name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}"


def text(families: Iterable[Family]) -> str:
    """All families as one document."""
    return "".join(f"{line}\n" for family in families for line in family.lines())


def gauge(name: str, help: str, value: float) -> Family:
    """A figure that goes up and down, as it is now."""
    return Family(name, "gauge", help, [Sample(value)])


def gauges(name: str, help: str, labels: Values, values: Mapping[Values, float]) -> Family:
    """Several, told apart by labels."""
    samples = [Sample(value, tuple(zip(labels, key, strict=True))) for key, value in sorted(values.items())]
    return Family(name, "gauge", help, samples)


class Counter:
    """What only grows, from 0 at the start of this process. Usable from any thread.

    name: ends in "_total". known: values of the labels that are told before anything was counted.
    """

    def __init__(self, name: str, help: str, labels: Values, known: Iterable[Values] = ()) -> None:
        self._name = name
        self._help = help
        self._labels = labels
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(known, 0)

    def add(self, *values: str) -> None:
        """One more."""
        with self._lock:
            self._counts[values] = self._counts.get(values, 0) + 1

    def family(self) -> Family:
        with self._lock:
            counts = sorted(self._counts.items())
        samples = [Sample(count, tuple(zip(self._labels, values, strict=True))) for values, count in counts]
        return Family(self._name, "counter", self._help, samples)


class Histogram:
    """How often something took how long, since the start of this process. Usable from any thread.

    bounds: the upper ends of the buckets, growing; what is above the last of them is counted as well.
    """

    def __init__(self, name: str, help: str, labels: Values, bounds: Sequence[float]) -> None:
        self._name = name
        self._help = help
        self._labels = labels
        self._bounds = tuple(bounds)
        self._lock = threading.Lock()
        self._counts: dict[Values, list[int]] = {}
        self._sums: dict[Values, float] = {}

    def observe(self, value: float, *values: str) -> None:
        """One more, which took `value`."""
        with self._lock:
            counts = self._counts.setdefault(values, [0] * (len(self._bounds) + 1))
            counts[bisect_left(self._bounds, value)] += 1
            self._sums[values] = self._sums.get(values, 0.0) + value

    def family(self) -> Family:
        with self._lock:
            seen = [(values, list(counts), self._sums[values]) for values, counts in sorted(self._counts.items())]
        samples: list[Sample] = []
        for values, counts, total in seen:
            labels = tuple(zip(self._labels, values, strict=True))
            for bound, count in zip((*self._bounds, math.inf), accumulate(counts), strict=True):
                samples.append(Sample(count, (*labels, ("le", _number(bound))), "_bucket"))
            samples += [Sample(total, labels, "_sum"), Sample(sum(counts), labels, "_count")]
        return Family(self._name, "histogram", self._help, samples)


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(value: str) -> str:
    """The value of a label; half a surrogate pair, which is no character, as a question mark."""
    return _escaped(value).replace('"', '\\"').encode("utf-8", "replace").decode()
