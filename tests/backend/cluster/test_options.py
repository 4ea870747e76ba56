"""What `serve` says of a cluster that it cannot use, before it starts."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from backend.cluster import options as cluster_options
from backend.cluster.options import Cluster, add_arguments, cluster_of
from backend.errors import Problem
from backend.server import main as server


def given(*arguments: str) -> Cluster | None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int)
    add_arguments(parser)
    return cluster_of(parser.parse_args(arguments))


@pytest.fixture(autouse=True)
def _ray_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_options, "find_spec", lambda name: object())


def test_what_is_given_is_used() -> None:
    assert given() is None
    assert given("--ray", "head:6379") == Cluster("head:6379")
    assert given("--ray", "[::1]:6379", "--ray-slots", "3", "--shared-disk") == Cluster("[::1]:6379", 3, True)
    assert given("--ray", " auto ") == Cluster("auto")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--ray-slots", "2"], "--ray-slots says nothing without a cluster"),
        (["--shared-disk"], "--shared-disk says nothing without a cluster"),
        (["--ray", "ray://head:10001"], "takes part in the cluster itself"),
        (["--ray", "head"], "'head' is no address"),
        (["--ray", "head:0"], "is no address"),
        (["--ray", "head:70000"], "is no address"),
        (["--ray", "head:6379; rm"], "is no address"),
        (["--ray", "head:6379", "--slots", "2"], "--slots is for jobs on this machine"),
        (["--ray", "head:6379", "--ray-slots", "0"], "1 to 256 jobs can run at once, not 0"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(Problem) as refused:
        given(*arguments)
    assert refused.value.code == "cluster-unusable" and sentence in refused.value.detail


def test_without_ray_the_server_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster_options, "find_spec", lambda name: None)
    assert server.main(["--data", str(tmp_path / "data"), "--ray", "head:6379"]) == 1
    first, second = capfd.readouterr().err.splitlines()
    assert first == "Ray is not installed in this Python."
    assert 'pip install "ray[default]>=2.60"' in second
    assert not (tmp_path / "data").exists()
