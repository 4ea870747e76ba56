"""From what the block-outs are called to words that a painter understands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# What Blender and other programs call a new object, and what artists call one whose name has no meaning of its own.
MEANINGLESS = frozenset(
    {"bbox", "bezier", "block", "blockout", "box", "capsule", "circle", "collection", "cone", "cube", "curve"}
    | {"cylinder", "default", "dummy", "empty", "geometry", "grey", "grid", "group", "ico", "icosphere", "instance"}
    | {"mball", "mesh", "metaball", "model", "nurbs", "object", "out", "part", "path", "placeholder", "plane", "point"}
    | {"polygon", "prim", "primitive", "quad", "shape", "solid", "sphere", "surface", "suzanne", "test", "text"}
    | {"thing", "torus", "unnamed", "untitled", "uv", "uvsphere", "version", "volume"}
)
# What stands before or after a name by habit of a studio: static mesh, geometry, side, level of detail.
BEFORE = frozenset(
    {"asset", "blockout", "geo", "grp", "left", "mesh", "msh", "ob", "obj", "placeholder", "prop", "proxy", "right"}
    | {"sk", "sm", "temp", "tmp"}
)
AFTER = BEFORE | {"block", "copy", "final", "hi", "high", "lo", "lod", "low", "new", "rev", "ver", "version"}
NUMBERS = ("", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "man": "men",
    "mouse": "mice",
    "person": "people",
    "potato": "potatoes",
    "scarf": "scarves",
    "shelf": "shelves",
    "bookshelf": "bookshelves",
    "thief": "thieves",
    "tomato": "tomatoes",
    "tooth": "teeth",
    "woman": "women",
    "wolf": "wolves",
}
# Words of one form, and things that are not counted: no article, no number.
UNCOUNTED = frozenset(
    {"bread", "clothing", "furniture", "grass", "hay", "ivy", "laundry", "sand", "scissors", "sheep", "snow"}
    | {"water", "wood"}
)


def full_prompt(prompt: str, names: Iterable[str]) -> str:
    """The user's words, then what the objects are: "a cosy room at dusk, a sofa, two chairs".

    Args:
        prompt: the user's words; may be empty.
        names: of the objects, the most important first (what is cut off at the end is missed least). Equal ones are
            counted; those that say nothing are left out.

    Returns:
        The text, "" if neither says anything.
    """
    things = Counter(thing for name in names if (thing := spoken_name(name)))
    counted = [_counted(thing, count) for thing, count in things.items()]
    return ", ".join([part for part in (" ".join(prompt.split()).rstrip(" ,"), *counted) if part])


def spoken_name(name: str) -> str:
    """What a block-out's name says of the thing, in lower case: "SM_OfficeChair.002" → "office chair".

    Returns:
        "" where the name says nothing ("Cube.003", "Object 4", "_").
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", apart.lower())
    while words and (words[0] in BEFORE or len(words[0]) == 1):
        words = words[1:]
    while words and (words[-1] in AFTER or len(words[-1]) == 1):
        words = words[:-1]
    return "" if all(word in MEANINGLESS for word in words) else " ".join(words)


def _counted(thing: str, count: int) -> str:
    last = thing.split()[-1]
    if last in UNCOUNTED or _is_plural(last):
        return thing
    if count == 1:
        return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} {thing.removesuffix(last)}{_plural(last)}"


def _is_plural(word: str) -> bool:
    return (word.endswith("s") and not word.endswith(("ss", "us", "is", "as"))) or word in IRREGULAR.values()


def _plural(word: str) -> str:
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"
