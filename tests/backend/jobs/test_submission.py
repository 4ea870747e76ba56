"""A request that is sent again makes no second job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from backend.contract import AgainRequest, GenerateRequest, OutlineFiles
from backend.errors import Problem
from backend.jobs.service import JobService
from backend.jobs.submission import Submission, submission, submission_again
from tests.backend.jobs.test_service import REQUEST, Stage
from tests.backend.small_pictures import cut_out
from tests.backend.waiting import until

KEY = "a-key-of-mine"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[JobService]:
    with JobService(tmp_path, executor=lambda log: Stage()) as service:
        yield service


def asked(key: str = KEY, **changes: Any) -> Submission:
    return submission(key, REQUEST.model_copy(update=changes), [cut_out()])


def submit(service: JobService, how: Submission, user: str = "") -> str:
    return service.submit(REQUEST, [cut_out()], user=user, asked=how).id


def test_the_same_key_is_the_same_job_through_a_restart_until_it_is_forgotten(tmp_path: Path) -> None:
    with JobService(tmp_path, executor=lambda log: Stage()) as service:
        assert service.asked_before("", asked()) is None
        job = submit(service, asked())
        assert submit(service, asked()) == job
        assert [path.name for path in service.folders.root.iterdir()] == [job], "nothing is left of the second"
    with JobService(tmp_path, executor=lambda log: Stage()) as service:
        until(lambda: service.get(job).state == "done", "its end")
        found = service.asked_before("", asked(origin={"file": "elsewhere.blend"}))
        assert found is not None and (found.id, found.state) == (job, "done")
        service.delete(job)
        assert service.asked_before("", asked()) is None
        assert submit(service, asked()) != job


def test_another_request_with_the_key_is_a_sentence(service: JobService) -> None:
    job = submit(service, asked())
    for use in (service.asked_before, lambda user, how: submit(service, how)):
        with pytest.raises(Problem, match="another job was asked for before") as caught:
            use("", asked(seed=2))
        assert caught.value.code == "key-reused"
    assert [view.id for view in service.list()] == [job]
    assert [path.name for path in service.folders.root.iterdir()] == [job]


def test_users_have_keys_of_their_own(service: JobService) -> None:
    first = submit(service, asked(), user="anna")
    assert service.asked_before("ben", asked()) is None
    second = submit(service, asked(), user="ben")
    assert first != second and submit(service, asked(), user="anna") == first


def test_a_request_that_comes_over_eight_lines_at_once_makes_one_job(service: JobService) -> None:
    begin, made = Barrier(8), list[str]()

    def send() -> None:
        begin.wait(20)
        made.append(submit(service, asked()))

    threads = [Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 8 and len(set(made)) == 1
    assert [view.id for view in service.list()] == made[:1]


def test_everything_that_makes_a_difference_counts() -> None:
    one, two = b"one", b"two"
    plain = GenerateRequest(pipeline="inflate")
    layers = [OutlineFiles(one, None)]
    forms = [
        submission(KEY, plain, [one]),
        submission(KEY, plain, [one, two]),
        submission(KEY, plain, [two, one]),
        submission(KEY, plain, [one], two),
        submission(KEY, plain, [one], None, two),
        submission(KEY, plain, [one], None, None, layers),
        submission(KEY, plain, [one], None, None, [OutlineFiles(one, two)]),
        submission(KEY, plain.model_copy(update={"parameters": {"resolution": 64}}), [one]),
        submission(KEY, plain.model_copy(update={"name": "x"}), [one]),
        submission_again(KEY, "a" * 24, AgainRequest()),
        submission_again(KEY, "b" * 24, AgainRequest()),
        submission_again(KEY, "b" * 24, AgainRequest(seed=1)),
    ]
    assert len({each.digest for each in forms}) == len(forms)
    assert submission(KEY, plain.model_copy(update={"origin": {"a": 1}}), [one]) == forms[0]


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "with space", "ümläut-key", "new\nline-key", "key;drop-table"])
def test_what_is_no_key_is_a_sentence(key: str) -> None:
    with pytest.raises(Problem, match="is no key of a request"):
        submission(key, REQUEST, [])
