"""Where a job was made, as the server keeps it for the add-on: the file, and what the job stands for in it, by name.

Session ids end with their Blender, so that a job from before a restart finds scene, layer, block-outs and props by name
and library, as everything does in a file that is opened again (`ground/references.py`). Nobody but the add-on reads
this, and it leaves this machine with nothing (`api/support_bundle.py` leaves it out).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..ground.references import Place, Reference

LARGEST = 4096
"""Bytes of JSON without spaces, in UTF-8; see docs/api.md."""


@dataclass(frozen=True)
class Origin:
    """What a job is about to need of the file it was made in; the members are those of `JobRecord`.

    file: as `references.this_file` tells it. batch: see `JobRecord`.
    """

    file: str
    place: Place
    block_outs: Mapping[int, Reference] = field(default_factory=dict)
    one_with: list[Reference] = field(default_factory=list)
    variant_of: Mapping[int, Reference] = field(default_factory=dict)
    import_when_done: bool = False
    hide_block_outs: bool = True
    keep_moves: bool = True
    height: float | None = None
    place_at: str | None = None
    batch: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON. What has no room is left out: first block-outs, the last ones before the others, as the label table
        of the result names them too; {} if even the rest has none."""
        place, block_outs = self.place, {str(number): written(each) for number, each in self.block_outs.items()}
        document: dict[str, Any] = {
            "file": self.file,
            "scene": written(place.scene),
            "layer": [text(place.layer), place.number, place.count],
            "block_outs": block_outs,
            "one_with": [written(each) for each in self.one_with],
            "variant_of": {str(number): written(each) for number, each in self.variant_of.items()},
            **{name: getattr(self, name) for name in _PLAIN},
            **({"batch": dict(self.batch)} if self.batch else {}),
        }
        while (excess := _size(document) - LARGEST) > 0 and block_outs:
            while excess > 0 and block_outs:
                excess -= _size(dict([block_outs.popitem()])) - 1
        return document if excess <= 0 else {}


_PLAIN = ("import_when_done", "hide_block_outs", "keep_moves", "height", "place_at")


def read(document: Any) -> Origin | None:
    """What `Origin.document` has written, with references as in a file opened again; None for anything else."""
    try:
        layer, number, count = document["layer"]
        return Origin(
            file=str(document["file"]),
            place=Place(read_reference(document["scene"]), str(layer), int(number), int(count)),
            block_outs={int(each): read_reference(name) for each, name in document["block_outs"].items()},
            one_with=[read_reference(name) for name in document["one_with"]],
            variant_of={int(each): read_reference(name) for each, name in document["variant_of"].items()},
            import_when_done=bool(document["import_when_done"]),
            hide_block_outs=bool(document["hide_block_outs"]),
            keep_moves=bool(document["keep_moves"]),
            height=None if document["height"] is None else float(document["height"]),
            place_at=None if document["place_at"] is None else str(document["place_at"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):  # another program's
        return None


def written(reference: Reference) -> str | list[str]:
    """A name, or a name and the library it is linked from."""
    name = text(reference.name)
    return [name, text(reference.library)] if reference.library else name


def read_reference(written: Any) -> Reference:
    name, library = (written, "") if isinstance(written, str) else written
    return Reference(0, str(name), str(library))


def text(name: str) -> str:
    """A name that can be sent, also of a file whose names are no text."""
    return name.encode("utf-8", "replace").decode("utf-8")


def batch_of(document: Any) -> dict[str, str]:
    """Of which batch a job is: {"id", "name", "item"}; {} if it is of none."""
    told = document.get("batch") if isinstance(document, Mapping) else None
    if not isinstance(told, Mapping) or not all(isinstance(told.get(name), str) for name in BATCH):
        return {}
    return {name: told[name] for name in BATCH}


BATCH = ("id", "name", "item")


def _size(document: dict[str, Any]) -> int:
    return len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
