"""From a sentence to a prop in Blender: server, a painter with tiny checkpoints, a question, import, variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.api import remaking
from blender_addon.capture import sentences
from blender_addon.props import recipes
from tests.blender_addon.tiny_models import looked_into, written

QUICK = {"resolution": 48, "texture_size": 64, "background": "none"}
PAINT = {"model": "sd15", "steps": 1, "candidates": 2, "alone": False}
MIDI = {"steps": 1, "resolution": 64, "faces": 500, "texture_size": 64, "background": "none"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with tiny random checkpoints, written by the backend's Python."""
    script = (
        "from backend.preparations.painting.tiny import write_tiny_painting_checkpoints as paint; paint(folder)\n"
        "from models.midi.tiny import write_tiny_checkpoint as midi; midi(folder / 'VAST-AI' / 'MIDI-3D')"
    )
    return written(tmp_path_factory.mktemp("models"), script)


@pytest.fixture
def painting(monkeypatch: pytest.MonkeyPatch, models: Path, addon: Any) -> Any:
    looked_into(monkeypatch, models)
    return addon


def test_a_sentence_becomes_a_prop_with_variants_and_its_settings_come_back(painting: Any) -> None:
    bpy.context.scene.cursor.location = (3.0, 2.0, 0.5)
    job = painting.generate(
        text="a red  chair.",
        pipeline="inflate",
        parameters=QUICK,
        prepare={"text": PAINT},
        seed=5,
        place_at="cursor",
        height=1.0,
        wait=True,
    )
    assert job.question is not None and job.question["title"] == "Choose a picture"
    assert [choice["label"] for choice in job.question["choices"]] == ["Seed 5", "Seed 6"]
    job.answer({"chosen": [1]})
    job.wait()

    (prop,) = job.objects
    assert prop.name == "a red chair"
    assert tuple(prop.location) == pytest.approx((3.0, 2.0, 0.5), abs=1e-3)
    assert prop.dimensions.z == pytest.approx(1.0, abs=1e-3)
    recipe = recipes.of(prop)
    assert (recipe["text"], recipe["prepared"]) == ("a red  chair.", "text")
    assert "inputs" not in recipe and job.result["inputs"] == []
    assert remaking.has_chance(prop)

    other = painting.new_variant(prop, seed=9, wait=True)
    other.answer({"chosen": [0]})
    (variant,) = other.wait().objects
    assert painting.variants_of(variant) == [prop, variant] and prop.hide_render
    assert tuple(variant.location) == pytest.approx((3.0, 2.0, 0.5), abs=1e-3)

    # The picture was chosen before; another pipeline is not asked again.
    (learned,) = painting.again(variant, pipeline="midi", parameters=MIDI, wait=True).objects
    assert len(learned.data.polygons) > 50 and recipes.of(learned)["text"] == "a red  chair."
    assert len(painting.variants_of(learned)) == 3

    settings = bpy.context.scene.set_dresser
    assert settings.source == "CAMERA"
    bpy.ops.set_dresser.restore_settings(job=job.id)
    assert (settings.source, settings.text, settings.seed) == ("TEXT", "a red  chair.", 5)


def test_what_is_no_job_is_refused_at_once(several: Any, picture: Path) -> None:
    for given, code in (
        ({"text": " \n"}, "no-text"),
        ({"source": "TEXT"}, "no-text"),
        ({"text": "a cup", "source": str(picture)}, "request-invalid"),
        ({"text": "a cup", "labels": str(picture)}, "request-invalid"),
        ({"text": "a cup", "photos": [str(picture)]}, "request-invalid"),
        ({"text": "a cup", "match_camera": True}, "request-invalid"),
    ):
        with pytest.raises(several.SetDresserError) as caught:
            several.generate(**given, wait=True)
        assert caught.value.code == code and caught.value.hint


def test_a_pipeline_of_several_photos_says_so_before_anything_is_sent(several: Any) -> None:
    several.pipelines()
    with pytest.raises(several.SetDresserError, match="takes at least 2 pictures, and there is one"):
        several.generate(text="a cup", pipeline="test-photos", wait=True)


def test_sentences_are_read_in_each_way_they_can_be_given() -> None:
    assert not sentences.is_asked("camera", None, made=False)
    assert sentences.is_asked("camera", "a cup", made=False)
    assert sentences.is_asked("TEXT", None, made=False)
    assert sentences.is_asked("camera", None, made=True)
    given = {"paint": {"steps": 3, "words": "a mug"}, "other": {}}
    assert sentences.prepared(None, given, "paint", "words") == ("a mug", given)
    said = {"paint": {"steps": 3, "words": "a cup"}, "other": {}}
    assert sentences.prepared("a cup", given, "paint", "words") == ("a cup", said)
    assert sentences.prepared(None, {}, "dice", "") == ("", {"dice": {}}), "some want no sentence"
    assert sentences.name("  long " * 30) == " ".join(["long"] * 12)
