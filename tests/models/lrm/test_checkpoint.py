"""A `.ckpt` loads whole and unchanged, runs nothing, and is refused by name where it does not fit."""

import argparse
import collections
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.loading import CheckpointDamaged, CheckpointError, CheckpointForeign, CheckpointMissing  # noqa: E402
from models.lrm.checkpoint import PREFIX  # noqa: E402
from models.lrm.model import InstantMeshModel  # noqa: E402
from models.lrm.tiny import ENCODER, TRANSFORMER, tiny_network  # noqa: E402


class Settings:
    """What a training run may have saved along: a class of its own, with code that must not run."""

    ran = False

    def __init__(self) -> None:
        self.rate = 4e-4

    def __setstate__(self, state: Any) -> None:
        type(self).ran = True


@pytest.fixture
def path(tiny_checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the mesh variant that a test may break."""
    return Path(shutil.copy(tiny_checkpoints["mesh"], tmp_path / "instant_mesh_tiny.ckpt"))


def rewrite(path: Path, change: Any) -> None:
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def refused(path: Path, kind: type[CheckpointError], *words: str) -> None:
    """Opening fails with these words and leaves nothing behind."""
    folder = path.parent / "converted"
    with pytest.raises(kind) as caught:
        InstantMeshModel.from_checkpoint(path, converted=folder)
    assert all(word in str(caught.value) for word in (path.name, *words)), str(caught.value)
    assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.parametrize("kind", ["mesh", "density"])
def test_what_was_written_is_what_is_loaded(kind: Any, tiny_checkpoints: dict[str, Path], tmp_path: Path) -> None:
    opened = InstantMeshModel.from_checkpoint(tiny_checkpoints[kind], converted=tmp_path)
    expected = tiny_network(kind).state_dict()
    loaded = opened.network.state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in loaded)
    assert not any(parameter.requires_grad for parameter in opened.network.parameters())
    assert (opened.config.kind, opened.config.encoder, opened.config.transformer) == (kind, ENCODER, TRANSFORMER)
    assert opened.config.variant is None
    assert opened.loaded_bytes == sum(tensor.nbytes for tensor in expected.values())


def test_cameras_and_decoders_stay_in_full_precision(path: Path) -> None:
    network = InstantMeshModel.from_checkpoint(path, dtype=torch.float16).network
    for name, tensor in network.state_dict().items():
        small = name.startswith(("synthesizer.", "encoder.camera_embedder."))
        assert tensor.dtype == (torch.float32 if small else torch.float16), name


def test_the_converted_form_is_made_once_and_is_enough(path: Path) -> None:
    folder = path.parent / "converted"
    first = InstantMeshModel.from_checkpoint(path, converted=folder).network.state_dict()
    (form,) = folder.iterdir()
    made = form.stat().st_mtime_ns
    InstantMeshModel.from_checkpoint(path, converted=folder)
    assert form.stat().st_mtime_ns == made
    path.unlink()
    for where in (path, form):
        again = InstantMeshModel.from_checkpoint(where, converted=folder).network.state_dict()
        assert all(torch.equal(first[name], again[name]) for name in first)


def test_another_file_of_the_same_name_is_not_taken_for_the_old_one(path: Path) -> None:
    folder = path.parent / "converted"
    InstantMeshModel.from_checkpoint(path, converted=folder)
    rewrite(path, lambda content: content["state_dict"][PREFIX + "transformer.norm.bias"].fill_(3.0))
    opened = InstantMeshModel.from_checkpoint(path, converted=folder)
    assert (opened.network.transformer.norm.bias == 3.0).all()


def test_a_damaged_converted_form_is_made_again(path: Path) -> None:
    folder = path.parent / "converted"
    InstantMeshModel.from_checkpoint(path, converted=folder)
    (form,) = folder.iterdir()
    form.write_bytes(form.read_bytes()[:-100])
    InstantMeshModel.from_checkpoint(path, converted=folder)


def test_settings_of_the_training_neither_run_nor_stand_in_the_way(path: Path) -> None:
    def with_settings(content: Any) -> None:
        content["hyper_parameters"] = argparse.Namespace(lr=4e-4, nested=Settings())
        content["callbacks"] = {"counts": collections.Counter("aab"), "place": Path("/tmp"), "class": Settings}

    rewrite(path, with_settings)
    Settings.ran = False
    InstantMeshModel.from_checkpoint(path)
    assert not Settings.ran


def test_on_the_meta_device_a_checkpoint_is_only_checked(path: Path) -> None:
    opened = InstantMeshModel.from_checkpoint(path, "meta")
    assert opened.device.type == "meta"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "name",
    [
        "transformer.pos_embed",
        "transformer.layers.0.cross_attn.k_proj_weight",
        "encoder.model.encoder.layer.1.adaLN_modulation.1.bias",
        "encoder.model.embeddings.position_embeddings",
        "synthesizer.decoder.net_weight.6.bias",
    ],
)
def test_a_tensor_that_lacks_or_does_not_fit_is_named(name: str, path: Path) -> None:
    whole = path.read_bytes()
    rewrite(path, lambda content: content["state_dict"].pop(PREFIX + name))
    refused(path, CheckpointForeign, name, "missing")
    path.write_bytes(whole)
    rewrite(path, lambda content: content["state_dict"].update({PREFIX + name: torch.zeros(3, 7, 5, 2, 1)}))
    refused(path, CheckpointForeign, name, "[3, 7, 5, 2, 1]")


def test_a_tensor_too_many_or_of_another_type_is_named(path: Path) -> None:
    whole = path.read_bytes()
    extra = "transformer.layers.0.gate.weight"
    rewrite(path, lambda content: content["state_dict"].update({PREFIX + extra: torch.zeros(1)}))
    refused(path, CheckpointForeign, extra, "unknown")
    path.write_bytes(whole)
    name = "transformer.norm.bias"
    rewrite(path, lambda content: content["state_dict"].update({PREFIX + name: torch.zeros(128, dtype=torch.int64)}))
    refused(path, CheckpointForeign, name)


def test_other_files_are_refused(path: Path) -> None:
    whole = path.read_bytes()
    for content, kind in (
        (b"", CheckpointDamaged),
        (b"version https://git-lfs.github.com/spec/v1\n", CheckpointDamaged),
        (b"<html>404</html>", CheckpointDamaged),
        (whole[: len(whole) // 2], CheckpointDamaged),
        (whole[:-10], CheckpointDamaged),
    ):
        path.write_bytes(content)
        refused(path, kind)
    for foreign in ({"state_dict": {"lpips.w": torch.zeros(1)}}, [1, 2], {"state_dict": {}}):
        torch.save(foreign, path)
        refused(path, CheckpointForeign)
    path.unlink()
    refused(path, CheckpointMissing)
