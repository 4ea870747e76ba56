"""The catalogue of weights: the rows of every method, in one order.

Sizes and licences were read from the pages of the hub, or of unchanged copies there, and not from the files: "about".
Revisions were read from public pages and programs that name them; MIDI's, Hi3D's and those of some of OpenLRM are not
known.
"""

from __future__ import annotations

from backend.weights import background, depth, hi3d, imagine, instantmesh, magic123, midi, mira, multiview, segment
from backend.weights.own import is_own, own_row
from backend.weights.row import Weights

WEIGHTS: dict[str, Weights] = {
    row.id: row
    for row in (
        *midi.ROWS,
        *segment.ROWS,
        *imagine.ROWS,
        *instantmesh.ROWS,
        *mira.ROWS,
        *hi3d.ROWS,
        *multiview.ROWS,
        *magic123.ROWS,
        *depth.ROWS,
        *background.ROWS,
    )
}


def row_of(identifier: str) -> Weights:
    """The row of a model of the catalogue, or of one of the user's own (`own.py`). Raises KeyError: there is none."""
    return own_row(identifier) if is_own(identifier) else WEIGHTS[identifier]
