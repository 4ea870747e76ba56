"""`python -I -S -B blender_addon/installer < request.json`: see the package."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

if not __package__:  # run by path: the folder that the package lies in becomes one that imports search
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "installer"

from .builds import choose
from .commands import Lifeline, join_job
from .events import tell
from .machine import find_machine
from .plan import read_plan
from .run import install, tidy_alone


def main() -> int:
    """The request: {"do": "look" | "install" | "tidy", "plan": as in plan.py}."""
    # Unbuffered: a thread that waits in a buffered one keeps Python from ending.
    lifeline_stream = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - open to the end
    request = json.loads(lifeline_stream.readline())
    join_job()
    lifeline = Lifeline()
    lifeline.watch(lifeline_stream)
    try:
        if request["do"] == "look":
            machine = find_machine()
            build, note = choose(machine)
            tell("machine", build=build, device=machine.device, note=note)
        elif request["do"] == "tidy":
            tidy_alone(read_plan(request["plan"]))
        else:
            install(read_plan(request["plan"]), lifeline)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side is told
        hint = "Look into the log, then try again; if it happens again, report it with the details."
        message = f"The installer failed ({type(error).__name__}: {error})."
        tell("failed", code="install-failed", message=message, hint=hint, details=traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
