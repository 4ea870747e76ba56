"""Every tensor of the published files has its place, by name and shape, in networks built from nothing but shapes."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.converted_folders import part_network  # noqa: E402
from models.hi3d import encoder_names, names  # noqa: E402
from models.hi3d.files import ORBIT, REFINE, Stage, contents  # noqa: E402
from models.hi3d.files import PREFIX as DEEPSPEED  # noqa: E402

STAGES = {"stage1": ORBIT, "stage2": REFINE}
LEFT = {
    "text_projection",
    "positional_embedding",
    "logit_scale",
    "token_embedding.weight",
    "ln_final.weight",
    "ln_final.bias",
}
"""Of the text models whose transformers are gone: the networks need none of it."""

FILE = Path("published.pt")


def published(manifest: Any, name: str) -> dict[str, Any]:
    """All tensors of a stage as its file has them, without content."""
    stage = manifest["stages"][name]
    groups = [stage["unet"], stage["first_stage_vae"], *stage["conditioners"].values()]
    with torch.device("meta"):
        return {f"{DEEPSPEED}{key}": torch.empty(shape) for group in groups for key, shape in group.items()}


@pytest.fixture(scope="module", params=sorted(STAGES))
def stage(request: pytest.FixtureRequest) -> tuple[str, Stage]:
    return request.param, STAGES[request.param]


@pytest.fixture(scope="module")
def found(manifest: Any, stage: tuple[str, Stage]) -> Any:
    return contents(published(manifest, stage[0]), stage[1])


def test_each_network_is_filled_to_the_last_tensor(found: Any) -> None:
    for part in found.parts.values():
        network = part_network(part, FILE)
        expected = {
            name: tuple(each.shape) for name, each in network.state_dict().items() if not name.endswith("position_ids")
        }
        assert {name: tuple(each.shape) for name, each in part.tensors.items()} == expected


def test_the_counts_are_the_published_ones(manifest: Any, stage: tuple[str, Stage], found: Any) -> None:
    stated = manifest["stages"][stage[0]]
    for part, key in (("unet", "unet"), ("vae", "first_stage_vae")):
        tensors = found.parts[part].tensors
        assert len(tensors) == stated["tensor_counts"][key]
        assert sum(each.numel() for each in tensors.values()) == stated["parameter_counts"][key]
    assert len(found.parts["unet"].tensors) == 1428
    assert len(found.parts["vae"].tensors) == 248
    assert set(found.parts) == {
        "unet",
        "vae",
        "image_encoder",
        "score_encoder" if stage[1] is ORBIT else "depth_estimator",
    }


def test_no_tensor_is_left_over_but_those_of_text(manifest: Any, stage: tuple[str, Stage]) -> None:
    taken = (
        names.UNET,
        names.VAE,
        names.SECOND_VAE,
        encoder_names.IMAGE_TOWER,
        encoder_names.SCORE_TOWER,
        encoder_names.SCORE_HEAD,
        encoder_names.DEPTH,
    )
    for name in published(manifest, stage[0]):
        inside = name.removeprefix(DEEPSPEED)
        if not inside.startswith(taken):
            assert any(inside.endswith(f"model.{each}") for each in LEFT), name


def test_what_no_shape_tells_is_as_published(manifest: Any, stage: tuple[str, Stage], found: Any) -> None:
    from models.hi3d import files, schedule, shapes

    model = manifest["configs"]["inference-v01" if stage[1] is ORBIT else "inference-v02"]["model"]["params"]
    unet, config = model["network_config"]["params"], found.parts["unet"].config
    assert unet["num_head_channels"] == shapes.HEAD_CHANNELS
    assert config["in_channels"] == unet["in_channels"]
    assert config["projection_class_embeddings_input_dim"] == unet["adm_in_channels"]
    widths = [unet["model_channels"] * each for each in unet["channel_mult"]]
    assert config["block_out_channels"] == widths
    attend = [2**level in unet["attention_resolutions"] for level in range(len(widths))]
    assert ["CrossAttn" in each for each in config["down_block_types"]] == attend
    assert config["num_attention_heads"] == [width // unet["num_head_channels"] for width in widths]
    assert config["cross_attention_dim"] == unet["context_dim"]
    assert config["layers_per_block"] == unet["num_res_blocks"]
    assert model["scale_factor"] == found.parts["vae"].config["scaling_factor"]
    sampler = model["sampler_config"]["params"]
    assert sampler["num_steps"] == schedule.STEPS
    assert sampler["discretization_config"]["params"]["sigma_max"] == schedule.SIGMA_MAX
    guider = sampler["guider_config"]["params"]
    assert (guider["num_frames"], guider["max_scale"], guider["min_scale"]) == (files.FRAMES, stage[1].largest, 1.0)


def test_the_epsilons_are_the_reference_s(found: Any) -> None:
    from models.hi3d.unet import EPSILON, as_published

    network = as_published(part_network(found.parts["unet"], FILE))
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.GroupNorm):
            inside = "_res_block." in name or name == "conv_norm_out"
            assert module.eps == (EPSILON if inside else 1e-6), name
