"""What `multiview` and `hi3d` ask where in a visual hull the true surface likely is: one network that comes along."""

from __future__ import annotations

from backend.weights.row import Weights

ROWS = (
    Weights(
        id="hull-prior",
        repository="set-dresser/hull-prior",
        revision=None,
        files=("model.safetensors",),
        required=("model.safetensors",),
        bytes=3_809_336,
        licence="GPL-3.0-or-later",
        licence_note=(
            "It has the licence of this program. It was trained on models of furniture that are in the public domain "
            "or CC BY 3.0; ATTRIBUTION.md beside it names their authors. What it makes is yours."
        ),
        memory_bytes=7_618_672,
        source="local",
        page="https://www.gnu.org/licenses/gpl-3.0.html",
        digests={"model.safetensors": "11485351b66281d46161fc2eaa1ead6f9985605ddd434dc154ce1a9df9289ba5"},
    ),
)
