"""What jobs ask: shown with its pictures, and answered."""

from __future__ import annotations

from typing import Any

from ..answers import asking, drafts, thumbnails
from ..answers.questions import Question
from ..state.job import JobRecord
from ..wire.tasks import Steps
from . import results
from .line import Line


def show(line: Line) -> None:
    """Begin to show what is asked, and end to show what is not asked any more."""
    jobs = line.desk.jobs.values()
    waiting = [(record, record.question) for record in jobs if record.question is not None]
    asked = {question.key: question for _, question in waiting}
    asking.keep(asked, {record.id for record in jobs if record.ended})
    thumbnails.keep(asked)
    for record, question in waiting:
        if not question.shown:
            question.shown = True
            line.tasks.start(_fetch_pictures(line, record, question), question.fail)


def _fetch_pictures(line: Line, record: JobRecord, question: Question) -> Steps[None]:
    """Have the pictures that a question mentions in the job's folder, and small ones of them for the panel."""
    for name in question.files:
        path = results.picture_path(question, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield from line.patiently(lambda client, name=name, path=path: client.download(record.id, name, path))  # type: ignore[misc]
        thumbnails.load(question.key, name, path)
        line.desk.changed()


def answer(line: Line, record: JobRecord, given: dict[str, Any]) -> None:
    """Answer what a job asks."""
    question = record.question
    if question is not None and not question.sending:
        line.begin(_send(line, record, question, given), question.fail)


def _send(line: Line, record: JobRecord, question: Question, given: dict[str, Any]) -> Steps[None]:
    """If the server refuses the answer, the question stays and says why."""
    question.sending, question.problem = True, None
    try:
        yield from line.ask(lambda client: client.answer(record.id, given))
        drafts.answered(record.id, given)
        if record.question is question:  # the events may have told more by now
            record.go_on()
    finally:
        question.sending = False
        line.desk.changed()
