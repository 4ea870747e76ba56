"""A shot that is kept in a folder until it can be sent, also by another Blender: its files, and what is known of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ..ground.files import write_whole
from . import best_views
from .capture import Capture
from .intrinsics import CaptureError

NAME = "capture.json"
_ONE, _SEVERAL = ("image", "instances", "depth"), ("further", "outlines", "outline_depths")


def keep(shot: Capture, folder: Path) -> None:
    """Write down what is known of a shot whose files lie in the folder; a picture that lies elsewhere is copied there.
    Raises OSError."""
    once = {name: getattr(shot, name) for name in _ONE}
    document: dict[str, Any] = {name: path and _inside(path, folder) for name, path in once.items()}
    document |= {name: [_inside(path, folder) for path in getattr(shot, name)] for name in _SEVERAL}
    document |= {name: getattr(shot, name) for name in ("camera", "labels", "warnings", "photos")}
    document["views"] = {str(number): view.document() for number, view in shot.views.items()}
    write_whole(folder / NAME, json.dumps(document).encode())


def read(folder: Path) -> Capture:
    """What `keep` has kept. It knows nothing of Blender's objects.

    Raises CaptureError: if it is not there any more, or damaged.
    """
    try:
        document = json.loads((folder / NAME).read_bytes())
        paths = {name: document[name] and folder / document[name] for name in _ONE}
        paths |= {name: [folder / each for each in document[name]] for name in _SEVERAL}
        known = {name: document[name] for name in ("camera", "labels", "warnings", "photos")}
        views = {int(number): best_views.read(each) for number, each in document["views"].items()}
        shot = Capture(**paths, **known, views=views)
        complete = all(path.is_file() for files in shot.files.values() for path in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged() from error
    if not complete:
        raise _damaged()
    return shot


def _damaged() -> CaptureError:
    return CaptureError("The pictures that were taken are not there any more.", "Go on; they are taken anew.")


def _inside(path: Path, folder: Path) -> str:
    if not path.is_relative_to(folder):
        path = Path(shutil.copyfile(path, folder / f"picture{path.suffix}"))
    return path.relative_to(folder).as_posix()
