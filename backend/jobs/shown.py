"""What everyone may see of a job: its row, why it waits, and what can be asked of it."""

from __future__ import annotations

from backend.contract import JobState, JobView
from backend.jobs import retention
from backend.jobs.at_work import AtWork
from backend.jobs.folders import JobFolders
from backend.jobs.rows import StoredJob
from backend.pipelines import PIPELINES


def shown(stored: StoredJob, folders: JobFolders, at_work: AtWork | None) -> JobView:
    """The view of a row. at_work: the service that shows it, if that was started; of its own jobs it knows more."""
    view = stored.view
    mine = at_work is not None and stored.owner == at_work.owner
    incomplete = view.state.ended and (view.state != JobState.DONE or view.finished_early)
    known = {
        "waiting": at_work.waiting(view.position) if at_work and mine and view.state == JobState.QUEUED else None,
        "can_finish": view.state == JobState.RUNNING and not stored.finish and finishes_early(view),
        "can_continue": incomplete and folders.reached(view.id) > 0,
        "fetched": view.state.ended and retention.was_fetched(folders, view.id),
    }
    return view.model_copy(update=known)


def finishes_early(view: JobView) -> bool:
    """Whether the job's method can end with less than all its work."""
    info = PIPELINES.get(view.pipeline)
    return info is not None and info.finishes_early
