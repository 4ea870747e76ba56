"""The door to the jobs, without HTTP: as the command line uses it."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.contract import AgainRequest, GenerateRequest
from backend.errors import Problem
from backend.jobs import folders
from backend.jobs.answers import Answers, add_answer
from backend.jobs.cooling import Cooling
from backend.jobs.executor import Interrupted, OneSlot, Parked, Report, WorkerState
from backend.jobs.service import JobService
from backend.pipelines.context import Cancelled
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

REQUEST = GenerateRequest(pipeline="inflate", name="a chair")
PROGRESS = {"stage": "surface", "stage_index": 0, "stage_count": 1, "fraction": 0.5, "elapsed": 0.1}


class Stage(OneSlot):
    """An executor that does what the test tells it, job by job."""

    def __init__(self) -> None:
        self.state = WorkerState.ASLEEP
        self.cooling: Cooling | None = None
        self.acts: list[Callable[[Stage, Path], None]] = []
        self.answers: list[dict[str, Any]] = []
        self.changed = threading.Event()
        self.stopped = False
        self.early = False

    def run(
        self,
        job: str,
        folder: Path,
        report: Callable[[Report], None],
        cancelled: Callable[[], bool],
        too_many: Callable[[], bool],
        finishing: Callable[[], bool],
    ) -> bool:
        self.state = WorkerState.READY
        self.report, self.cancelled = report, cancelled
        if self.acts:
            self.acts.pop(0)(self, folder)
        else:
            (folder / "output" / "scene.glb").write_bytes(b"glTF")
        return self.early

    def wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self.stopped:
                raise Interrupted
            self.changed.wait(5)
            self.changed.clear()

    def nudge(self) -> None:
        self.changed.set()

    def answer(self, job: str, answer: dict[str, Any]) -> None:
        self.answers.append(answer)
        self.changed.set()

    def warm(self) -> None:
        self.state = WorkerState.READY

    def rest(self) -> None:
        self.state = WorkerState.ASLEEP

    def stop(self) -> None:
        self.stopped = True
        self.changed.set()


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def service(tmp_path: Path, stage: Stage) -> Iterator[JobService]:
    with JobService(tmp_path, executor=lambda log: stage) as service:
        yield service


def until_cancelled(stage: Stage, folder: Path) -> None:
    stage.wait_for(stage.cancelled)
    raise Cancelled


def submit(service: JobService, **changes: Any) -> str:
    return service.submit(REQUEST.model_copy(update=changes), [cut_out()]).id


def test_events_lead_from_submission_to_the_end(service: JobService, stage: Stage) -> None:
    stage.acts.append(lambda stage, folder: stage.report(Report("progress", PROGRESS)))
    events = list(service.events(submit(service)))
    assert [event.data.get("state", event.type) for event in events] == ["queued", "running", "progress", "done"]


def test_the_folder_of_a_job_is_complete_before_it_is_listed(service: JobService, tmp_path: Path) -> None:
    job = service.submit(REQUEST, [cut_out()], cut_out(), None).id
    folder = tmp_path / "jobs" / job
    assert GenerateRequest.model_validate_json((folder / "request.json").read_text()) == REQUEST
    assert (folder / "inputs" / "image-0.bin").read_bytes() == cut_out()
    assert (folder / "inputs" / "instances.bin").read_bytes() == cut_out()
    assert not list((tmp_path / "jobs").glob("*.partial"))


@pytest.mark.parametrize(
    ("request_", "images", "code"),
    [
        (GenerateRequest(pipeline="nothing"), [cut_out()], "pipeline-unknown"),
        (GenerateRequest(pipeline="inflate", parameters={"resolution": 1}), [cut_out()], "parameters-invalid"),
        (REQUEST, [], "request-invalid"),
        (REQUEST, [cut_out(), cut_out()], "request-invalid"),
        (REQUEST, [b"nothing"], "image-unreadable"),
    ],
)
def test_what_is_refused_leaves_nothing(
    service: JobService, tmp_path: Path, request_: GenerateRequest, images: list[bytes], code: str
) -> None:
    with pytest.raises(Problem) as caught:
        service.submit(request_, images)
    assert caught.value.code == code
    assert service.list() == []
    assert not (tmp_path / "jobs").exists()


def test_a_job_that_cannot_be_stored_leaves_nothing(
    service: JobService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(folders.NO_SPACE[0], "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(Problem, match="disk-full"):
            submit(service)
    assert list((tmp_path / "jobs").iterdir()) == []


def test_the_queue_survives_an_executor_that_fails(service: JobService, stage: Stage) -> None:
    def broken(stage: Stage, folder: Path) -> None:
        (folder / "output" / "scene.glb").write_bytes(b"half")
        raise RuntimeError("a defect")

    stage.acts.append(broken)
    failed, done = submit(service), submit(service)
    assert list(service.events(done))[-1].data["state"] == "done"
    view = service.get(failed)
    assert view.problem is not None
    assert (view.state, view.problem.code, view.files) == ("failed", "internal", [])
    with pytest.raises(Problem, match="file-not-found"):
        service.file(failed, "scene.glb")


def test_cancel_reaches_the_running_job_without_delay(service: JobService, stage: Stage) -> None:
    stage.acts.append(until_cancelled)
    job = submit(service)
    until(lambda: service.get(job).state == "running", "the job running")
    began = time.monotonic()
    service.cancel(job)
    assert list(service.events(job))[-1].data["state"] == "cancelled"
    assert time.monotonic() - began < 2


def test_a_stopped_service_hands_its_job_to_the_next(tmp_path: Path) -> None:
    first = Stage()
    first.acts.append(until_cancelled)
    with JobService(tmp_path, executor=lambda log: first) as service:
        job = submit(service)
        until(lambda: service.get(job).state == "running", "the job running")
    bystander = JobService(tmp_path, executor=lambda log: Stage(), adopt=False)
    with bystander:
        assert bystander.get(job).state == "queued"
        assert [event.type for event in bystander.recent_events(job)[0]] == ["state"] * 3
    with JobService(tmp_path, executor=lambda log: Stage()) as service:
        assert list(service.events(job))[-1].data["state"] == "done"


def test_an_answer_goes_to_the_job_that_asked(service: JobService, stage: Stage) -> None:
    def ask(stage: Stage, folder: Path) -> None:
        stage.report(Report("question", {"title": "Which?"}))
        stage.wait_for(lambda: bool(stage.answers))

    stage.acts.append(ask)
    job = submit(service)
    with pytest.raises(Problem, match="input-not-expected"):
        service.answer(submit(service), {})
    until(lambda: service.get(job).state == "needs_input", "the question")
    with pytest.raises(Problem, match="request-too-large"):
        service.answer(job, {"text": "x" * 2_000_000})
    assert service.answer(job, {"choice": 1}).state == "running"
    assert list(service.events(job))[-1].data["state"] == "done"
    assert stage.answers == [{"choice": 1}]


def test_an_answer_that_comes_while_the_job_is_put_aside_is_not_lost(service: JobService, stage: Stage) -> None:
    question = {"title": "Which?"}
    given: list[dict[str, Any]] = []

    def ask_and_make_room(stage: Stage, folder: Path) -> None:
        stage.report(Report("question", question))
        service.answer(folder.name, {"choice": 1})
        raise Parked

    def ask_again(stage: Stage, folder: Path) -> None:
        given.append(Answers(folder, lambda question: pytest.fail("it was answered"))(question))

    stage.acts += [ask_and_make_room, ask_again]
    job = submit(service)
    assert list(service.events(job))[-1].data["state"] == "done"
    assert given == [{"choice": 1}]


def test_each_question_gets_its_own_answer_in_the_order_of_asking(tmp_path: Path) -> None:
    def fresh(question: dict[str, Any]) -> dict[str, Any]:
        return {"fresh": question}

    for question, answer in ((1, "again"), (2, "again"), (1, "this one")):
        add_answer(tmp_path, {"q": question}, {"a": answer})
    answers = Answers(tmp_path, fresh)
    said = [answers({"q": question}) for question in (1, 2, 1, 1)]
    assert said == [{"a": "again"}, {"a": "again"}, {"a": "this one"}, {"fresh": {"q": 1}}]
    parted = Answers(tmp_path, fresh)
    assert [parted({"q": 3}), parted({"q": 2})] == [{"fresh": {"q": 3}}, {"fresh": {"q": 2}}]


@pytest.mark.parametrize("job", ["", ".", "..", "../x", "a" * 23, "A" * 24, "a" * 24 + "\n", "a" * 23 + "/", "\0" * 24])
def test_what_is_no_id_reaches_no_file(service: JobService, job: str) -> None:
    for use in (service.get, service.cancel, service.delete, lambda job: service.file(job, "scene.glb")):
        with pytest.raises(Problem, match="job-not-found"):
            use(job)


@pytest.mark.parametrize("name", ["", ".", "..", "../request.json", "../../jobs.sqlite3", "/etc/passwd", "scene.glb\0"])
def test_only_listed_names_are_files(service: JobService, name: str) -> None:
    job = submit(service)
    list(service.events(job))
    assert service.file(job, "scene.glb").read_bytes() == b"glTF"
    with pytest.raises(Problem, match="file-not-found"):
        service.file(job, name)


def test_a_forgotten_job_leaves_no_files(service: JobService, tmp_path: Path) -> None:
    job = submit(service)
    list(service.events(job))
    service.delete(job)
    assert not (tmp_path / "jobs" / job).exists()
    assert service.list() == []


def test_only_old_rubbish_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with JobService(tmp_path, executor=lambda log: Stage()) as service:
        job = submit(service)
        list(service.events(job))
    root = tmp_path / "jobs"
    for name in ("1" * 24, "2" * 24, "3" * 24 + ".partial", "4" * 24, "something else"):
        (root / name / "output").mkdir(parents=True)
    (root / ("2" * 24) / "output" / "result.json").write_text("{}")  # its row was lost, not its result
    JobService(tmp_path, executor=lambda log: Stage()).folders.sweep({job}.__contains__)
    assert len(list(root.iterdir())) == 6, "what is new may be somebody's submission"
    monkeypatch.setattr(folders, "ABANDONED_SECONDS", -1.0)
    with JobService(tmp_path, executor=lambda log: Stage()):
        assert {path.name for path in root.iterdir()} == {job, "2" * 24, "something else"}


def test_an_idle_executor_rests(tmp_path: Path, stage: Stage) -> None:
    with JobService(tmp_path, executor=lambda log: stage, idle_seconds=0.05) as service:
        service.warm()
        until(lambda: stage.state == WorkerState.READY, "the executor being warm")
        until(lambda: stage.state == WorkerState.ASLEEP, "the executor resting")
        list(service.events(submit(service)))
        until(lambda: stage.state == WorkerState.ASLEEP, "the executor resting again")


def test_looking_needs_no_lock_and_submitting_does(tmp_path: Path) -> None:
    service = JobService(tmp_path)
    assert service.list() == []
    assert not (tmp_path / "owners").exists()
    with pytest.raises(RuntimeError, match="start"):
        submit(service)
    service.stop()


def test_jobs_wait_while_no_worker_starts_and_run_once_one_does(service: JobService, stage: Stage) -> None:
    problem = Problem("worker-start-failed", "It does not start.", "Look after it.")
    stage.cooling = Cooling(problem, time.monotonic() + 3600.0)
    tried: list[Cooling | None] = []

    def warm() -> None:
        tried.append(stage.cooling)
        stage.cooling = None if len(tried) == 2 else Cooling(problem, time.monotonic() + 0.1)

    stage.warm = warm  # type: ignore[method-assign]
    jobs = [submit(service) for _ in range(5)]
    views = service.list()
    assert {view.state for view in views} == {"queued"}
    assert all(view.waiting and view.waiting.detail == "It does not start." for view in views)
    stage.cooling = Cooling(problem, time.monotonic())  # the time has come; the next job wakes who looks for it
    jobs.append(submit(service))
    for job in jobs:
        assert list(service.events(job))[-1].data["state"] == "done"
    assert len(tried) == 2, "a worker is started without risking a job"
    assert service.get(jobs[0]).waiting is None


def test_what_is_gone_from_a_job_is_a_sentence(service: JobService, stage: Stage, tmp_path: Path) -> None:
    def ask(stage: Stage, folder: Path) -> None:
        stage.report(Report("question", {"title": "Which?"}))
        stage.wait_for(lambda: bool(stage.answers))

    stage.acts += [ask, ask]
    first, second = submit(service), submit(service)
    until(lambda: service.get(first).state == "needs_input", "the question")
    (tmp_path / "jobs" / first / "answers.json").write_text("[{]")
    with pytest.raises(Problem, match="inputs-gone"):
        service.answer(first, {"choice": 1})
    shutil.rmtree(tmp_path / "jobs" / first)
    with pytest.raises(Problem, match="inputs-gone"):
        service.answer(first, {"choice": 1})
    assert not (tmp_path / "jobs" / first).exists()
    with pytest.raises(Problem, match="inputs-gone"):
        service.again(first, AgainRequest())
    stage.answers.append({})
    stage.changed.set()
    assert list(service.events(first))[-1].data["state"] == "done"
    service.cancel(second)


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[1]", '[{"question": 1, "answer": {}}]', '[{"question": "a"}]', "[" * 9999]
)
def test_damaged_answers_are_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "answers.json").write_text(text)
    with pytest.raises(Problem, match="damaged"):
        Answers(tmp_path, lambda question: {})


def test_a_list_that_is_gone_is_noticed(service: JobService, tmp_path: Path) -> None:
    submit(service)
    for path in tmp_path.glob("jobs.sqlite3*"):
        path.unlink()
    for use in (service.list, lambda: service.get("a" * 24), lambda: submit(service), lambda: service.queued):
        with pytest.raises(Problem, match="data-gone"):
            use()
