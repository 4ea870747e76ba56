"""The networks that the golden files describe, filled with their weights."""

from __future__ import annotations

from typing import Any


def openlrm(numbers: Any) -> Any:
    from models.lrm.dinov2 import DinoV2Config
    from models.lrm.single_view import SingleViewConfig, SingleViewModel

    sizes = numbers.json("config")
    model, encoder = sizes["model"], sizes["encoder"]
    config = SingleViewConfig(
        "openlrm-1.1",
        DinoV2Config(
            width=encoder["embed_dim"],
            layers=encoder["depth"],
            heads=encoder["heads"],
            patch_size=encoder["patch"],
            image_size=encoder["img_size"],
            registers=encoder["registers"],
        ),
        model["camera_embed_dim"],
        model["transformer_dim"],
        model["transformer_layers"],
        model["transformer_heads"],
        model["triplane_low_res"],
        model["triplane_dim"],
        model["rendering_samples_per_ray"],
    )
    network = SingleViewModel(config)
    network.load_state_dict(numbers.weights("weights."), strict=True)
    return network.eval()


def mira(numbers: Any) -> Any:
    from models.lrm.configs import EncoderConfig
    from models.lrm.single_view import SingleViewConfig, SingleViewModel
    from models.lrm.single_view_names import renamed

    sizes = numbers.json("config")
    model, encoder = sizes["config"], sizes["encoder"]
    weights = {renamed(name, "mira"): each for name, each in numbers.weights("weights.").items()}
    config = SingleViewConfig(
        "mira",
        EncoderConfig(
            width=encoder["hidden"],
            layers=encoder["layers"],
            heads=encoder["heads"],
            inner_width=len(weights["encoder.model.encoder.layer.0.intermediate.dense.weight"]),
            image_size=encoder["pos_embed_image"],
            patch_size=encoder["patch"],
            camera_width=0,
            position_offset=0.0,
        ),
        model["camera_embed_dim"],
        model["decoder_hidden_dim"],
        model["num_layers"],
        model["num_heads"],
        model["triplane_feat_res"],
        model["triplane_dim"],
        model["rendering_samples_per_ray"],
    )
    network = SingleViewModel(config)
    network.load_state_dict(weights, strict=True)
    return network.eval()


def cameras_of(vectors: Any) -> tuple[Any, Any]:
    """Render vectors [V, 25] → poses [V, 4, 4] and intrinsics [V, 3, 3]."""
    return vectors[:, :16].view(-1, 4, 4), vectors[:, 16:].view(-1, 3, 3)
