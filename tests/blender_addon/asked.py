"""Questions as the tests' pipelines ask them."""

from __future__ import annotations

import json
from typing import Any

from blender_addon import session
from blender_addon.answers import thumbnails
from blender_addon.answers.questions import Question
from tests.blender_addon.pumping import pump_until


def shown(job: Any) -> Question:
    """The question of a job, when all its pictures are there."""
    record = session.current.desk.jobs[job.id]

    def complete() -> bool:
        question = record.question
        return question is not None and all(thumbnails.icon(question.key, file) is not None for file in question.files)

    pump_until(complete, "the pictures")
    return record.question


def answers(job: Any) -> list[Any]:
    """What the pipeline heard."""
    (message,) = (warning["message"] for warning in job.warnings if warning["code"] == "answers")
    return json.loads(message)
