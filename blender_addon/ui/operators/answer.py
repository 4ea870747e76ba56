"""Answer what a job asks"""

from __future__ import annotations

import bpy

from ...answers import asking
from ...answers.questions import Question
from ...api import jobs as job_calls
from ...ground.messages import SetDresserError
from ...state import desk
from ...work import results
from .base import ForJob, image_editor


class ForQuestion(ForJob):
    """An operator on the question of a job."""

    def question(self) -> Question:
        """Raises SetDresserError if the job asks nothing."""
        found = job_calls.find_record(self.job).question
        if found is None:
            raise SetDresserError("The job asks nothing.", "It may have gone on or ended.", "input-not-expected")
        return found


class SET_DRESSER_OT_choose(ForQuestion, bpy.types.Operator):
    bl_idname = "set_dresser.choose"
    bl_label = "Choose"
    bl_description = "Choose this picture, or take the choice back"
    bl_options = {"INTERNAL"}

    index: bpy.props.IntProperty(name="Index", options={"HIDDEN", "SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> None:
        asking.choose(self.question(), self.index)
        desk.current.changed()


class SET_DRESSER_OT_merge_found(ForQuestion, bpy.types.Operator):
    bl_idname = "set_dresser.merge_found"
    bl_label = "Merge Selected"
    bl_description = "Make one object of the selected ones, under the name of the first"
    bl_options = {"INTERNAL"}

    def act(self, context: bpy.types.Context) -> None:
        question = self.question()
        draft = asking.draft(question)
        if draft is None or len(asking.ticked(draft)) < 2:
            raise SetDresserError(
                "Fewer than two objects are selected.", "Tick those that are one.", "nothing-selected"
            )
        asking.merge(question)
        desk.current.changed()


class SET_DRESSER_OT_begin_again(ForQuestion, bpy.types.Operator):
    bl_idname = "set_dresser.begin_again"
    bl_label = "Start Over"
    bl_description = "Go back to what the question proposes"
    bl_options = {"INTERNAL"}

    def act(self, context: bpy.types.Context) -> None:
        asking.begin(self.question())
        desk.current.changed()


class SET_DRESSER_OT_answer(ForQuestion, bpy.types.Operator):
    bl_idname = "set_dresser.answer"
    bl_label = "Answer"
    bl_description = "Answer as it stands here; the job goes on"

    def act(self, context: bpy.types.Context) -> None:
        question = self.question()
        reason = asking.hindrance(question)
        if reason:
            raise SetDresserError(f"{reason}.", "Look at the question and answer again.", "answer-invalid")
        job_calls.answer(self.job, asking.answer(question), wait=False)


class SET_DRESSER_OT_open_picture(ForQuestion, bpy.types.Operator):
    bl_idname = "set_dresser.open_picture"
    bl_label = "Open in Image Editor"
    bl_description = "Look at this picture in full size"
    bl_options = {"INTERNAL"}

    file: bpy.props.StringProperty(name="File", options={"HIDDEN", "SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> None:
        question = self.question()
        if self.file not in question.files:
            raise SetDresserError("The question does not mention this picture.", "Open another one.", "not-fetched")
        path = results.picture_path(question, self.file)
        try:
            image = asking.open_image(question, path)
        except RuntimeError as error:
            raise SetDresserError("The picture is not here yet.", "Wait a moment.", "not-fetched") from error
        if not bpy.app.background:
            image_editor(context)[1].spaces.active.image = image


CLASSES = (
    SET_DRESSER_OT_choose,
    SET_DRESSER_OT_merge_found,
    SET_DRESSER_OT_begin_again,
    SET_DRESSER_OT_answer,
    SET_DRESSER_OT_open_picture,
)
