"""From the names of block-outs to words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.preparations.imagine.prompt import full_prompt, spoken_name

NAMES = st.text(max_size=60)


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("chair_02", "chair"),
        ("Chair.001", "chair"),
        ("SM_OfficeChair_LOD0", "office chair"),
        ("coffee-table", "coffee-table"),
        ("Grandma's armchair.L", "grandma's armchair"),
        ("low_table_high", "low table"),
        ("TVStand", "tv stand"),
        ("floor lamp 2", "floor lamp"),
        ("cardboard_box", "cardboard box"),
        ("Stühle.002", "stühle"),
        *[
            (name, "")
            for name in ("Cube.003", "Icosphere", "Mesh_12", "BlockOut", "box 4", "NurbsPath.001", "UVSphere")
        ],
        *[(name, "") for name in ("", "_", "007", "a", "geo_cube_lo", "Prop_Cube", "Untitled.blockout")],
    ],
)
def test_a_name_says_what_the_thing_is_or_nothing(name: str, spoken: str) -> None:
    assert spoken_name(name) == spoken


def test_equal_things_are_counted_in_the_order_given() -> None:
    names = ["sofa", "chair_01", "Cube", "shelf.001", "chair_02", "shelf.002", "ottoman", "books", "glass_a", "glass_b"]
    prompt = "  a cosy room,\nat dusk, "
    said = "a cosy room, at dusk, a sofa, two chairs, two shelves, an ottoman, books, two glasses"
    assert full_prompt(prompt, names) == said
    assert full_prompt("", ["berry"] * 13 + ["toy"] * 3 + ["water"] * 2) == "13 berries, three toys, water"
    assert full_prompt("", ["Cube", "Cube.001"]) == ""
    assert full_prompt("a room", []) == "a room"


@given(NAMES)
def test_what_is_spoken_is_plain_words_and_stable(name: str) -> None:
    spoken = spoken_name(name)
    assert spoken == " ".join(spoken.split())
    assert not re.search(r"[\d_,.:;()\[\]\x00-\x1f]", spoken)
    assert spoken_name(spoken) == spoken


@given(NAMES, st.lists(NAMES, max_size=8), st.randoms())
def test_the_prompt_keeps_the_users_words_first_and_every_thing_once(prompt: str, names: list[str], chance) -> None:
    text = full_prompt(prompt, names)
    assert text.startswith(" ".join(prompt.split()).rstrip(" ,"))
    mixed = list(names)
    chance.shuffle(mixed)
    assert sorted(full_prompt("", mixed).split(", ")) == sorted(full_prompt("", names).split(", "))
    things = {spoken_name(name) for name in names} - {""}
    said = full_prompt("", names)
    assert len([part for part in said.split(", ") if part]) == len(things)
