"""What a job shows while it runs: a picture per slot, which the job paints over again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_SLOTS, LONGEST_CAPTION = 16, 200
"""As many slots, and characters below one, as a backend of this contract tells of."""


@dataclass(frozen=True)
class Preview:
    """One slot as the server tells of it.

    slot: which of the job's pictures it is, like "surface".
    revision: grows with each picture of the job.
    caption: what to write below it.
    file: what the server calls the picture.
    """

    slot: str
    revision: int
    caption: str
    file: str


def add(known: dict[str, Preview], document: Mapping[str, Any]) -> None:
    """Take in what an event tells: what is told last comes last. What cannot be understood is no preview, and what is
    older than the picture that is known of its slot came late."""
    slot, revision, file = (document.get(name) for name in ("slot", "revision", "file"))
    if not (isinstance(slot, str) and type(revision) is int and isinstance(file, str)):
        return
    if (former := known.get(slot)) is None and len(known) >= MOST_SLOTS:
        return
    if former is None or revision > former.revision:
        known.pop(slot, None)
        caption = " ".join(str(document.get("caption") or "").split())
        known[slot] = Preview(slot, revision, caption[:LONGEST_CAPTION], file)


def of_descriptions(documents: Any) -> dict[str, Preview]:
    """By slot, out of what the server's list says about a job."""
    known: dict[str, Preview] = {}
    for document in documents if isinstance(documents, list) else ():
        if isinstance(document, dict):
            add(known, document)
    return dict(sorted(known.items(), key=lambda item: item[1].revision))


def newest(known: Mapping[str, Preview]) -> Preview | None:
    """The one that was painted last; None if there is none."""
    return next(reversed(list(known.values())), None)
