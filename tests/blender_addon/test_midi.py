"""The flagship, the whole way: block-out → capture → server → MIDI with a tiny checkpoint → objects in Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.blender_addon.measuring import geometry
from tests.blender_addon.tiny_models import looked_into, written

FAST = {"steps": 2, "resolution": 64, "faces": 800, "texture_size": 64, "smallest_mask": 20}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with a tiny random checkpoint in MIDI's place, written by the backend's Python."""
    script = "from models.midi.tiny import write_tiny_checkpoint as write; "
    script += "write(folder / 'VAST-AI' / 'MIDI-3D')"
    return written(tmp_path_factory.mktemp("models"), script)


@pytest.fixture
def midi(monkeypatch: pytest.MonkeyPatch, models: Path, addon: Any) -> Any:
    looked_into(monkeypatch, models)
    return addon


def test_boxes_become_objects_of_their_own_and_the_same_seed_makes_them_again(midi: Any, room: list[Any]) -> None:
    first = midi.generate(objects=room, pipeline="midi", parameters=FAST, seed=5, wait=True)
    props = list(first.objects)
    assert sorted(prop.name for prop in props) == ["Ball_prop", "Box_prop", "Cone_prop"]
    assert len({prop.data.name for prop in props}) == 3
    for prop, block_out in zip(sorted(props, key=lambda p: p.name), sorted(room, key=lambda o: o.name), strict=True):
        assert prop.set_dresser_block_out == block_out and block_out.hide_render
        assert len(prop.data.polygons) > 100 and prop.data.uv_layers and prop.data.materials
        recipe = prop["set_dresser"]
        assert (recipe["pipeline"], recipe["seed"], recipe["job"]) == ("midi", 5, first.id)
        assert recipe["parameters"]["steps"] == 2
    ids = {prop["set_dresser"]["instance_id"] for prop in props}
    assert len(ids) == 3
    made = geometry(first.objects)

    again = midi.generate(objects=room, pipeline="midi", parameters=FAST, seed=5, wait=True)
    assert geometry(again.objects) == made
    other = midi.generate(objects=room, pipeline="midi", parameters=FAST, seed=6, wait=True)
    assert geometry(other.objects).keys() == made.keys() and geometry(other.objects) != made


def test_without_its_weights_it_says_where_to_get_them(
    midi: Any, room: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(midi.SetDresserError) as caught:
        midi.generate(objects=room, pipeline="midi", wait=True)
    assert caught.value.code == "weights-missing"
    assert "VAST-AI/MIDI-3D" in caught.value.message and "Download" in caught.value.hint
