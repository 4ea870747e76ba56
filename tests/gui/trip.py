"""What the steps of a journey share: the Blender of the moment, where pictures go, and what was measured."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gui.blender import Blender
from tests.gui.display import Display
from tests.gui.machine import STAGE, Machine, unhurried, until
from tests.gui.root import PROJECT

PLUGINS = ("box_pipeline", "asking_pipeline", "photo_pipeline", "views_pipeline", "long_pipeline")
ENDED = ("done", "failed", "cancelled")

FRAME_MOST, FRAME_USUAL = 0.050, 0.016
"""Seconds: no frame over the first because of the add-on, and 95 % under the second."""


@dataclass
class Trip:
    """One journey through one Blender.

    machine, display: where it takes place; folder: where its pictures go; archive: the add-on's zip;
    facts: what was measured, for the report; known: what later steps need of earlier ones.
    """

    machine: Machine
    display: Display
    folder: Path
    archive: Path
    facts: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    step: str = ""
    _blender: Blender | None = None
    _shots: int = 0

    @property
    def blender(self) -> Blender:
        assert self._blender is not None, "no Blender runs"
        return self._blender

    def start(self, *arguments: str, plugins: bool = True) -> Blender:
        """Another Blender for the same user."""
        self.close()
        variables = {"SET_DRESSER_PLUGINS": ",".join(PLUGINS)} if plugins else {}
        self._blender = Blender(self.machine, self.display, *arguments, **variables)
        return self._blender

    def close(self) -> None:
        if self._blender is not None:
            self._blender.close()
            self._blender = None

    def shot(self, name: str = "", as_it_is: bool = False) -> Path:
        """A picture of the screen, NN-step.png or NN-step-name.png; of an ill Blender `as_it_is`, not drawn anew."""
        self._shots += 1
        words = re.sub(r"\W+", "-", " ".join(part for part in (self.step, name) if part)).strip("-").lower()
        path = self.folder / f"{self._shots:02d}-{words}.png"
        if self._blender is not None and not self._blender.ended() and not as_it_is:
            self._blender.draw()
        self.display.shot(path)
        return path

    def show_panel(self) -> None:
        self.blender.wait("show_tab('Set Dresser')", "the tab of the add-on", 20.0)
        self.blender.ask("view_3d().tag_redraw()")

    def offer_here(self) -> None:
        """The environment of this checkout as what runs the backend, where the add-on cannot install its own."""
        self.use_python(f'exec "{sys.executable}"')

    def use_python(self, command: str) -> None:
        """A program that is the backend's Python and can import the tests' pipelines, named in the preferences."""
        plugins = self.machine.stage / "plugins"
        if not plugins.is_dir():
            shutil.copytree(PROJECT / "tests" / "blender_addon" / "plugin", plugins)
        program = self.machine.stage / "python"
        program.write_text(f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{STAGE}/plugins"\n{command} "$@"\n')
        program.chmod(0o755)
        self.set_preference("python_path", str(STAGE / "python"))

    def set_preference(self, name: str, value: Any) -> None:
        self.blender.ask(f"setattr(bpy.context.preferences.addons[ADDON].preferences, {name!r}, {value!r})")

    def expect_no_problem(self) -> None:
        """No step of the journey may leave an error in the panel."""
        if self._blender is not None and not self._blender.ended():
            told = self._blender.ask("desk().problem.report() if addon() and desk().problem else ''")
            assert told == "", f"the panel shows an error: {told}"

    # jobs

    def generate(self, pipeline: str, **parameters: Any) -> str:
        """Choose a pipeline, click Generate; the id of the job once the server has it."""
        lines = [f"scene = bpy.context.scene; scene.set_dresser.pipeline = {pipeline!r}"]
        holder = f"scene.set_dresser_{pipeline.replace('-', '_')}"
        lines += [f"setattr({holder}, {name!r}, {value!r})" for name, value in parameters.items()]
        before = {job["id"] for job in self.jobs()}
        self.blender.ask("\n".join(lines))
        self.blender.click("bpy.ops.set_dresser.generate(")
        return str(
            self.blender.wait(
                f"next((job['id'] for job in jobs() if job['id'] not in {before!r} and job['id'][:4] != 'new-'), '')",
                "the server has the job",
                60.0,
            )
        )

    def jobs(self) -> list[dict[str, Any]]:
        return list(self.blender.ask("jobs()"))

    def job(self, identifier: str) -> dict[str, Any]:
        """One of the list; {} if it is not there."""
        return next((job for job in self.jobs() if job["id"] == identifier), {})

    def wait_for(self, identifier: str, seconds: float, **values: Any) -> dict[str, Any]:
        """Until a job is as wanted; fails at once if it has ended otherwise."""

        def there() -> bool:
            job = self.job(identifier)
            otherwise = job.get("state") in ENDED and "state" in values and job["state"] != values["state"]
            assert not otherwise, f"the job is {job['state']}: {job['problem']}"
            return bool(job) and all(job[name] == value for name, value in values.items())

        until(there, f"a job with {values}", unhurried(seconds), 0.1)
        return self.job(identifier)

    def events(self, identifier: str) -> list[dict[str, Any]]:
        """What the job was like, one state after the other, as Blender saw it."""
        lines = (self.machine.stage / "events.jsonl").read_text().splitlines()
        return [job for line in lines for job in json.loads(line)["jobs"] if job["id"] == identifier]

    def build_room(self) -> None:
        self.blender.ask(f"sys.path.insert(0, {str(STAGE)!r}); import room; room.build(); room.look(view_3d())")
        self.blender.ask("bpy.ops.ed.undo_push(message='Block out')")
        self.blender.rest()


def in_sight(objects: dict[str, Any]) -> list[str]:
    """Names of those objects that can be seen."""
    return sorted(name for name, values in objects.items() if not any(values["hidden"]))
