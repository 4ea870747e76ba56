"""Checkpoints of OpenLRM and MIRA are written in their published layouts, read back equal, and judged in words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.headers import CheckpointDamaged, CheckpointError, CheckpointForeign, CheckpointMissing  # noqa: E402
from models.lrm.cameras import source_vectors  # noqa: E402
from models.lrm.configs import EncoderConfig  # noqa: E402
from models.lrm.dinov2 import DinoV2Config  # noqa: E402
from models.lrm.fields import DensityField  # noqa: E402
from models.lrm.single_view import SingleViewConfig, SingleViewModel  # noqa: E402
from models.lrm.single_view_files import claims, open_single_view, write_mira, write_openlrm  # noqa: E402
from models.lrm.single_view_names import as_generation  # noqa: E402
from models.lrm.single_view_tiny import SOURCE_SIZES, tiny_single_view, write_tiny_single_view  # noqa: E402

OLD = EncoderConfig(24, 1, 1, 48, 32, 8, camera_width=0, position_offset=0.0)
SMALL = SingleViewConfig("openlrm-1.1", DinoV2Config(24, 1, 1, 8, 32, 2), 20, 32, 2, 4, 4, 6, 16)
CONFIGS = {
    "openlrm-1.1": SMALL,
    "openlrm-1.0": replace(SMALL, generation="openlrm-1.0", encoder=OLD, width=24),
    "mira": replace(SMALL, generation="mira", encoder=OLD),
}


def network_of(generation: str) -> SingleViewModel:
    torch.manual_seed(3)
    return SingleViewModel(CONFIGS[generation]).eval()


def write(network: SingleViewModel, folder: Path, dtype: Any = None) -> Path:
    if network.config.generation == "mira":
        settings = {"source_size": 24, "render_size": 20}
        return write_mira(network, folder / "checkpoint_7.pt", 7, settings, dtype=dtype)
    return write_openlrm(network, folder, 24, 20, dtype=dtype)


def equal(one: Any, other: Any) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


@pytest.mark.parametrize("generation", CONFIGS)
def test_what_was_written_is_read_back(generation: str, tmp_path: Path) -> None:
    network = network_of(generation)
    file = write(network, tmp_path)
    for path in (file, tmp_path):
        claim = claims(path)
        assert (claim.file, claim.config, claim.generation) == (file, network.config, generation)
        assert (claim.source_size, claim.render_size) == (24, 20)
        assert claim.bytes == 4 * claim.parameters == 4 * sum(each.numel() for each in network.parameters())
    opened = open_single_view(tmp_path)
    assert equal(opened, network)
    assert not opened.training and not any(each.requires_grad for each in opened.parameters())


@pytest.mark.parametrize("generation", ["openlrm-1.1", "mira"])
def test_sixteen_bits_are_kept_small_where_they_suffice(generation: str, tmp_path: Path) -> None:
    network = network_of(generation)
    write(network, tmp_path, torch.float16)
    claim = claims(tmp_path)
    assert claim.bytes == 2 * claim.parameters
    opened = open_single_view(tmp_path, dtype=torch.bfloat16)
    assert (
        opened.pos_embed.dtype
        == opened.encoder.model.state_dict()["embeddings.cls_token" if generation == "mira" else "cls_token"].dtype
        == torch.bfloat16
    )
    assert opened.synthesizer.decoder.net[0].weight.dtype == torch.float32
    pictures, cameras = torch.rand(1, 3, 24, 24), source_vectors(claim.config)
    with torch.no_grad():
        planes, expected = opened.planes(pictures, cameras), network.planes(pictures, cameras)
    assert planes.dtype == torch.float32 and (planes - expected).abs().max() < 0.05 * expected.abs().max()


def test_a_checkpoint_of_one_order_becomes_one_of_the_other(tmp_path: Path) -> None:
    old = network_of("openlrm-1.0")
    write(as_generation(old, "mira"), tmp_path)
    opened = open_single_view(tmp_path)
    pictures = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        expected = old.planes(pictures, source_vectors(old.config, 1.7))
        found = opened.planes(pictures, source_vectors(opened.config, 1.7))
    assert torch.allclose(found, expected, atol=1e-5)


def test_of_several_checkpoints_the_highest_number_counts(tmp_path: Path) -> None:
    network = network_of("mira")
    for number in (9, 10, 2):
        write_mira(network, tmp_path / f"checkpoint_{number}.pt", number, {"source_size": 24})
    assert claims(tmp_path).file.name == "checkpoint_10.pt"


def test_published_folders_of_openlrm_tell_no_sizes_of_pictures(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    network = SingleViewModel(replace(SMALL, encoder=DinoV2Config(24, 1, 1, 14, 28, 2)))
    file = write_openlrm(network, tmp_path, 28, 28)
    save_file(load_file(file), file)
    claim = claims(tmp_path)
    assert (claim.source_size, claim.render_size) == (224, 192)


def test_the_configuration_beside_the_old_pickle_is_not_needed(tmp_path: Path) -> None:
    network = network_of("openlrm-1.0")
    write(network, tmp_path)
    (tmp_path / "config.json").write_text('{"model": "lrm",}')
    assert equal(open_single_view(tmp_path), network)


def change_json(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "config.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def set_to(name: str, value: Any) -> Callable[[Path], None]:
    return lambda folder: change_json(folder, lambda content: content.update({name: value}))


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: change_json(folder, lambda content: content.pop(name))


def cut(folder: Path) -> None:
    (file,) = (each for each in folder.iterdir() if each.name != "config.json")
    file.write_bytes(file.read_bytes()[:-1000])


def repickled(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (file,) = folder.glob("*.pt*")
        content = torch.load(file)
        change(content)
        torch.save(content, file)

    return act


def no_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()


def configuration_of_the_other(folder: Path) -> None:
    write(network_of("openlrm-1.1"), folder / "other")
    (folder / "other" / "config.json").replace(folder / "config.json")


def names_of_the_other(folder: Path) -> None:
    from safetensors.torch import save_file

    from models.lrm.single_view_names import published_name

    tensors = network_of("mira").state_dict()
    save_file({published_name(name, "mira"): each for name, each in tensors.items()}, folder / "model.safetensors")


def is_damaged(folder: Path) -> None:
    (folder / "config.json").write_text('{"transformer_dim": ')


WRONG = [
    ("openlrm-1.1", no_configuration, CheckpointMissing, "config.json is missing"),
    ("openlrm-1.1", is_damaged, CheckpointDamaged, "not readable JSON"),
    ("openlrm-1.1", without("transformer_heads"), CheckpointForeign, "lacks transformer_heads"),
    ("openlrm-1.1", set_to("transformer_dim", 48), CheckpointForeign, "transformer_dim is 48, and the tensors"),
    ("openlrm-1.1", set_to("transformer_layers", 1_000_000), CheckpointForeign, "transformer_layers is 1000000"),
    ("openlrm-1.1", set_to("triplane_low_res", -1), CheckpointForeign, "is no size"),
    ("openlrm-1.1", set_to("transformer_heads", 5), CheckpointForeign, "cannot be shared by 5"),
    ("openlrm-1.1", set_to("rendering_samples_per_ray", 7), CheckpointForeign, "samples along a ray"),
    ("openlrm-1.1", set_to("rendering_samples_per_ray", 1_000_000), CheckpointForeign, "1000000 samples along a ray"),
    ("openlrm-1.1", set_to("encoder_type", "dino"), CheckpointForeign, "encoder_type is 'dino'"),
    ("openlrm-1.1", names_of_the_other, CheckpointForeign, "names of mira in the layout of openlrm-1.1"),
    ("openlrm-1.1", cut, CheckpointDamaged, "incomplete"),
    ("openlrm-1.0", cut, CheckpointDamaged, "cut off"),
    ("openlrm-1.0", repickled(lambda content: content.pop("kwargs")), CheckpointForeign, "with which arguments"),
    ("openlrm-1.0", repickled(lambda content: content.pop("weights")), CheckpointForeign, "another checkpoint"),
    (
        "openlrm-1.0",
        repickled(lambda content: content["kwargs"]["infer"].update(source_size=30)),
        CheckpointForeign,
        "source_size is 30",
    ),
    ("mira", no_configuration, CheckpointMissing, "does not tell its sizes"),
    ("mira", configuration_of_the_other, CheckpointForeign, "lacks batch_size"),
    ("mira", without("data_dir"), CheckpointForeign, "lacks data_dir"),
    ("mira", set_to("colour", 1), CheckpointForeign, "has colour, which MIRA's"),
    ("mira", set_to("camera_matrix_dim", 16), CheckpointForeign, "camera_matrix_dim is 16"),
    ("mira", set_to("focal_length", 1.09), CheckpointForeign, "focal_length is 1.09"),
    ("mira", cut, CheckpointDamaged, "cut off"),
    (
        "mira",
        repickled(lambda content: content["model_state_dict"].update(huge=torch.zeros(1).expand(10**15))),
        CheckpointDamaged,
        "a tensor claims 1000000000000000 values",
    ),
    ("mira", set_to("source_size", 8_000_000), CheckpointForeign, "is no size"),
    ("mira", set_to("source_size", 8_000), CheckpointForeign, "4096 at most"),
    (
        "mira",
        repickled(lambda content: content["model_state_dict"].pop("renderer.decoder.net.6.bias")),
        CheckpointForeign,
        "synthesizer.decoder.net.6.bias is missing",
    ),
    (
        "mira",
        repickled(lambda content: content.update(model_state_dict=network_of("openlrm-1.0").state_dict())),
        CheckpointForeign,
        "names of openlrm-1.1 in the layout of mira",
    ),
]


@pytest.mark.parametrize(
    ("generation", "spoil", "error", "words"), WRONG, ids=[f"{each[0]}-{each[3][:24]}" for each in WRONG]
)
def test_what_is_wrong_is_said(
    generation: str, spoil: Callable[[Path], None], error: type[CheckpointError], words: str, tmp_path: Path
) -> None:
    write(network_of(generation), tmp_path)
    spoil(tmp_path)
    for read in (claims, open_single_view):
        with pytest.raises(error, match=words.replace("(", r"\(")):
            read(tmp_path)


@pytest.mark.parametrize("generation", CONFIGS)
def test_a_tensor_without_numbers_is_damage(generation: str, tmp_path: Path) -> None:
    network = network_of(generation)
    weight = network.transformer.layers[0].mlp[0].weight
    for number in (math.nan, math.inf, -math.inf):
        with torch.no_grad():
            weight[1, 2:4] = number
        write(network, tmp_path)
        claims(tmp_path)  # reads headers alone
        with pytest.raises(CheckpointDamaged, match=r"transformer\.layers\.0\.mlp\.0\.weight has 2 of"):
            open_single_view(tmp_path)


def test_large_numbers_are_no_damage(tmp_path: Path) -> None:
    network = network_of("openlrm-1.1")
    with torch.no_grad():
        network.transformer.layers[0].mlp[0].weight.fill_(3e38)
    write(network, tmp_path)
    assert equal(open_single_view(tmp_path), network), "their sum is infinite, but none of them"
    half = open_single_view(tmp_path, dtype=torch.float16)
    assert bool(half.transformer.layers[0].mlp[0].weight.isinf().all()), "the file is sound; its numbers are too large"


def test_an_empty_folder_and_a_file_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match=r"holds no model\.safetensors"):
        claims(tmp_path)
    with pytest.raises(CheckpointMissing, match="give a checkpoint"):
        claims(tmp_path / "nothing.pt")
    (tmp_path / "checkpoint_1.pt").write_text("nothing")
    with pytest.raises(CheckpointDamaged, match="no checkpoint of torch"):
        claims(tmp_path)


class Evil:
    """Would run something when it is unpickled."""

    def __reduce__(self) -> Any:
        return (print, ("must not be seen",))


def test_programs_in_a_pickle_do_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = network_of("openlrm-1.0")
    file = write(network, tmp_path)
    repickled(lambda content: content.update(more=Evil()))(tmp_path)
    assert equal(open_single_view(file), network)
    assert "must not be seen" not in capsys.readouterr().out


def test_what_training_kept_besides_weights_does_not_disturb(tmp_path: Path) -> None:
    network = network_of("mira").train()
    optimiser = torch.optim.AdamW(network.parameters())
    network.planes(torch.rand(1, 3, 24, 24), source_vectors(network.config)).sum().backward()
    optimiser.step()
    file = write_mira(network, tmp_path / "checkpoint_1.pt", 1, {"source_size": 24}, optimiser.state_dict())
    assert claims(file).parameters == sum(each.numel() for each in network.parameters())
    assert equal(open_single_view(file), network)


def test_what_no_layout_can_tell_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointForeign, match="no room"):
        write_openlrm(SingleViewModel(replace(SMALL, encoder=DinoV2Config(24, 1, 2, 8, 32, 2))), tmp_path, 24, 20)
    with pytest.raises(CheckpointForeign, match="source_size is 30"):
        write_openlrm(network_of("openlrm-1.1"), tmp_path, 30, 20)
    with pytest.raises(ValueError, match="no setting colour"):
        write_mira(network_of("mira"), tmp_path / "checkpoint_1.pt", 1, {"colour": 1})
    with pytest.raises(CheckpointForeign, match="as_generation"):
        write_openlrm(network_of("mira"), tmp_path, 24, 20)
    with pytest.raises(CheckpointForeign, match="as_generation"):
        write_mira(network_of("openlrm-1.0"), tmp_path / "checkpoint_1.pt", 1, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("generation", SOURCE_SIZES)
def test_the_tiny_checkpoints_are_a_closed_blob_that_sees_its_picture(generation: Any, tmp_path: Path) -> None:
    file = write_tiny_single_view(tmp_path, generation)
    claim, network = claims(file), open_single_view(file)
    assert file.stat().st_size < 5e6 and claim.generation == generation
    assert equal(network, tiny_single_view(generation))
    torch.manual_seed(4)
    pictures = torch.rand(2, 3, claim.source_size, claim.source_size)
    with torch.no_grad():
        planes = network.planes(pictures, source_vectors(claim.config, [2.0, 2.0]))
        fields = [DensityField(network.synthesizer.decoder, each) for each in planes]
        directions = torch.nn.functional.normalize(torch.randn(200, 3), dim=1)
        assert all(bool((field.density(directions * 0.35) > 3).all()) for field in fields)
        assert all(bool((field.density(directions * 0.85) < 3).all()) for field in fields)
        one, other = (field.colour(directions * 0.6) for field in fields)
    assert float((one - other).abs().max()) > 0.01 and float(one.std(0).min()) > 0.03
