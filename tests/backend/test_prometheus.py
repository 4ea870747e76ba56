import math
import threading

import pytest

from backend.prometheus import Counter, Family, Histogram, Sample, gauge, gauges, text
from tests.backend.prometheus_text import read


def test_what_is_told_can_be_read_and_has_the_figures() -> None:
    counter = Counter("made_total", "What was made.", ("kind",), [("chair",), ("table",)])
    counter.add("chair")
    counter.add("chair")
    several = gauges("rooms", "How many.", ("floor", "side"), {("1", "left"): 3, ("2", "right"): 0.25})
    read_back = read(text([counter.family(), gauge("heat_celsius", "Now.", -1.5e-7), several]))
    assert read_back["made_total"].kind == "counter"
    assert (read_back["made_total"].value(kind="chair"), read_back["made_total"].value(kind="table")) == (2, 0)
    assert read_back["heat_celsius"].value() == -1.5e-7
    assert read_back["rooms"].value(side="right") == 0.25


@pytest.mark.parametrize(
    "value", ['"', "\\", "\n", '\\n"', "a\\", 'x"} 1\nmade_total{kind="y', "ü — 椅子", "", "{}=,# HELP"]
)
def test_a_label_may_be_anything_and_stays_one_label(value: str) -> None:
    counter = Counter("made_total", "Back\\slash and\nline.", ("kind", "more"))
    counter.add(value, "1")
    told = read(text([counter.family()]))["made_total"]
    assert list(told.samples) == [("made_total", frozenset({("kind", value), ("more", "1")}))]
    assert told.help == r"Back\\slash and\nline."


def test_half_a_character_becomes_a_question_mark() -> None:
    assert 'kind="?"' in text([gauges("a", "B.", ("kind",), {("\ud800",): 1})])


def test_a_histogram_counts_each_value_once_and_the_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram("took_seconds", "How long.", ("what",), (0.5, 1.0, 60.0))
    for value in (0.1, 0.5, 0.6, 60.0, 61.0):
        histogram.observe(value, "a")
    histogram.observe(2.0, "b")
    told = read(text([histogram.family()]))["took_seconds"]
    buckets = {bound: told.value(what="a", le=bound) for bound in ("0.5", "1", "60", "+Inf")}
    assert buckets == {"0.5": 2, "1": 3, "60": 4, "+Inf": 5}
    assert told.value("_sum", what="a") == pytest.approx(122.2)
    assert told.value("_count", what="a") == 5
    assert told.value("_count", what="b") == 1


def test_several_threads_lose_nothing() -> None:
    counter, histogram = Counter("a_total", "B.", ()), Histogram("c_seconds", "D.", (), (1.0,))

    def work() -> None:
        for _ in range(2000):
            counter.add()
            histogram.observe(0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = read(text([counter.family(), histogram.family()]))
    assert (told["a_total"].value(), told["c_seconds"].value("_count")) == (8000, 8000)


@pytest.mark.parametrize(
    ("value", "word"), [(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (1e20, "1" + "0" * 20)]
)
def test_figures_beyond_the_usual_are_written_as_prometheus_reads_them(value: float, word: str) -> None:
    assert text([gauge("a", "B.", value)]).splitlines()[-1] == f"a {word}"


@pytest.mark.parametrize(
    "wrong",
    [
        "a 1\n",
        "# HELP a B.\n# TYPE a gauge\na 1",
        '# HELP a B.\n# TYPE a gauge\na{x="1"x="2"} 1\n',
        "# HELP a B.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a B.\n# TYPE a counter\na 1\n",
        "# HELP a B.\n# TYPE a gauge\nb 1\n",
        '# HELP a B.\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    ],
)
def test_the_reader_is_strict(wrong: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        read(wrong)


def test_a_family_without_samples_is_told_all_the_same() -> None:
    assert read(text([Family("a", "gauge", "B.", []), Family("c", "gauge", "D.", [Sample(1)])])).keys() == {"a", "c"}
