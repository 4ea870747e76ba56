"""A strict reader of what Prometheus is told: text exposition format 0.0.4, rule by rule.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN")
Labels = frozenset[tuple[str, str]]


@dataclass
class Told:
    """A family. samples: by the whole name of the line and its labels."""

    kind: str
    help: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def value(self, suffix: str = "", **labels: str) -> float:
        """That of the one line which has these labels, maybe among others."""
        wanted = set(labels.items())
        found = [
            value
            for (name, has), value in self.samples.items()
            if wanted <= has and (not suffix or name.endswith(suffix))
        ]
        assert len(found) == 1, (labels, found)
        return found[0]


def read(text: str) -> dict[str, Told]:
    """Families by name. Fails for whatever the format does not allow."""
    assert text.endswith("\n"), "the last line ends, too"
    families: dict[str, Told] = {}
    current = ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, current, words = line.split(" ", 3)
            assert NAME.fullmatch(current) and current not in families, line
            assert "\\" not in re.sub(r"\\[\\n]", "", words), line
            families[current] = Told("", words)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and not families[name].kind and not families[name].samples, line
            assert kind in ("counter", "gauge", "histogram"), line
            families[name].kind = kind
        else:
            name, labels, value = _sample(line)
            told = families[current]
            suffixes = ("_bucket", "_sum", "_count") if told.kind == "histogram" else ("",)
            assert name in [current + suffix for suffix in suffixes], f"{line} is not of {current}"
            assert (name, labels) not in told.samples, f"{line} comes twice"
            told.samples[name, labels] = value
    for name, told in families.items():
        _check(name, told)
    return families


def _sample(line: str) -> tuple[str, Labels, float]:
    name = NAME.match(line)
    assert name, line
    rest, labels = line[name.end() :], []
    if rest.startswith("{"):
        rest = rest[1:]
        while not rest.startswith("}"):
            label = LABEL.match(rest)
            assert label, line
            labels.append((label[1], re.sub(r"\\(.)", lambda found: found[1].replace("n", "\n"), label[2])))
            rest = rest[label.end() :]
            assert rest[0] in ",}", line
            rest = rest.removeprefix(",")
        rest = rest[1:]
    assert rest.startswith(" ") and NUMBER.fullmatch(rest[1:]), line
    assert len({label for label, _ in labels}) == len(labels), f"{line} has a label twice"
    return name[0], frozenset(labels), float(rest[1:])


def _check(name: str, told: Told) -> None:
    assert told.kind and told.help, name
    if told.kind == "counter":
        assert name.endswith("_total"), name
        assert all(value >= 0 for value in told.samples.values())
    if told.kind != "histogram":
        return
    counts = {labels: value for (line, labels), value in told.samples.items() if line.endswith("_count")}
    sums = {labels for line, labels in told.samples if line.endswith("_sum")}
    assert sums == set(counts)
    for labels, count in counts.items():
        buckets = {
            float(bound): value
            for (line, has), value in told.samples.items()
            if line.endswith("_bucket")
            for label, bound in has
            if label == "le" and has - {(label, bound)} == labels
        }
        inside = [buckets[bound] for bound in sorted(buckets)]
        assert inside == sorted(inside), f"the buckets of {name} do not grow"
        assert max(buckets) == math.inf and inside[-1] == count, name
