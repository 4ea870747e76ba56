"""The published files: read as data, converted once, and told apart."""

import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from models.converted_folders import converted_folder  # noqa: E402
from models.headers import CheckpointDamaged, CheckpointForeign, CheckpointMissing, CheckpointUnwritable  # noqa: E402
from models.hi3d import names  # noqa: E402
from models.hi3d.files import ORBIT, PREFIX, REFINE, convert  # noqa: E402
from models.hi3d.loading import StageFiles, stage_sizes  # noqa: E402
from models.hi3d.pipeline import OrbitPipeline, RefinePipeline  # noqa: E402
from models.hi3d.published_names import published_unet, published_vae  # noqa: E402
from models.hi3d.tiny import LAYERS, VAE_LEVELS, tiny_tensors, write_tiny_stage  # noqa: E402
from models.writing import write_torch  # noqa: E402


def test_a_file_is_converted_once(checkpoints: Path, tmp_path: Path) -> None:
    file = checkpoints / ORBIT.file
    folder = convert(file, ORBIT, tmp_path)
    assert folder == converted_folder(file, tmp_path)
    times = {each: each.stat().st_mtime_ns for each in folder.rglob("*.safetensors")}
    assert len(times) == 5
    convert(file, ORBIT, tmp_path)
    OrbitPipeline.from_files(folder)
    assert {each: each.stat().st_mtime_ns for each in folder.rglob("*.safetensors")} == times


def test_a_file_that_changed_is_converted_anew_and_one_that_is_gone_is_not_needed(tmp_path: Path) -> None:
    file = write_tiny_stage(tmp_path / "first_stage.pt", ORBIT, frames=2)
    convert(file, ORBIT)
    write_tiny_stage(file, ORBIT, seed=1, frames=3)
    folder = convert(file, ORBIT)
    assert StageFiles(folder).frames == 3
    file.unlink()
    assert convert(file, ORBIT) == folder


def test_a_conversion_that_was_cut_off_does_not_count(checkpoints: Path, tmp_path: Path) -> None:
    folder = convert(checkpoints / REFINE.file, REFINE, tmp_path)
    (folder / "model_index.json").unlink()
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"cut")
    RefinePipeline.from_files(checkpoints / REFINE.file, kept=tmp_path)


def test_every_tensor_arrives_in_its_precision(checkpoints: Path) -> None:
    from safetensors.torch import load_file

    folder = convert(checkpoints / ORBIT.file, ORBIT)
    tensors = tiny_tensors(ORBIT)
    for part, prefix, back, number in (
        ("unet", names.UNET, published_unet, LAYERS),
        ("vae", names.VAE, published_vae, VAE_LEVELS),
    ):
        found = back(load_file(folder / part / "diffusion_pytorch_model.safetensors"), number)
        expected = names.under(tensors, PREFIX + prefix)
        assert found.keys() == expected.keys()
        for name, each in expected.items():
            assert found[name].dtype == each.dtype and torch.equal(found[name], each), name


def test_the_second_autoencoder_is_kept_only_where_it_differs(checkpoints: Path, tmp_path: Path) -> None:
    assert "condition_vae" not in stage_sizes(convert(checkpoints / ORBIT.file, ORBIT))
    usual = names.under(tiny_tensors(ORBIT), PREFIX + names.VAE)
    for name, expected in (("decoder.conv_in.bias", False), ("encoder.conv_in.bias", True)):
        other = {**usual, name: usual[name] + 1.0}
        file = write_tiny_stage(tmp_path / f"{name}.pt", ORBIT, frames=2, second_vae=other)
        found = OrbitPipeline.from_files(file).files
        assert (found.condition_vae == "condition_vae") is expected
        if expected:
            biases = [found.parts[each].encoder.conv_in.bias for each in ("vae", "condition_vae")]
            assert torch.equal(biases[0] + 1.0, biases[1])


def test_the_wrong_order_is_told(checkpoints: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointForeign, match=r"stage 1, the orbit.*give second_stage\.pt.*wrong way round"):
        RefinePipeline.from_files(checkpoints / ORBIT.file, kept=tmp_path)
    with pytest.raises(CheckpointForeign, match=r"stage 2, the refinement.*give first_stage\.pt"):
        OrbitPipeline.from_files(checkpoints / REFINE.file, kept=tmp_path)
    folder = convert(checkpoints / ORBIT.file, ORBIT)
    with pytest.raises(CheckpointForeign, match="wrong way round"):
        RefinePipeline.from_files(folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_cut_file_is_told(checkpoints: Path, tmp_path: Path, share: float) -> None:
    whole = (checkpoints / ORBIT.file).read_bytes()
    file = tmp_path / "first_stage.pt"
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointDamaged, match=r"first_stage\.pt is cut off"):
        OrbitPipeline.from_files(file)
    assert list(tmp_path.iterdir()) == [file]


def test_a_hole_in_the_middle_is_told(checkpoints: Path, tmp_path: Path) -> None:
    content = bytearray((checkpoints / ORBIT.file).read_bytes())
    content[len(content) // 2] ^= 0xFF
    file = tmp_path / "first_stage.pt"
    file.write_bytes(content)
    with pytest.raises(CheckpointDamaged, match="delete it and download it again"):
        OrbitPipeline.from_files(file)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match="first_stage"):
        OrbitPipeline.from_files(tmp_path / "first_stage.pt")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"state_dict": {}}, "no entry 'module'"),
        ({"module": {"module.a": torch.ones(2)}}, "is not first_stage.pt"),
        ({"module": {"module.a": "b"}}, "is no tensor"),
    ],
)
def test_other_files_are_refused(content: Any, says: str, tmp_path: Path) -> None:
    file = write_torch(tmp_path / "first_stage.pt", content)
    with pytest.raises(CheckpointForeign, match=says):
        OrbitPipeline.from_files(file)


def test_a_network_that_lacks_a_tensor_or_has_one_too_many(tmp_path: Path) -> None:
    usual = tiny_tensors(ORBIT)
    name = f"{PREFIX}{names.UNET}middle_block.0.in_layers.2.weight"
    for tensors in (
        {each: tensor for each, tensor in usual.items() if each != name},
        {**usual, f"{PREFIX}{names.UNET}middle_block.7.in_layers.2.weight": torch.ones(1)},
        {**usual, name: torch.ones(3)},
    ):
        file = write_torch(tmp_path / "first_stage.pt", {"module": tensors})
        with pytest.raises(CheckpointForeign, match=r"first_stage\.pt"):
            OrbitPipeline.from_files(file)


@pytest.mark.parametrize("sizes", [{"frames": 0}, {"size": True}, {"frames": 10**9}, 3])
def test_sizes_out_of_range(sizes: Any, tmp_path: Path) -> None:
    file = write_torch(tmp_path / "first_stage.pt", {"module": tiny_tensors(ORBIT), "sizes": sizes})
    with pytest.raises(CheckpointForeign, match="sizes states"):
        OrbitPipeline.from_files(file)


def test_a_file_that_holds_a_program_is_not_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> Any:
            return (pickle.loads, (b"cos\nsystem\n(S'false'\ntR.",))

    file = tmp_path / "first_stage.pt"
    torch.save({"module": {"module.a": Harmful()}}, file)
    with pytest.raises(CheckpointForeign, match="more than weights"):
        OrbitPipeline.from_files(file)


def test_deepspeed_s_own_file_is_read(tmp_path: Path) -> None:
    """Protocol 2, sets and sizes beside the weights, as the published ones have."""
    from collections import OrderedDict

    tensors = OrderedDict(tiny_tensors(REFINE, frames=2))
    content = {
        "module": tensors,
        "sizes": {"frames": 2, "size": 512},
        "buffer_names": {"a", "b"},
        "param_shapes": [OrderedDict((name, each.shape) for name, each in tensors.items())],
        "sparse_tensor_module_names": set(),
        "optimizer": None,
        "lr_scheduler": None,
        "ds_version": "0.9.5",
    }
    file = tmp_path / "second_stage.pt"
    torch.save(content, file, pickle_protocol=2)
    with pytest.raises(CheckpointForeign, match="depth_estimator is for 32 where 192 is needed"):
        RefinePipeline.from_files(file)
    content["sizes"] = {"frames": 2, "size": 128}
    torch.save(content, file, pickle_protocol=2)
    assert RefinePipeline.from_files(file).frames == 2


def test_a_place_that_cannot_be_written(checkpoints: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file")
    with pytest.raises((CheckpointUnwritable, CheckpointMissing)):
        OrbitPipeline.from_files(checkpoints / ORBIT.file, kept=place)
