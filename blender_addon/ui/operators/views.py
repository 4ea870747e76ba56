"""Fill the slots of a sheet with generated views, or have those of a photo made anew"""

from __future__ import annotations

from typing import Any

import bpy

from ...answers import picks as arithmetic
from ...answers.picks import Picks
from ...answers.views import Views
from ...api import jobs as job_calls
from ...api import views as views_api
from ...ground.messages import SetDresserError
from ...state import desk
from .answer import ForQuestion

NO_VIEWS = "The job asks for no views like that."


class ForSlots(ForQuestion):
    """An operator on the slots of a "views" question."""

    bl_options = {"INTERNAL"}

    slot: bpy.props.IntProperty(name="Slot", description="Counted from 0", options={"HIDDEN", "SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> None:
        asked, draft = self.asked_for()
        asked.pick(draft, self.changed(asked.picks(draft)))
        desk.current.changed()

    def asked_for(self) -> tuple[Views, Any]:
        """What the question asks and the draft. Raises SetDresserError if there is no such slot."""
        asked, draft = self.drafted(Views, NO_VIEWS)
        if not 0 <= self.slot < len(asked.slots):
            raise SetDresserError(NO_VIEWS, "Look at the question.", "answer-invalid")
        return asked, draft

    def changed(self, picks: Picks) -> Picks:
        raise NotImplementedError


class SET_DRESSER_OT_pick_view(ForSlots, bpy.types.Operator):
    bl_idname = "set_dresser.pick_view"
    bl_label = "Pick View"
    bl_description = "Put this view into the next empty slot, or take it out of its slot"

    index: bpy.props.IntProperty(name="Index", options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """The tooltip: which view it is, then what a click does."""
        record = desk.current.jobs.get(properties.job)
        asked = record.question.asked if record is not None and record.question is not None else None
        said: str = bpy.app.translations.pgettext_tip(cls.bl_description)
        if not isinstance(asked, Views) or not 0 <= properties.index < len(asked.views):
            return said
        view = asked.views[properties.index]
        about = f"{view.label} · {view.note or arithmetic.camera(view)}"
        return f"{about}.\n{said}"

    def changed(self, picks: Picks) -> Picks:
        if self.index not in picks and None not in picks:
            self.report({"INFO"}, "All slots are filled; clear one first")
        return arithmetic.clicked(picks, self.index)

    def asked_for(self) -> tuple[Views, Any]:
        asked, draft = super().asked_for()
        if not 0 <= self.index < len(asked.views):
            raise SetDresserError("There is no view like that.", "Click one that is shown.", "answer-invalid")
        return asked, draft


class SET_DRESSER_OT_move_view(ForSlots, bpy.types.Operator):
    bl_idname = "set_dresser.move_view"
    bl_label = "Move View"
    bl_description = "Exchange this slot's view with that of the slot before or after it"

    steps: bpy.props.IntProperty(name="Steps", description="1 for later, -1 for earlier", options={"SKIP_SAVE"})

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """The tooltip: in which direction."""
        earlier, later = "Exchange this view with the one before", "Exchange this view with the next one"
        said: str = bpy.app.translations.pgettext_tip(earlier if properties.steps < 0 else later)
        return said

    def changed(self, picks: Picks) -> Picks:
        return arithmetic.moved(picks, self.slot, self.steps)


class SET_DRESSER_OT_clear_slot(ForSlots, bpy.types.Operator):
    bl_idname = "set_dresser.clear_slot"
    bl_label = "Clear Slot"
    bl_description = "Take the view out of this slot"

    def changed(self, picks: Picks) -> Picks:
        return arithmetic.cleared(picks, self.slot)


class SET_DRESSER_OT_clear_slots(ForSlots, bpy.types.Operator):
    bl_idname = "set_dresser.clear_slots"
    bl_label = "Clear"
    bl_description = "Take the views out of all slots"

    def changed(self, picks: Picks) -> Picks:
        return arithmetic.cleared(picks)


class SET_DRESSER_OT_regenerate_views(ForQuestion, bpy.types.Operator):
    bl_idname = "set_dresser.regenerate_views"
    bl_label = "Regenerate Views"
    bl_description = "Make the views of this photo anew with another seed; what was picked of other photos stays"
    bl_options = {"INTERNAL"}

    photo: bpy.props.IntProperty(name="Photo", description="Counted from 0", options={"HIDDEN", "SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> None:
        self.question()
        views_api.regenerate_views(job_calls.find_record(self.job).id, self.photo, wait=False)


CLASSES = (
    SET_DRESSER_OT_pick_view,
    SET_DRESSER_OT_move_view,
    SET_DRESSER_OT_clear_slot,
    SET_DRESSER_OT_clear_slots,
    SET_DRESSER_OT_regenerate_views,
)
