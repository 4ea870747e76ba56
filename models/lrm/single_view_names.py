"""What the three generations of single-view checkpoints call their tensors, and how one becomes another.

`SingleViewModel` has the names of OpenLRM 1.1. Shapes do not tell the generations apart where it matters most: MIRA's
norms give the scale before the shift, OpenLRM's the shift before the scale, in one matrix of the same shape. So the
names decide, and a network is brought to another order on purpose only (`as_generation`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from models.lrm.configs import EncoderConfig
from models.lrm.single_view import Generation, SingleViewConfig, SingleViewModel

PLACES: dict[Generation, tuple[tuple[str, str], ...]] = {
    "openlrm-1.0": (("transformer.pos_embed", "pos_embed"), ("transformer.deconv", "upsampler")),
    "mira": (
        ("transformer.encoder", "encoder"),
        ("transformer.camera_embeddings", "camera_embedder"),
        ("transformer.decoder.pos_embed", "pos_embed"),
        ("transformer.decoder.upsample", "upsampler"),
        ("transformer.decoder", "transformer"),
        ("renderer", "synthesizer"),
    ),
    "openlrm-1.1": (),
}
"""Where parts lie in the published checkpoint and here; of two that fit a name, the first holds."""

POSE_NUMBERS = 12, 16
"""Of a camera's numbers, those of its pose: three rows of it, or all four with (0, 0, 0, 1)."""


def renamed(name: str, generation: Generation) -> str:
    """Name of a tensor in a published checkpoint → its name in `SingleViewModel`."""
    name = _moved(name, PLACES[generation])
    if generation == "mira":
        name = re.sub(r"\.modulated_norm_(\d)\.", r".norm\1.", name).replace(".gamma_beta_mlp.", ".mlp.")
    return name


def published_name(name: str, generation: Generation) -> str:
    """Name of a tensor in `SingleViewModel` → its name in a published checkpoint."""
    if generation == "mira":
        name = re.sub(r"\.norm(\d)\.norm\.", r".modulated_norm_\1.norm.", name)
        name = re.sub(r"\.norm(\d)\.mlp\.", r".modulated_norm_\1.gamma_beta_mlp.", name)
    return _moved(name, [(here, there) for there, here in PLACES[generation]])


def generation_of(names: Collection[str]) -> Generation | None:
    """Whose names these are; None for those of another network."""
    if "transformer.decoder.pos_embed" in names:
        return "mira"
    if "transformer.pos_embed" in names:
        return "openlrm-1.0"
    return "openlrm-1.1" if "pos_embed" in names else None


def as_generation(network: SingleViewModel, generation: Generation) -> SingleViewModel:
    """The same function, copied into a network of MIRA or of OpenLRM 1.0: another order, another camera.

    Raises:
        ValueError: from or to OpenLRM 1.1, whose encoder is another.
    """
    config = replace(network.config, generation=generation)
    if not isinstance(config.encoder, EncoderConfig):
        raise ValueError("OpenLRM 1.1 has another encoder; its checkpoints cannot become those of other generations.")
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if (generation == "mira") is not (network.config.generation == "mira"):
        for name, tensor in state.items():
            if re.search(r"\.norm\d\.mlp\.1\.", name):
                state[name] = tensor.roll(len(tensor) // 2, 0)
        _change_cameras(state, config)
    with torch.device("meta"):
        other = SingleViewModel(config)
    other.load_state_dict(state, strict=True, assign=True)
    return other.train(network.training)


def _moved(name: str, places: Collection[tuple[str, str]]) -> str:
    for old, new in places:
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name


def _change_cameras(state: dict[str, Tensor], config: SingleViewConfig) -> None:
    """The first layer of the camera's embedder gets, or loses, the columns of the last row of a pose, 0 0 0 1."""
    weight, bias = (f"camera_embedder.mlp.0.{kind}" for kind in ("weight", "bias"))
    three, four = POSE_NUMBERS
    columns = state[weight]
    if config.camera_numbers == 20:
        last_row = columns.new_zeros(len(columns), four - three)
        state[weight] = torch.cat([columns[:, :three], last_row, columns[:, three:]], dim=1)
    else:
        state[bias] = state[bias] + columns[:, four - 1]
        state[weight] = torch.cat([columns[:, :three], columns[:, four:]], dim=1)
