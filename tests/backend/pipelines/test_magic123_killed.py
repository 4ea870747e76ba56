"""A job of Magic123 that is killed with -9 in both stages, or ended early and continued, over HTTP, comes to the same
bytes as one that nobody disturbs."""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend.jobs.run import run_job  # noqa: E402
from backend.residency import residency  # noqa: E402
from tests.backend.jobs.often_pipeline import OFTEN  # noqa: E402
from tests.backend.magic123_shots import FAST, job_of  # noqa: E402
from tests.backend.server.running_server import RunningServer  # noqa: E402
from tests.backend.small_pictures import cut_out  # noqa: E402
from tests.backend.waiting import until  # noqa: E402

STEPS = 12
PARAMETERS = FAST.model_copy(update={"steps": STEPS, "prompt": "a cup"})
PATIENCE = 240.0
PICTURE = cut_out(200, 140)


@pytest.fixture(scope="module")
def environment(magic123_checkpoints: Path) -> dict[str, str]:
    return {
        "SET_DRESSER_MODELS": str(magic123_checkpoints),
        "SET_DRESSER_CONVERTED": str(magic123_checkpoints / "converted"),
        "SET_DRESSER_DEVICE": "cpu",
        "HF_HUB_CACHE": str(magic123_checkpoints / "hub"),
        "OMP_NUM_THREADS": "1",
        "SET_DRESSER_PLUGINS": OFTEN.entry.replace("_run:run", "_pipeline"),
    }


@pytest.fixture(scope="module")
def undisturbed(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The scene of a run that nobody disturbs and nothing is kept of."""
    folder = job_of(tmp_path_factory.mktemp("undisturbed") / "job", PARAMETERS, OFTEN.id, "a test", PICTURE)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr("backend.jobs.run.find_pipeline", {OFTEN.id: OFTEN}.__getitem__)
        run_job("job", folder, lambda said: None, lambda: False, lambda question: {})
        residency.clear()
    torch.set_num_threads(threads)
    return (folder / "output" / "scene.glb").read_bytes()


def submitted(server: RunningServer) -> str:
    return str(server.submit(OFTEN.id, picture=PICTURE, **PARAMETERS.model_dump())["id"])


def come_to(server: RunningServer, job: str) -> tuple[int, str, int]:
    """The process that has told the newest, its stage, and how many steps it had done in it; 0 for nobody."""
    progress = server.job(job)["progress"]
    found = re.match(r"pid (\d+) .*step (\d+) of", progress["message"]) if progress else None
    return (int(found[1]), progress["stage"], int(found[2])) if found else (0, "", 0)


def reaches(server: RunningServer, job: str, stage: str, step: int) -> int:
    """The process that does a step, once it has come to it."""

    def there() -> int:
        process, where, done = come_to(server, job)
        return process if (where, done) >= (stage, step) else 0  # "coarse" comes before "fine" here, too

    return until(there, f"step {step} of {stage}", PATIENCE)


def scene(server: RunningServer, job: str) -> bytes:
    return server.client.get(f"/jobs/{job}/files/scene.glb").content


def test_killed_at_five_random_moments_of_both_stages_it_ends_as_if_nothing_had_been(
    tmp_path: Path, environment: dict[str, str], undisturbed: bytes
) -> None:
    chance = random.Random(5)
    moments = [("coarse", step + chance.randrange(3)) for step in (3, 8)]
    moments += [("fine", step + chance.randrange(2)) for step in (3, 6, 9)]
    server = RunningServer(tmp_path / "data", **environment)
    try:
        job, processes = submitted(server), set[int]()
        for number, (stage, step) in enumerate(moments):
            worker = reaches(server, job, stage, step)
            processes.add(worker)
            if number % 2 == 0:
                os.kill(worker, signal.SIGKILL)
            else:
                server.kill()
                server.client.close()
                server = RunningServer(tmp_path / "data", **environment)
            until(lambda at=server: come_to(at, job)[0] not in {0, *processes}, "the next attempt", PATIENCE)
        view = server.wait(job, seconds=PATIENCE)
        assert (view["state"], view["finished_early"]) == ("done", False), view["problem"]
        assert scene(server, job) == undisturbed
        result = server.client.get(f"/jobs/{job}/files/result.json").json()
        assert result["attempts"] == len(moments) + 1
        assert [each["code"] for each in result["warnings"]] == ["depth-missing"], "each is told once"
        assert result["props"][0]["quality"]["steps"] == {"coarse": STEPS, "fine": STEPS}
        told = [data for _, kind, data in server.events(job) if kind == "progress"]
        fractions = [each["fraction"] for each in told]
        assert fractions == sorted(fractions)
    finally:
        server.__exit__()


def test_ended_early_in_either_stage_there_is_a_prop_and_continued_that_of_an_undisturbed_run(
    tmp_path: Path, environment: dict[str, str], undisturbed: bytes
) -> None:
    with RunningServer(tmp_path / "data", **environment) as server:
        job = submitted(server)
        made: list[bytes] = []
        for stage in ("coarse", "fine"):
            reaches(server, job, stage, 5)
            server.client.post(f"/jobs/{job}/finish").raise_for_status()
            early = server.wait(job, seconds=PATIENCE)
            assert (early["state"], early["finished_early"], early["can_continue"]) == ("done", True, True)
            steps = server.client.get(f"/jobs/{job}/files/result.json").json()["props"][0]["quality"]["steps"]
            made.append(scene(server, job))
            if stage == "coarse":
                assert set(steps) == {"coarse"} and 5 <= steps["coarse"] < STEPS, "no second stage is begun"
            else:
                assert steps["coarse"] == STEPS and 5 <= steps["fine"] < STEPS
            server.client.post(f"/jobs/{job}/continue").raise_for_status()
        ended = server.wait(job, seconds=PATIENCE)
        assert (ended["state"], ended["finished_early"], ended["can_continue"]) == ("done", False, False)
        assert scene(server, job) == undisturbed and len({*made, undisturbed}) == 3
        (view,) = [each for each in ended["previews"] if each["slot"] == "view"] or [None]
        assert view is None, "what it has shown goes once it is done"
