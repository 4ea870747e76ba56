"""Waits for the add-on, which works only while somebody pumps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blender_addon import session

PATIENCE = 60.0


def pump_until(condition: Callable[[], Any], what: str) -> None:
    """Let the add-on work until something is so, as its timer would."""
    end = time.monotonic() + PATIENCE
    while not condition():
        delay = session.pump()
        assert time.monotonic() < end, f"{what} did not happen within {PATIENCE} s"
        time.sleep(min(delay, 0.01))


def start(addon: Any, picture: Path, **parameters: Any) -> Any:
    return addon.generate(source=picture, pipeline="test-box", parameters=parameters, wait=False)


def came(job: Any) -> dict[str, Any]:
    """What the pipeline says it got."""
    return json.loads(next(each["message"] for each in job.warnings if each["code"] == "photos"))
