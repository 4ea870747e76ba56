"""What a schema says of the models a choice needs is what the server asks for."""

from __future__ import annotations

from typing import Any

import pytest

from backend.pipelines.base import Parameters
from backend.preparations.imagine import ImagineParameters
from backend.preparations.segment import SegmentParameters
from backend.preparations.text import TextParameters
from backend.weights import WEIGHTS


@pytest.mark.parametrize(
    ("kind", "name", "others"),
    [
        (ImagineParameters, "model", {}),
        (TextParameters, "model", {"prompt": "a cup"}),
        (SegmentParameters, "detector", {"labels": "chair"}),
    ],
)
def test_every_choice_declares_the_models_it_needs(kind: type[Parameters], name: str, others: dict[str, Any]) -> None:
    schema = kind.model_json_schema()["properties"][name]
    assert set(schema["weights"]) == set(schema["enum"])
    for choice, declared in schema["weights"].items():
        assert set(declared) <= set(WEIGHTS)
        assert kind.model_validate({**others, name: choice}).needed_weights() == tuple(declared)
