"""Questions that a running job puts to the user, and what counts as an answer.

A question is shown by the panel, the command line, or any other client; the pictures it mentions are files of the job.
An answer that does not fit is refused where it comes in, so a pipeline sees only answers that fit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.contract import Name, Strict
from backend.errors import Problem

Model = TypeVar("Model", bound=BaseModel)
Index = Annotated[int, Field(ge=0)]


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

    ids: Annotated[list[int], Field(min_length=1)]
    name: Name


class InstancesAnswer(Strict):
    """Answer to an `InstancesQuestion`."""

    instances: list[KeptInstance]


KINDS: dict[str, type[Question]] = {"choose": ChooseQuestion, "instances": InstancesQuestion}


def read_question(question: dict[str, Any]) -> Question | None:
    """The question that a job has asked, if it is of a kind known here; None for a plug-in's own."""
    kind = KINDS.get(str(question.get("kind")))
    return None if kind is None else kind.model_validate(question)


def _read(kind: type[Model], answer: dict[str, Any]) -> Model:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc'])) or 'answer'}: {item['msg']}" for item in error.errors()]
        raise Problem("answer-invalid", f"The answer does not fit: {'; '.join(wrong)}.", fields=wrong) from error
