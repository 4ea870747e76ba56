"""What is done with the models: download, pause, verify, remove. While something is being done with one, the backend is
asked again and again how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import bpy

from ..ground.messages import SetDresserError, as_error
from ..state.models import DOWNLOADING, PARTIAL, READY, Model, Models
from ..wire.client import Client
from ..wire.http_exchange import Exchange
from ..wire.tasks import Steps
from . import server_life
from .line import Line

LOOK_SECONDS = 0.7
"""Between two looks while something is being done."""


# what the backend tells


def listener(line: Line) -> Callable[[Iterable[Mapping[str, Any]]], None]:
    """What takes the answer of a GET /models that is asked for now. Where a button's answer comes first, the list's
    word on that model is out of date and does not count."""
    models = line.desk.models
    asked = models.moment

    def hear(descriptions: Iterable[Mapping[str, Any]]) -> None:
        take(line, [each for each in descriptions if models.acted.get(str(each["id"]), 0) <= asked])

    return hear


def take(line: Line, descriptions: Iterable[Mapping[str, Any]]) -> None:
    """The list of GET /models, or some of it. While something is being done it is asked for again."""
    models = line.desk.models
    came = {model.id: model for model in map(Model.of_description, descriptions)}
    before, models.known = models.known, {**models.known, **came}
    changed = any((before[key].state == READY) != (models.known[key].state == READY) for key in before)
    if models.busy and models.follower is None:
        models.follower = _follow(line)
        line.begin(models.follower, line.report)
    if changed:  # what can run is told by the other lists
        line.refresh()
    line.desk.changed()


def _follow(line: Line) -> Steps[None]:
    models = line.desk.models
    try:
        while models.busy:
            models.pausing = True
            yield from line.tasks.pause(LOOK_SECONDS)
            models.pausing = False
            client = line.desk.server.client
            if client is None:  # a server that has gone does nothing any more, and is not started for this
                return
            hear = listener(line)
            hear((yield from line.finish(client.models())))
    finally:
        models.pausing, models.follower = False, None
        _settle(models)


def _settle(models: Models) -> None:
    """Nobody looks any more, so nothing is known to be done; what has come stays."""
    for key, model in models.known.items():
        if model.busy:
            state = PARTIAL if model.state == DOWNLOADING else model.state
            models.known[key] = replace(model, state=state, doing="", bytes=model.present)


# what the user wants


def download(line: Line, identifier: str, accept_licence: bool) -> Steps[None]:
    """Begin, or go on; returns the task, which ends when the backend has answered, as all of these do.

    Raises SetDresserError if Blender must not go online.
    """
    if not line.desk.studio and not bpy.app.online_access:
        hint = (
            "Switch on Preferences > System > Network > Allow Online Access, or put the files into the folder of "
            "models by hand. What has been downloaded needs no network."
        )
        raise SetDresserError("Blender is not allowed to go online to fetch models.", hint, "offline")
    server_life.catch_up(line)
    return _act(line, identifier, lambda client: client.get_model(identifier, accept_licence))


def pause(line: Line, identifier: str) -> Steps[None]:
    return _act(line, identifier, lambda client: client.pause_model(identifier))


def verify(line: Line, identifier: str) -> Steps[None]:
    return _act(line, identifier, lambda client: client.verify_model(identifier))


def remove(line: Line, identifier: str) -> Steps[None]:
    return _act(line, identifier, lambda client: client.remove_model(identifier))


def _act(line: Line, identifier: str, ask: Callable[[Client], Exchange]) -> Steps[None]:
    models = line.desk.models

    def failed(error: Exception) -> None:
        models.problems[identifier] = as_error(error)
        line.desk.changed()

    models.problems.pop(identifier, None)
    return line.begin(_ask(line, identifier, ask), failed)


def _ask(line: Line, identifier: str, ask: Callable[[Client], Exchange]) -> Steps[None]:
    models = line.desk.models
    description = yield from line.ask(ask)
    models.moment += 1
    models.acted[identifier] = models.moment
    take(line, [description])
    models.agreed.discard(identifier)
