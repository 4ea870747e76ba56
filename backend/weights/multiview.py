"""What `multiview` and `hi3d` ask which part of a visual hull is likely not there: one network that comes along."""

from __future__ import annotations

from backend.weights.row import Weights

ROWS = (
    Weights(
        id="hull-prior",
        repository="set-dresser/hull-prior",
        revision=None,
        files=("model.safetensors",),
        required=("model.safetensors",),
        bytes=3_391_250,
        licence="GPL-3.0-or-later",
        licence_note=(
            "It has the licence of this program. It was trained on models of furniture that are in the public domain "
            "or CC BY 3.0; ATTRIBUTION.md beside it names their authors. What it makes is yours."
        ),
        memory_bytes=6_782_500,
        source="local",
        page="https://www.gnu.org/licenses/gpl-3.0.html",
        digests={"model.safetensors": "569348af08c15df7699c8d7c7689bb37f3f9262e3e1750fbe12c1dfc249e17c3"},
    ),
)
