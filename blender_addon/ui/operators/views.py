"""Fill the slots of a sheet with generated views, or have those of a photo made anew"""

from __future__ import annotations

import bpy

from ...answers import asking
from ...answers import picks as views
from ...answers.questions import Question
from ...api import jobs as job_calls
from ...api import views as views_api
from ...ground.messages import SetDresserError
from ...state import desk
from .answer import ForQuestion


class ForSlots(ForQuestion):
    """An operator on the slots of a "views" question."""

    bl_options = {"INTERNAL"}

    slot: bpy.props.IntProperty(name="Slot", description="Counted from 0", options={"HIDDEN", "SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> None:
        question = self.question()
        if question.kind != "views" or not 0 <= self.slot < len(question.slots):
            raise SetDresserError("The job asks for no views like that.", "Look at the question.", "answer-invalid")
        asking.pick(question, self.changed(asking.picks(question)))
        desk.current.changed()

    def changed(self, picks: views.Picks) -> views.Picks:
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
        question = record.question if record is not None else None
        said: str = bpy.app.translations.pgettext_tip(cls.bl_description)
        if question is None or not 0 <= properties.index < len(question.views):
            return said
        view = question.views[properties.index]
        about = f"{view.label} · {view.note or views.camera(view)}"
        return f"{about}.\n{said}"

    def changed(self, picks: views.Picks) -> views.Picks:
        if self.index not in picks and None not in picks:
            self.report({"INFO"}, "All slots are filled; clear one first")
        return views.clicked(picks, self.index)

    def question(self) -> Question:
        question = super().question()
        if question.kind == "views" and not 0 <= self.index < len(question.views):
            raise SetDresserError("There is no view like that.", "Click one that is shown.", "answer-invalid")
        return question


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

    def changed(self, picks: views.Picks) -> views.Picks:
        return views.moved(picks, self.slot, self.steps)


class SET_DRESSER_OT_clear_slot(ForSlots, bpy.types.Operator):
    bl_idname = "set_dresser.clear_slot"
    bl_label = "Clear Slot"
    bl_description = "Take the view out of this slot"

    def changed(self, picks: views.Picks) -> views.Picks:
        return views.cleared(picks, self.slot)


class SET_DRESSER_OT_clear_slots(ForSlots, bpy.types.Operator):
    bl_idname = "set_dresser.clear_slots"
    bl_label = "Clear"
    bl_description = "Take the views out of all slots"

    def changed(self, picks: views.Picks) -> views.Picks:
        return views.cleared(picks)


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
