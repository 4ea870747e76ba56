"""The batches: a line each, and below it, unfolded, what has become of their parts."""

from __future__ import annotations

import bpy

from ...state import batch as state
from ...state import desk, listing
from ...state.batch import Batch, Entry
from .fields import is_narrow
from .jobs import JOB_ICONS
from .running import progress_text
from .text import draw_text

SHOWN = 3
"""Batches that have ended and are still in the panel; those that have not all are."""

ENDS = ("done", "failed", "cancelled", "left out", "removed")
"""What a part of a batch may have come to."""

PARTS = 12
"""Of a batch, in the panel; the contact sheet has all."""

ICONS = {
    **JOB_ICONS,
    "waiting": "SORTTIME",
    "queued": "SORTTIME",
    "resting": "PAUSE",
    "running": "PLAY",
    "needs_input": "QUESTION",
    "left out": "ERROR",
}
FIRST = ("needs_input", "running", "failed", "left out")
"""What is shown before the rest where there is no room for all."""


def draw_batches(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Those that have not ended, and the last ones that have."""
    over = 0
    for batch in desk.current.batches.values():
        ended = has_ended(batch)
        over += ended
        if not ended or over <= SHOWN:
            _draw_batch(layout.box(), context, batch)


def has_ended(batch: Batch) -> bool:
    """Whether nothing happens to it any more by itself, and nothing is left to be done."""
    counts = listing.counted(desk.current, batch)
    open_ones = counts.total() - sum(counts[name] for name in ENDS)
    return batch.task is None and (batch.cancelled or (batch.ended and not open_ones))


def _draw_batch(box: bpy.types.UILayout, context: bpy.types.Context, batch: Batch) -> None:
    ended = has_ended(batch)
    row = box.row(align=True)
    icon = "TRIA_DOWN" if batch.unfolded else "TRIA_RIGHT"
    row.operator("set_dresser.unfold_batch", text="", icon=icon, emboss=False).batch = batch.id
    row.label(text=batch.name, translate=False)
    if (not ended and batch.task is not None) or _runs(batch):
        row.operator("set_dresser.pause_batch", text="", icon="PAUSE").batch = batch.id
    elif _can_go_on(batch):
        row.operator("set_dresser.continue_batch", text="", icon="PLAY").batch = batch.id
    if ended:
        row.operator("set_dresser.remove_batch", text="", icon="TRASH").batch = batch.id
    else:
        row.operator("set_dresser.cancel_batch", text="", icon="X").batch = batch.id
    if ended:
        draw_text(box, context, counted_text(batch))
    else:
        box.progress(factor=fraction(batch), text=batch.message if batch.message and _fits(context) else _short(batch))
    if batch.problem is not None and batch.problem is not desk.current.problem:
        draw_text(box, context, batch.problem.message, icon="ERROR")
        draw_text(box, context, batch.problem.hint)
    if batch.entries:
        box.operator("set_dresser.open_contact_sheet", icon="RENDERLAYERS").batch = batch.id
    if batch.unfolded:
        _draw_parts(box.column(align=True), context, batch)


def _fits(context: bpy.types.Context) -> bool:
    return not is_narrow(context)


def _runs(batch: Batch) -> bool:
    """Whether jobs of it wait or run, and none of them was told to rest."""
    counts = listing.counted(desk.current, batch)
    return bool(counts["queued"] or counts["running"]) and not batch.paused and not batch.cancelled


def _can_go_on(batch: Batch) -> bool:
    """Whether there is something that going on would do; a pause ends with it even before its jobs have heard of it."""
    counts = listing.counted(desk.current, batch)
    if batch.paused and not has_ended(batch):
        return True
    rest = counts["resting"] + counts["waiting"] + counts["failed"] + counts["cancelled"] + counts["left out"]
    return bool(rest or batch.untaken or batch.choosing or listing.not_here(desk.current, batch))


def fraction(batch: Batch) -> float:
    """How much of all of it is done; as long as there are pictures to take, of these."""
    if batch.message:
        return batch.fraction
    if batch.untaken or batch.choosing:
        return 1.0 - len(batch.untaken) / len(batch.shots)
    records = [desk.current.jobs.get(entry.job) for entry in batch.entries]
    done = sum(
        entry.outcome == "done" if record is None else float(record.ended) or record.fraction
        for entry, record in zip(batch.entries, records, strict=True)
    )
    return done / max(len(batch.entries), 1)


def _short(batch: Batch) -> str:
    if batch.message:
        taken = sum(shot.state != state.WAITING for shot in batch.shots)
        return f"Picture {taken + 1} of {len(batch.shots)}"
    if batch.untaken or batch.choosing:
        return f"{len(batch.untaken)} of {len(batch.shots)} pictures to take"
    return ("Paused, " if batch.paused else "") + counted_text(batch)


def counted_text(batch: Batch) -> str:
    """Like "7 of 12 done, 1 failed, 2 not in this file"."""
    counts = listing.counted(desk.current, batch)
    parts = [f"{counts['done']} of {len(batch.entries)} done"]
    for name, word in (("needs_input", "asks"), ("failed", "failed"), ("left out", "left out")):
        if counts[name]:
            parts.append(f"{counts[name]} {word}")
    if missing := listing.not_here(desk.current, batch):
        parts.append(f"{missing} not in this file")
    return ", ".join(parts)


def _draw_parts(column: bpy.types.UILayout, context: bpy.types.Context, batch: Batch) -> None:
    states = [(entry, listing.entry_state(desk.current, entry)) for entry in batch.entries]
    if len(states) > PARTS:
        states = sorted(states, key=lambda pair: pair[1] not in FIRST)
    for entry, what in states[:PARTS]:
        row = column.row()
        row.label(text=listing.entry_title(batch, entry), icon=ICONS.get(what, "NONE"), translate=False)
        if not is_narrow(context):
            side = row.row()
            side.alignment = "RIGHT"
            side.active = False
            side.label(text=_state_text(entry, what))
        if entry.problem is not None:
            draw_text(column, context, entry.problem.message)
    if len(states) > PARTS:
        column.label(text=f"and {len(states) - PARTS} more")
    for shot in batch.shots:
        if shot.problem is not None and not any(batch.shots[entry.shot] is shot for entry in batch.entries):
            draw_text(column, context, f"{shot.name}: {shot.problem.message}", icon="ERROR")
    for reason in list(dict.fromkeys(why for entry in batch.entries for why in entry.reasons))[:PARTS]:
        draw_text(column, context, reason)
    if missing := state.unseen(batch):
        draw_text(column, context, f"No camera sees {', '.join(missing)}", icon="INFO")


def _state_text(entry: Entry, what: str) -> str:
    record = desk.current.jobs.get(entry.job)
    if record is None or record.ended or what == "resting":
        return "Paused" if what == "resting" else what.capitalize()
    return progress_text(record).rpartition(", ")[0] or progress_text(record)
