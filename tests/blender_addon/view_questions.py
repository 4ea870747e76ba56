"""Questions for views as the server asks them."""

from __future__ import annotations

from typing import Any

from blender_addon.answers.picks import Slot

SLOTS = [Slot(30.0 + 60 * number, 20.0 if number % 2 == 0 else -10.0) for number in range(6)]


def document(seeds: tuple[int, ...] = (4, 4)) -> dict[str, Any]:
    """A question for views of photos with these seeds."""
    return {
        "kind": "views",
        "title": "Pick the views",
        "photos": [
            {"name": f"P{number}", "file": f"p{number}.png", "seed": seed, "azimuth": 40.0 * number, "known": True}
            for number, seed in enumerate(seeds)
        ],
        "choices": [
            {
                "file": f"v{photo}-{number}.png",
                "label": f"P{photo} {number}",
                "note": "",
                "photo": photo,
                "view": number,
                "azimuth": (40.0 * photo + SLOTS[number].azimuth) % 360,
                "elevation": SLOTS[number].elevation,
            }
            for photo in range(len(seeds))
            for number in range(6)
        ],
        "slots": [{"azimuth": slot.azimuth, "elevation": slot.elevation} for slot in SLOTS],
        "default": [0, 1, 2, 3, 4, 5],
        "true_cameras": True,
    }
