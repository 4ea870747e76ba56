"""Checkpoints of torch's own format are read as data, converted once, and refused in words when they are not sound."""

import io
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file  # noqa: E402

from models import pickled, pickled_strangers  # noqa: E402
from models.loading import (  # noqa: E402
    CheckpointDamaged,
    CheckpointError,
    CheckpointForeign,
    CheckpointMissing,
    read_header,
)
from models.pickled import converted, pickled_headers, read_pickled  # noqa: E402
from models.writing import write_safetensors, write_whole  # noqa: E402

TENSORS = {
    "a.half": torch.arange(7, dtype=torch.float16),
    "a.weight": torch.arange(40_000.0).reshape(200, 200),
    "b.brain": torch.ones(3, dtype=torch.bfloat16),
    "b.nothing": torch.empty(0, 4),
    "c.number": torch.tensor(2.5),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    torch.save(TENSORS, path)
    return path


def same(found: Any, expected: Any = TENSORS) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], expected[name]) and found[name].dtype == expected[name].dtype for name in expected
    )


def test_the_converted_form_holds_the_same_bits(file: Path) -> None:
    target = converted(file)
    assert target.parent == file.parent
    assert same(load_file(target))
    assert {name: header.shape for name, header in pickled_headers(file).items()} == {
        name: header.shape for name, header in read_header(target).items()
    }


def test_names_can_be_changed_and_left_out(file: Path, tmp_path: Path) -> None:
    def rename(name: str) -> str | None:
        return name.removeprefix("a.") if name.startswith("a.") else None

    target = converted(file, tmp_path / "kept", rename)
    assert target.parent == tmp_path / "kept"
    assert same(load_file(target), {"half": TENSORS["a.half"], "weight": TENSORS["a.weight"]})
    assert set(pickled_headers(file, rename)) == {"half", "weight"}


def test_a_file_is_converted_once_and_again_when_it_changes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = converted(file)
    written = target.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(pickled, "write_safetensors", lambda *rest: pytest.fail("converted again"))
        assert converted(file) == target
        os.utime(file)
        assert converted(file) == target
    torch.save({"other": torch.ones(2)}, file)
    assert converted(file) == target
    assert target.stat().st_mtime_ns != written
    assert set(read_header(target)) == {"other"}
    file.unlink()
    assert converted(file) == target


def test_a_damaged_converted_form_is_made_anew(file: Path) -> None:
    target = converted(file)
    target.write_bytes(target.read_bytes()[:-1])
    assert same(load_file(converted(file)))


def test_a_training_checkpoint_gives_its_state(tmp_path: Path) -> None:
    file = tmp_path / "model.ckpt"
    torch.save({"state_dict": TENSORS, "epoch": 3, "optimizer_states": [{"lr": 0.1}]}, file)
    assert same(read_pickled(file))


def test_the_older_format_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "old.bin"
    torch.save(TENSORS, file, _use_new_zipfile_serialization=False)
    assert same(load_file(converted(file)))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(CheckpointDamaged, match=r"old\.bin is cut off"):
        read_pickled(file)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_program_in_a_checkpoint_is_not_run(zipped: bool, tmp_path: Path) -> None:
    class Program:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    file = tmp_path / "evil.bin"
    torch.save({"a": torch.ones(1), "b": Program()}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"evil\.bin"):
        read_pickled(file)
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(Program()))
    assert (tmp_path / "ran").exists(), "the program would do something if it were run"


def test_among_strangers_weights_are_read_and_nothing_is_run(tmp_path: Path) -> None:
    class Program:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    class Kind(dict[str, Any]):
        pass

    Kind.__qualname__, kind = "Kind", Kind(a=1)
    globals()["Kind"] = Kind
    file = tmp_path / "training.ckpt"
    torch.save({"state_dict": TENSORS, "kept": [Program(), kind, {Kind: np.float32(2.0)}, np.arange(3)]}, file)
    del globals()["Kind"]
    with pytest.raises(CheckpointForeign, match="more than weights") as caught:
        read_pickled(file)
    assert "it calls" in str(caught.value) and "weights_only" not in str(caught.value), "no advice to open it"
    assert same(read_pickled(file, strangers=True))
    assert not (tmp_path / "ran").exists()
    torch.save({"state_dict": {"a": Program()}}, file)
    with pytest.raises(CheckpointForeign, match="a is no tensor"):
        read_pickled(file, strangers=True)
    assert not (tmp_path / "ran").exists()


def test_a_stranger_changes_nothing_of_the_functions_it_may_call() -> None:
    state = b"N}X\x0c\x00\x00\x00__defaults__Ns\x86"
    program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + state + b"b."
    before = torch._utils._rebuild_tensor_v2.__defaults__
    with pytest.raises((pickle.UnpicklingError, AttributeError)):
        pickled_strangers._Unpickler(io.BytesIO(program)).load()
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before
    pickle.loads(program)
    assert torch._utils._rebuild_tensor_v2.__defaults__ is None, "the program would do something if it were run"
    torch._utils._rebuild_tensor_v2.__defaults__ = before


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_file_that_is_cut_off_is_named(share: float, file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointDamaged, match=r"model\.bin is cut off"):
        pickled_headers(file)


def test_a_hole_in_the_middle_is_found_when_it_is_converted(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 512] = bytes(512)
    file.write_bytes(whole)
    with pytest.raises(CheckpointDamaged, match=r"model\.bin is damaged at .*download it again"):
        converted(file)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (torch.ones(3), CheckpointForeign, "no table of tensors"),
        ({"a": torch.ones(1), "b": 3}, CheckpointForeign, "b is no tensor"),
        ({1: torch.ones(1)}, CheckpointForeign, "no table of tensors"),
        ({"a": torch.ones(2, dtype=torch.int64)}, CheckpointForeign, "a is torch.int64"),
    ],
)
def test_other_content_is_refused(content: Any, kind: type[CheckpointError], word: str, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    torch.save(content, file)
    with pytest.raises(kind, match=word):
        converted(file)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    with pytest.raises(CheckpointMissing, match=r"model\.bin is missing"):
        converted(file)
    for content, word in [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!doctype html><html>sign in</html>", "cut off"),
    ]:
        file.write_bytes(content)
        with pytest.raises(CheckpointDamaged, match=word):
            converted(file)


def test_a_place_that_cannot_be_written_is_told(file: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(CheckpointError, match="cannot be written"):
        converted(file, place)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = write_whole(tmp_path / "folder" / "file", [b"old ", memoryview(b"content")])

    def broken() -> Any:
        yield b"new"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_whole(file, broken())
    assert file.read_bytes() == b"old content"
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_safetensors_are_as_the_library_reads_them(tmp_path: Path) -> None:
    views = {"t": TENSORS["a.weight"].T, "part": TENSORS["a.weight"][3, ::2], **TENSORS}
    file = write_safetensors(tmp_path / "x.safetensors", views, {"made_of": "ü"})
    assert same(load_file(file), {name: tensor.contiguous() for name, tensor in views.items()})
    assert set(read_header(file)) == set(views)
    copy = Path(shutil.copy(file, tmp_path / "y.safetensors"))
    assert load_file(write_safetensors(copy, {})) == {}
