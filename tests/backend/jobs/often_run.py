"""What the pipeline of `often_pipeline` does: each message begins with the process that tells it."""

from __future__ import annotations

import os
from typing import Any

from backend.contract import Progress
from backend.pipelines.context import Context
from backend.pipelines.magic123 import Magic123Parameters, shaping
from backend.pipelines.magic123.run import run as magic123
from backend.scene import Scene
from backend.shot import Shot


def run(shot: Shot, parameters: Magic123Parameters, context: Context) -> Scene:
    report = context.report

    def told(news: Any) -> None:
        if isinstance(news, Progress):
            news = news.model_copy(update={"message": f"pid {os.getpid()} {news.message}"})
        report(news)

    shaping.CHECKPOINT_SECONDS = 0.0
    context.report = told
    return magic123(shot, parameters, context)
