"""A Blender of its own that installs: `python installing.py PLAN.json PROGRAM`; each prints one JSON line."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, os.environ["SET_DRESSER_ROOT"])
    import bpy

    import blender_addon
    from blender_addon import session
    from blender_addon.backend_process import setting_up
    from blender_addon.installer.plan import read_plan
    from tests.blender_addon.driven import tell

    plan = read_plan(json.loads(Path(sys.argv[1]).read_text()))
    setting_up.make_plan = lambda *arguments: plan
    bpy.context.preferences.system.use_online_access = True
    blender_addon.register()
    if sys.argv[2] == "install_until_killed":
        blender_addon.install(wait=False)
        tell(pid=session.current.desk.installation.pid)
        while True:
            time.sleep(min(session.pump(), 0.01))
    elif sys.argv[2] == "look":
        tell(**blender_addon.installation(), problem=session.current.desk.set_up_problem is not None)
    elif sys.argv[2] == "install":
        tell(**blender_addon.install(wait=True), problem=session.current.desk.set_up_problem is not None)
    elif sys.argv[2] == "leave":
        blender_addon.install(wait=False)
        tell(pid=session.current.desk.installation.pid)
