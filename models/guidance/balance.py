"""How much the priors count against each other and against the picture: every weight as a number of its own.

**What the published numbers come to.** Magic123 writes 1 for Stable Diffusion and 40 for Zero123 in its first stage,
0.001 and 0.01 in its second, 5 for the colours of the reference view and 0.5 for its outline. Its program runs in 16
bit with a loss scaler (PyTorch's `GradScaler`): losses are multiplied by a scale before the way back, and all gradients
are divided by it afterwards. Gradients of the priors go back from the latents by a call of their own, which is not
multiplied, but they are divided with the rest. So they count 1/scale of what is written, while colours, outline and
regularisers keep their weights.

Evidence: the order of the calls in the published program. The scale begins at 65536, doubles after every 2000 steps
without an overflow, and halves with each overflow. **Not determined** is what it was in the authors' runs, which nobody
has written down; `published` takes the value that it begins with. The ratio of the two priors does not depend on it.
threestudio's port runs in 32 bit without a scaler and raises the weights of the picture instead: its colours weigh 10⁴
times Stable Diffusion in either stage. That is the same direction, and less far: here they weigh 3.3 · 10⁵ times it in
the first stage and 3.3 · 10⁸ times in the second. Adam evens out much of such a difference, since it divides by the
size of recent gradients; how much of it shows in results was not tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Literal

Stage = Literal["coarse", "fine"]

SCALE = 65536.0
"""What PyTorch's loss scaler begins with."""

MIDDLE = 0.5
"""Of the slider: the published pair."""


@dataclass(frozen=True)
class Balance:
    """Weights of one stage.

    text: of Stable Diffusion's gradient. 0: it is not asked, and need not be loaded.
    view: of Zero123's; likewise.
    colour: of the squared error of the reference view's colours.
    mask: of that of its outline.
    """

    text: float
    view: float
    colour: float
    mask: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"The weight {field.name} is {value}; it has to be a number from 0 up.")


WRITTEN: dict[Stage, Balance] = {
    "coarse": Balance(text=1.0, view=40.0, colour=5.0, mask=0.5),
    "fine": Balance(text=1e-3, view=1e-2, colour=5.0, mask=0.5),
}
"""What Magic123's commands say."""

THREESTUDIO: dict[Stage, Balance] = {
    "coarse": Balance(text=1.0, view=40.0, colour=10_000.0, mask=1000.0),
    "fine": Balance(text=1e-3, view=1e-2, colour=10.0, mask=1.0),
}
"""What threestudio's port says, in 32 bit."""


def published(stage: Stage, scale: float = SCALE) -> Balance:
    """Magic123's weights as they act, see the module. scale: of its loss scaler; 1 gives what is written.

    Raises:
        ValueError: the scale is not above 0.
    """
    if not (math.isfinite(scale) and scale > 0.0):
        raise ValueError(f"A loss scale of {scale}: it has to be a number above 0.")
    written = WRITTEN[stage]
    return replace(written, text=written.text / scale, view=written.view / scale)


def leaning(balance: Balance, likeness: float) -> Balance:
    """A balance leant towards imagination (the text, which knows what such things look like) or likeness (the view,
    which knows what this one looks like).

    In the middle both weights are those given. Towards either end the weight of the other prior falls in a straight
    line to 0, while the own one stays: the ends are "2D only" and "3D only" as published.

    Args:
        likeness: from 0, all imagination, to 1, all likeness.

    Returns:
        The balance, of which `view` never falls and `text` never rises as `likeness` rises.

    Raises:
        ValueError: `likeness` is not between.
    """
    if not 0.0 <= likeness <= 1.0:
        raise ValueError(f"{likeness} is not between 0, imagination, and 1, likeness.")
    text, view = (min(1.0, share / MIDDLE) for share in (1.0 - likeness, likeness))
    return replace(balance, text=balance.text * text, view=balance.view * view)
