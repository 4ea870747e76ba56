"""What the pipeline `hi3d` runs: its two stages, a file each, in which all that they need is together.

Sizes were read on the page of the repository; that of the memory follows from the numbers of parameters at 16 bit.
"""

from __future__ import annotations

from backend.weights.row import Weights

NOTE = (
    "The page of the weights says MIT. They continue Stable Video Diffusion XT, whose own licence holds for what is "
    "made from it: not for commercial purposes by the first one (Stability AI Non-Commercial Research Community "
    "License, November 2023), by the later one (Stability AI Community License) below a revenue that it names. Read "
    "both before you sell what they make."
)


def _stage(part: str, file: str, size: int, memory: int) -> Weights:
    return Weights(
        id=f"hi3d-{part}",
        repository="hbyang/Hi3D",
        revision=None,
        files=(file,),
        required=(file,),
        bytes=size,
        licence="MIT AND LicenseRef-Stable-Video-Diffusion-Community",
        licence_note=NOTE,
        memory_bytes=memory,
        part=part,
    )


ROWS = (
    _stage("orbit", "first_stage.pt", 7_829_357_333, 5_090_000_000),
    _stage("refine", "second_stage.pt", 6_947_526_820, 4_730_000_000),
)
