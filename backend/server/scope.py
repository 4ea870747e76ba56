"""The jobs as one user sees them: one's own; an administrator's are everybody's.

Every route goes through here. A job of somebody else is one that is not there: the same answer, found in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.contract import AgainRequest, GenerateRequest, JobView, OutlineFiles
from backend.errors import Problem
from backend.jobs.retention import Usage
from backend.jobs.rows import unknown
from backend.jobs.service import JobService
from backend.jobs.submission import submission, submission_again
from backend.server.shares import Shares
from backend.server.users import User


class JobsOf:
    """The jobs of one user. Whatever takes the id of a job raises Problem("job-not-found") for any that is not seen.

    most_waiting: how many jobs of a user may wait; None for no limit.
    """

    def __init__(self, service: JobService, user: User, shares: Shares, most_waiting: int | None) -> None:
        self._service = service
        self._user = user
        self._shares = shares
        self._most_waiting = most_waiting

    @property
    def user(self) -> User:
        """Who asks."""
        return self._user

    def check(self, job: str) -> str:
        """Whose job it is, if it is there to be seen."""
        owner = self._service.user_of(job)
        if not self._sees(owner):
            raise unknown(job)
        return owner

    def _sees(self, owner: str) -> bool:
        return self._user.administrator or owner == self._user.name

    def submit(
        self,
        request: GenerateRequest,
        images: list[bytes],
        instances: bytes | None,
        depth: bytes | None,
        outlines: Sequence[OutlineFiles],
        *,
        key: str | None = None,
    ) -> JobView:
        """As `JobService.submit`, or the job that one has asked for by the same `key` before. Raises
        Problem("queue-full", "share-used-up", "key-reused"), too."""
        asked = None if key is None else submission(key, request, images, instances, depth, outlines)
        if asked is not None and (former := self._service.asked_before(self._user.name, asked)) is not None:
            return former
        self._check_queue()
        layers = [part for layer in outlines for part in layer if part is not None]
        self._shares.check(self._user.name, sum(map(len, (*images, instances or b"", depth or b"", *layers))))
        return self._service.submit(request, images, instances, depth, outlines, user=self._user.name, asked=asked)

    def again(self, job: str, changes: AgainRequest, *, key: str | None = None) -> JobView:
        """As `JobService.again`; the new job is that of whoever asks. `key` and Problems as for `submit`, too."""
        asked = None if key is None else submission_again(key, job, changes)
        if asked is not None and (former := self._service.asked_before(self._user.name, asked)) is not None:
            return former
        self.check(job)
        self._check_queue()
        self._shares.check(self._user.name, 0)
        return self._service.again(job, changes, user=self._user.name, asked=asked)

    def _check_queue(self) -> None:
        if self._most_waiting is not None and (waiting := self.waiting) >= self._most_waiting:
            raise Problem("queue-full", f"{waiting} of your jobs wait, and {self._most_waiting} may.")

    def newest(self, limit: int, before: str | None, ended: bool | None = None) -> list[JobView]:
        """As `JobService.list`, those that are seen."""
        if before is not None:
            self.check(before)
        return self._service.list(limit, before, None if self._user.administrator else self._user.name, ended)

    def get(self, job: str) -> JobView:
        self.check(job)
        return self._service.get(job)

    def cancel(self, job: str) -> JobView:
        self.check(job)
        return self._service.cancel(job)

    def finish(self, job: str) -> JobView:
        self.check(job)
        return self._service.finish(job)

    def prioritise(self, job: str, priority: int) -> JobView:
        self.check(job)
        return self._service.prioritise(job, priority)

    def go_on(self, job: str) -> JobView:
        """As `JobService.go_on`. Raises Problem("queue-full", "share-used-up"), too."""
        self.check(job)
        self._check_queue()
        self._shares.check(self._user.name, 0)
        return self._service.go_on(job)

    def delete(self, job: str) -> None:
        owner = self.check(job)
        self._service.delete(job)
        self._shares.forget(owner)

    def answer(self, job: str, answer: dict[str, Any]) -> JobView:
        self.check(job)
        return self._service.answer(job, answer)

    def file(self, job: str, name: str, *, taken: bool = True) -> Path:
        self.check(job)
        return self._service.file(job, name, taken=taken)

    def first_picture(self, job: str) -> Path | None:
        """As `JobService.first_picture`."""
        self.check(job)
        return self._service.first_picture(job)

    def take(self, job: str, name: str) -> None:
        """As `JobService.take`, of a file that `file` has given."""
        self._service.take(job, name)

    def usage(self) -> Usage:
        """What they hold of the disk."""
        return self._service.usage(None if self._user.administrator else self._user.name)

    @property
    def waiting(self) -> int:
        """How many of one's own jobs wait."""
        return self._service.queued_of(self._user.name)

    def seen(self, jobs: Sequence[str | None]) -> list[str | None]:
        """Of several jobs those that are seen; None for each other."""
        return [job if job is not None and self._is_seen(job) else None for job in jobs]

    def _is_seen(self, job: str) -> bool:
        try:
            return self._sees(self._service.user_of(job))
        except Problem as problem:
            if problem.code != "job-not-found":
                raise
            return False  # it was removed at this very moment


def check_administrator(user: User) -> None:
    """Raises Problem("not-allowed") for anybody else."""
    if not user.administrator:
        raise Problem("not-allowed", f"'{user.name}' is no administrator of this server.")
