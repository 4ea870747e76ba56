"""Questions that a running job puts to the user, and what counts as an answer.

A question is shown by the panel, the command line, or any other client; the pictures it mentions are files of the job.
An answer that does not fit is refused where it comes in, so a pipeline sees only answers that fit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.camera import Whole
from backend.contract import MAXIMUM_SEED, Name, Strict
from backend.errors import Problem, faults

Model = TypeVar("Model", bound=BaseModel)
Index = Annotated[Whole, Field(ge=0)]


class Question(BaseModel):
    """What every question has. `title` is a few words, `text` a sentence or two."""

    model_config = ConfigDict(frozen=True)

    kind: str
    title: str
    text: str = ""

    def default_answer(self) -> dict[str, Any]:
        """What is answered where nobody can be asked."""
        raise NotImplementedError

    def check(self, answer: dict[str, Any]) -> None:
        """Raises Problem("answer-invalid") for an answer that does not fit."""
        raise NotImplementedError


class Choice(BaseModel):
    """One of several: a picture, a word or two on it, and what was measured of it."""

    file: str = Field(description="Name of a file of the job.")
    label: str
    note: str = ""


class ChooseQuestion(Question):
    """Choose among pictures. The answer is {"chosen": [indices]}, in the order in which they were chosen."""

    kind: Literal["choose"] = "choose"
    choices: list[Choice]
    least: int = 1
    most: int = 1
    default: list[int] = Field(description="Indices of what is proposed.")

    def default_answer(self) -> dict[str, Any]:
        return {"chosen": self.default}

    def check(self, answer: dict[str, Any]) -> None:
        chosen = _read(ChosenAnswer, answer).chosen
        if not self.least <= len(chosen) <= self.most:
            wanted = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            raise Problem("answer-invalid", f"{len(chosen)} were chosen; {wanted} are asked for.")
        if max(chosen, default=0) >= len(self.choices) or len(set(chosen)) < len(chosen):
            detail = f"Choose different ones of 0 to {len(self.choices) - 1}; {chosen} came."
            raise Problem("answer-invalid", detail)


class ChosenAnswer(Strict):
    """Answer to a `ChooseQuestion`."""

    chosen: list[Index]


class ViewChoice(Choice):
    """One generated view of a photo's object. Degrees; the first photo's camera is at azimuth 0."""

    photo: int = Field(description="Index of its photo.")
    view: int = Field(description="Which of the views of that photo.")
    azimuth: float
    elevation: float


class ViewPhoto(BaseModel):
    """A photo that views were generated of. `azimuth` is assumed if it is not known."""

    name: str
    file: str = Field(description="Name of a file of the job: the object cut out, as the network saw it.")
    seed: int
    azimuth: float
    known: bool = Field(description="Whether the azimuth was given.")


class ViewSlot(BaseModel):
    """A place on the sheet that is reconstructed, and the camera that it stands for in the published model."""

    azimuth: float
    elevation: float


class ViewsQuestion(Question):
    """Choose the generated views that one object is reconstructed from, or have those of one photo generated anew.

    The answer is {"chosen": [indices of choices]}, one for each slot, in the order of the slots; or
    {"regenerate": {"photo": index, "seed": number}}, after which the question is asked again. Without a seed the next
    one is taken.
    """

    kind: Literal["views"] = "views"
    choices: list[ViewChoice]
    photos: list[ViewPhoto]
    slots: list[ViewSlot]
    default: list[int] = Field(description="Indices of what is proposed, in the order of the slots.")
    true_cameras: bool = Field(description="Each view counts from its own azimuth; if not, from that of its slot.")
    contact_sheet: str = Field("", description="Name of a file of the job: all views on one picture.")

    def default_answer(self) -> dict[str, Any]:
        return {"chosen": self.default}

    def check(self, answer: dict[str, Any]) -> None:
        read = _read(ViewsAnswer, answer)
        if (read.chosen is None) == (read.regenerate is None):
            raise Problem("answer-invalid", "The answer needs either 'chosen' or 'regenerate'.")
        if read.regenerate is not None and read.regenerate.photo >= len(self.photos):
            detail = f"There is no photo {read.regenerate.photo}; there are 0 to {len(self.photos) - 1}."
            raise Problem("answer-invalid", detail)
        if read.chosen is None:
            return
        if len(read.chosen) != len(self.slots):
            raise Problem("answer-invalid", f"{len(read.chosen)} views were chosen; {len(self.slots)} are asked for.")
        if unknown := [index for index in read.chosen if index >= len(self.choices)]:
            detail = f"There is no view {unknown[0]}; there are 0 to {len(self.choices) - 1}."
            raise Problem("answer-invalid", detail)
        if len(set(read.chosen)) < len(read.chosen):
            twice = next(index for index in read.chosen if read.chosen.count(index) > 1)
            raise Problem("answer-invalid", f"{self.choices[twice].label} was chosen twice.", "Choose another view.")


class Regenerate(Strict):
    """Which photo's views are generated anew, and where chance starts from."""

    photo: Index
    seed: Annotated[Whole, Field(ge=0, le=MAXIMUM_SEED)] | None = None


class ViewsAnswer(Strict):
    """Answer to a `ViewsQuestion`: one of the two."""

    chosen: list[Index] | None = None
    regenerate: Regenerate | None = None


class FoundInstance(BaseModel):
    """An object that was found in the picture. `box` is left, top, right, bottom in pixels."""

    id: int
    name: str
    score: float | None = None
    pixels: int
    box: tuple[int, int, int, int]
    color: tuple[int, int, int] = Field(description="Its colour in the overlay, sRGB.")


class InstancesQuestion(Question):
    """Look through the objects that were found: rename, merge, leave out.

    The answer is {"instances": [{"ids": [2, 5], "name": "sofa"}, ...]}: several ids become one object, an id that is
    not mentioned becomes background.
    """

    kind: Literal["instances"] = "instances"
    picture: str = Field(description="File of the job: the picture.")
    overlay: str = Field(description="File of the job: the picture with the objects coloured.")
    instances: list[FoundInstance]

    def default_answer(self) -> dict[str, Any]:
        return {"instances": [{"ids": [found.id], "name": found.name} for found in self.instances]}

    def check(self, answer: dict[str, Any]) -> None:
        kept = [number for row in _read(InstancesAnswer, answer).instances for number in row.ids]
        known = {found.id for found in self.instances}
        if unknown := sorted(set(kept) - known):
            raise Problem("answer-invalid", f"There is no object {unknown[0]}; there are {sorted(known)}.")
        if len(set(kept)) < len(kept):
            raise Problem("answer-invalid", "An object is mentioned twice.", "Mention each object once.")
        if not kept:
            raise Problem("answer-invalid", "No object is left.", "Keep at least one, or cancel the job.")


class KeptInstance(Strict):
    """One object of an `InstancesAnswer`."""

    ids: Annotated[list[Whole], Field(min_length=1)]
    name: Name


class InstancesAnswer(Strict):
    """Answer to an `InstancesQuestion`."""

    instances: list[KeptInstance]


KINDS: dict[str, type[Question]] = {"choose": ChooseQuestion, "instances": InstancesQuestion, "views": ViewsQuestion}


def read_question(question: dict[str, Any]) -> Question | None:
    """The question that a job has asked, if it is of a kind known here; None for a plug-in's own."""
    kind = KINDS.get(str(question.get("kind")))
    return None if kind is None else kind.model_validate(question)


def _read(kind: type[Model], answer: dict[str, Any]) -> Model:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        wrong = faults(error, "answer")
        raise Problem("answer-invalid", f"The answer does not fit: {'; '.join(wrong)}.", fields=wrong) from error
