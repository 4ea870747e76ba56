"""What guiding in the middle of a run only changes, on the reference's networks: little beside what guidance does."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

MOST = 0.1
"""Of the change that guidance makes."""


def test_the_interval_changes_little(numbers: Any, unet: Any) -> None:
    from models.hi3d.denoising import INTERVAL, Guidance, Run, denoise
    from tests.parity.hi3d.test_unet import conditions

    told, largest = conditions(numbers), numbers.json("config")["guider"]["max_scale"]
    usual, saved, unguided = (
        denoise(unet, told, Run(largest, guidance=guidance))
        for guidance in (Guidance(), Guidance(interval=INTERVAL), Guidance(largest=1.0))
    )
    changed, guided = ((each - usual).norm() / usual.norm() for each in (saved, unguided))
    print(f"the interval changes {changed:.4f} of the latents, guidance {guided:.4f}")
    assert guided > 0.1, "guidance does something"
    assert changed < MOST * guided
