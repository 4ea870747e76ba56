"""The catalogue of weights: the rows of every method, in one order.

Sizes and licences were read from the pages of the hub, or of unchanged copies there, and not from the files: "about".
Revisions were read from public pages and programs that name them; MIDI's is not known.
"""

from __future__ import annotations

from backend.weights import background, imagine, instantmesh, midi, segment
from backend.weights.row import Weights

WEIGHTS: dict[str, Weights] = {
    row.id: row for row in (*midi.ROWS, *segment.ROWS, *imagine.ROWS, *instantmesh.ROWS, *background.ROWS)
}
