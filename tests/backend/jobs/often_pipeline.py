"""Magic123 with a checkpoint as often as its pace allows: SET_DRESSER_PLUGINS=tests.backend.jobs.often_pipeline."""

from __future__ import annotations

from dataclasses import replace

from backend.pipelines.magic123 import MAGIC123

OFTEN = replace(MAGIC123, id="magic123-often", entry="tests.backend.jobs.often_run:run")
PIPELINES = [OFTEN]
