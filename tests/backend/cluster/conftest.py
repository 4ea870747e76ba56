"""A cluster for all tests here that need one, and a service that works on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from backend.cluster.executor import RayExecutor
from backend.contract import GenerateRequest
from backend.jobs.service import JobService
from backend.pipelines import PIPELINES
from bench.local_cluster import LocalCluster, is_actor, is_worker
from tests.backend.jobs import fake_pipelines, long_pipeline
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

WANTED = "SET_DRESSER_TEST_CLUSTER"

START_SECONDS = 90.0
"""Ray's processes take long to start where the machine has other things to do."""

PLUGINS = "tests.backend.jobs.fake_pipelines,tests.backend.jobs.long_pipeline"
OnCluster = Callable[..., AbstractContextManager["Farm"]]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A head with one processor core and a node with two. Its dozen processes need a machine that has nothing else to
    do, so it is there for `make test-cluster` alone."""
    if not os.environ.get(WANTED):
        pytest.skip(f"a real cluster is tried by make test-cluster ({WANTED} is not set)")
    pytest.importorskip("ray", reason="Ray is not installed (the extra `cluster`)")
    cluster = LocalCluster(tmp_path_factory.mktemp("machines"), 1, cores=2, head_cores=1)
    yield cluster
    assert cluster.close() == [], "every process of the cluster ends with it"


class Farm:
    """A service on a cluster, and what tests ask of it."""

    def __init__(self, service: JobService, cluster: LocalCluster) -> None:
        self.service = service
        self.cluster = cluster

    def submit(self, pipeline: str = "steady", **parameters: Any) -> str:
        return self.service.submit(GenerateRequest(pipeline=pipeline, parameters=parameters), [cut_out()]).id

    def folder(self, job: str) -> Path:
        return self.service.folders.path(job)

    def reaches(self, job: str, *states: str) -> None:
        until(lambda: self.service.get(job).state in states, f"{job} reaching {states}", START_SECONDS)

    def ends(self, job: str, state: str = "done") -> None:
        self.reaches(job, "done", "failed", "cancelled")
        view = self.service.get(job)
        assert view.state == state, view.problem

    def workers(self) -> list[int]:
        """Their processes, wherever they run."""
        return self.cluster.processes(is_worker)

    def actors(self) -> list[int]:
        return self.cluster.processes(is_actor)


@pytest.fixture
def on_cluster(cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnCluster:
    """A service on the cluster; call it with what `RayExecutor` takes."""
    monkeypatch.setenv("SET_DRESSER_PLUGINS", PLUGINS)  # of the processes; this one has imported its pipelines before
    for info in (*fake_pipelines.PIPELINES, *long_pipeline.PIPELINES):
        monkeypatch.setitem(PIPELINES, info.id, info)

    @contextmanager
    def begin(address: str | None = None, **options: Any) -> Iterator[Farm]:
        def executor(log: Path) -> RayExecutor:
            return RayExecutor(log, tmp_path / "data" / "jobs", address or cluster.address, **options)

        (tmp_path / "data" / "jobs").mkdir(parents=True, exist_ok=True)
        with JobService(tmp_path / "data", executor=executor) as service:
            yield Farm(service, cluster)
        until(lambda: not cluster.processes(is_actor), "the actors' ends", START_SECONDS)
        assert cluster.processes(is_worker) == []

    return begin
