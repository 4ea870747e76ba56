"""A process that renders objects one after the other, as the lines on its standard input say.

Each line is a JSON object with one member, and each is answered by one object: with `broken`, a sentence, if the model
cannot be used, with `impossible` if this Blender cannot do what is asked. The first answer, `ready`, comes unasked.
What Blender prints goes to standard error. The process ends with its input, whatever it is at: nobody waits then.

- `{"open": {"file", "span", "rotation", "size", "opaque", "triangles"}}` → `{"box", "matrix", "count", "missing"}`,
  with the triangles in the .npy file that is named
- `{"render": {…, "light", "views": [{"pose", "focal", "file"}]}}` → `{"views": number}`, of what was opened before
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import bpy
import numpy as np
from bpy.types import Object

from training.blender import importing, lighting, rendering, surfaces


class Room:
    """What is open: the scene of one object."""

    def __init__(self) -> None:
        self.objects: list[Object] = []

    def open(self, job: dict[str, Any]) -> dict[str, Any]:
        """Loads a model into a scene of its own, upright, centred and scaled."""
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.objects = importing.load(Path(job["file"]))
        matrix, triangles = importing.normalise(self.objects, job["span"], job["rotation"], job["size"])
        missing = surfaces.mend(self.objects, job["opaque"])
        np.save(job["triangles"], triangles)
        corners = triangles.reshape(-1, 3)
        box = [corners.min(0).tolist(), corners.max(0).tolist()]
        return {"box": box, "matrix": matrix.tolist(), "count": len(triangles), "missing": missing}

    def render(self, job: dict[str, Any]) -> dict[str, Any]:
        """Renders what is open from every side that is asked for."""
        scene = bpy.context.scene
        camera = rendering.prepare(scene, job)
        lighting.light(scene, job["light"])
        for view in job["views"]:
            rendering.render(camera, view, Path(view["file"]))
        return {"views": len(job["views"])}


def answer_all() -> None:
    """Answers on what was standard output; that is standard error from now on."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)

        def say(answer: dict[str, Any]) -> None:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()

        say({"ready": bpy.app.version_string})
        room = Room()
        lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=_read, args=(lines,), daemon=True).start()
        while True:
            ((name, job),) = json.loads(lines.get()).items()
            try:
                say({"open": room.open, "render": room.render}[name](job))
            except importing.Broken as error:
                say({"broken": str(error)})
            except FileNotFoundError as error:
                say({"impossible": str(error)})


def _read(lines: SimpleQueue[str]) -> None:
    """Whoever asks holds the other end. When it is gone, so is the reason to go on, even amid a picture."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)
