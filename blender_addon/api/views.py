"""Answers to a question for views, as Python calls.

job = set_dresser.generate(source="chair.png", pipeline="instantmesh", wait=True)
set_dresser.regenerate_views(job, photo=0, seed=7)
job.wait()
set_dresser.pick_views(job, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5)])
job.wait()
"""

from __future__ import annotations

from collections.abc import Iterable

from ..answers import picks as views
from ..answers.questions import Question
from ..ground.messages import SetDresserError
from . import jobs
from .jobs import Job
from .waiting import SHORT_TIMEOUT


def pick_views(
    job: Job | str,
    picks: Iterable[tuple[int, int]],
    *,
    wait: bool | None = None,
    timeout: float = SHORT_TIMEOUT,
) -> None:
    """Reconstruct from these views.

    Args:
        picks: a (photo, view) pair for each slot, in the order of the slots; both are counted from 0.
        wait, timeout: as in `answer`.

    Raises SetDresserError: if the job does not ask for views, a view is not there, and as `answer`.
    """
    jobs.answer(job, {"chosen": views.indices(_asked(job), picks)}, wait=wait, timeout=timeout)


def regenerate_views(
    job: Job | str,
    photo: int,
    seed: int | None = None,
    *,
    wait: bool | None = None,
    timeout: float = SHORT_TIMEOUT,
) -> None:
    """Have the views of one photo made anew; the job asks again then (`Job.wait`).

    Args:
        photo: counted from 0.
        seed: where chance starts from; the one after the photo's last seed if left out.
        wait, timeout: as in `answer`.

    Raises SetDresserError: as `pick_views`.
    """
    photos = len(_asked(job).photos)
    if not 0 <= photo < photos:
        hint = f"Photos are counted from 0 to {photos - 1}."
        raise SetDresserError(f"There is no photo {photo}.", hint, "answer-invalid")
    given = {"photo": photo} if seed is None else {"photo": photo, "seed": seed}
    jobs.answer(job, {"regenerate": given}, wait=wait, timeout=timeout)


def _asked(job: Job | str) -> Question:
    question = jobs.find_record(job).question
    if question is None or question.kind != "views":
        hint = "It may have gone on, or asks something else."
        raise SetDresserError("The job does not ask for views.", hint, "input-not-expected")
    return question
