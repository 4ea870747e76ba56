"""What tells near from far in a picture: MiDaS 3.1's largest network, for methods that use the depth of a photograph.

Nothing fails without it. Size and files were read on the page of the repository.
"""

from __future__ import annotations

from backend.weights.row import Weights

ROWS = (
    Weights(
        id="dpt-beit-large-512",
        repository="Intel/dpt-beit-large-512",
        revision="ead58c150f1fcebca5de8edc0fbc80a947572243",
        files=("config.json", "model.safetensors"),
        required=("config.json", "model.safetensors"),
        bytes=1_380_000_000,
        licence="MIT",
        licence_note="",
        memory_bytes=1_380_000_000,
    ),
)
