"""Every control says what it does, in words that Blender can show and translate."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

import blender_addon
from blender_addon.ground import translations
from blender_addon.settings import parameters
from tests.structure.source import sources, strings

KINDS = (bpy.types.Operator, bpy.types.Panel, bpy.types.PropertyGroup, bpy.types.AddonPreferences, bpy.types.UIList)
INHERITED = {prop.identifier for kind in KINDS for prop in kind.bl_rna.properties}
"""What Blender gives every class, and says for itself."""

SHOWN = ("label", "operator", "prop", "progress", "menu", "popover")
"""Functions of a layout that take words."""


def words_of_controls() -> Iterator[tuple[str, str, str]]:
    """(what, label, tooltip) of all that is registered and may be met: operators, panels, properties, choices."""
    for each in blender_addon._CLASSES:
        if issubclass(each, bpy.types.Operator | bpy.types.Panel):
            yield each.__name__, each.bl_label, getattr(each, "bl_description", "")
        for prop in each.bl_rna.properties:
            if prop.identifier in INHERITED or prop.is_hidden:
                continue
            yield f"{each.__name__}.{prop.identifier}", prop.name, prop.description
            for item in getattr(prop, "enum_items", ()):
                yield f"{each.__name__}.{prop.identifier}={item.identifier}", item.name, item.description


def test_every_control_has_a_label_and_a_tooltip(addon: Any) -> None:
    words = list(words_of_controls())
    assert len(words) > 60, "hardly anything was found"
    assert [what for what, label, _ in words if not label] == [], "no label"
    assert [what for what, _, tooltip in words if not tooltip] == [], "no tooltip"
    assert [what for what, _, tooltip in words if tooltip.endswith(".")] == [], "Blender adds the full stop"
    assert [what for what, _, tooltip in words if not tooltip[:1].isupper() and not tooltip[:1].isdigit()] == []


def test_tooltips_of_parameters_come_from_the_server_without_its_full_stop() -> None:
    schema = {
        "properties": {"detail": {"type": "integer", "default": 3, "description": "Cells across. More is finer."}}
    }
    parameters.pipelines.register([("test-words", schema)])
    try:
        group = parameters.pipelines.group(bpy.context.scene, "test-words")
        assert group.bl_rna.properties["detail"].description == "Cells across. More is finer"
    finally:
        parameters.pipelines.unregister()


def test_no_words_are_glued_together_before_blender_can_look_them_up() -> None:
    """Words in a layout are looked up whole: fixed ones must not be joined with + or %, which would hide them."""
    glued = []
    for path in sources("blender_addon/panels", "blender_addon/operators"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SHOWN:
                for word in node.keywords:
                    if word.arg == "text" and isinstance(word.value, ast.BinOp):
                        glued.append(f"{path.name}:{node.lineno}")
    assert glued == []


def test_every_translated_word_is_one_that_the_addon_says() -> None:
    said: set[str] = set()
    for path in sources("blender_addon"):
        if path.name != "translations.py":
            said |= strings(path.read_text(encoding="utf-8"))
    assert set(translations.GERMAN) - said == set(), "a word that nobody says any more goes, or is written anew"


def test_a_table_is_registered_for_labels_and_for_buttons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender's module has no languages, so that the look-up itself is seen in a window only (`make test-gui`)."""
    tables: dict[str, Any] = {}
    monkeypatch.setattr(translations, "bpy", SimpleNamespace(app=SimpleNamespace(translations=Registry(tables))))
    translations.register()
    ((name, table),) = tables.items()
    assert name == "blender_addon"
    assert table["de_DE"]["Operator", "Generate"] == table["de_DE"]["*", "Generate"] == "Erzeugen"
    translations.unregister()
    assert tables == {}


class Registry:
    """As `bpy.app.translations`."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self.register = tables.__setitem__
        self.unregister = tables.pop
