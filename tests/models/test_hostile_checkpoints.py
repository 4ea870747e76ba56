"""A checkpoint that claims what it does not hold is refused in words, before anything of the claimed size is had."""

from __future__ import annotations

import json
import random
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from models.loading import CheckpointDamaged, CheckpointError, CheckpointForeign, read_header, read_json  # noqa: E402
from models.lrm.checkpoint import read_headers_of  # noqa: E402
from models.pickled import converted, pickled_headers, read_pickled  # noqa: E402
from models.published import on_meta  # noqa: E402
from tests.backend.hostile_sets import outcome  # noqa: E402
from tests.models.hostile_checkpoints import bombs, safetensors, saved, sound, zipped  # noqa: E402


def refused(file: Path, content: bytes, words: str, kind: type[CheckpointError] = CheckpointDamaged) -> None:
    """Every way in which such a file is read ends soon, with the sentence."""
    file.write_bytes(content)
    ways: list[Callable[[Path], Any]] = [read_pickled, pickled_headers, converted, read_headers_of]
    reads = [read_header] if file.suffix == ".safetensors" else ways
    for read in reads:
        began = time.process_time()
        with pytest.raises(kind, match=words) as caught:
            read(file)
        assert file.name in str(caught.value) and time.process_time() - began < 5
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_that_claim_terabytes_are_refused(zipped: bool, tmp_path: Path) -> None:
    for tensor in (torch.ones(1).expand(10**12), torch.as_strided(torch.ones(4), (3, 2**40), (1, 0))):
        refused(tmp_path / "model.ckpt", saved({"lrm_generator.a": tensor}, zipped), r"claims \d+ values")


def test_many_tensors_on_the_same_bytes_are_refused(tmp_path: Path) -> None:
    one = torch.ones(10_000)
    refused(tmp_path / "model.ckpt", saved({f"lrm_generator.{each}": one for each in range(50)}), "tensors claim")


def test_tensors_that_share_their_bytes_as_networks_do_are_read(tmp_path: Path) -> None:
    one = torch.ones(10_000)
    file = tmp_path / "model.ckpt"
    file.write_bytes(saved({"a": one, "b": one, "c": one[5:]}))
    assert set(read_header(converted(file))) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "tensor",
    [
        lambda: torch.sparse_coo_tensor(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(0), (10**12,)),
        lambda: torch.empty(10**12, device="meta"),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_kinds_of_tensors_that_no_network_has_are_refused(tensor: Any, zipped: bool, tmp_path: Path) -> None:
    content = saved({"lrm_generator.a": tensor()}, zipped)
    refused(tmp_path / "model.ckpt", content, "no network here has", CheckpointForeign)


def test_zip_bombs_are_refused(tmp_path: Path) -> None:
    class Chosen(random.Random):
        def randrange(self, *_: Any) -> int:
            return 0

    refused(tmp_path / "model.ckpt", bombs(Chosen()), "compressed")
    stored = zipped({"archive/data.pkl": b"]" * 5_000_000, "archive/data/0": b""}, random.Random())
    refused(tmp_path / "model.ckpt", stored, "more than 2000000 bytes")
    many = bytearray(zipped({"archive/data.pkl": b""}, random.Random()))
    end = many.rfind(b"PK\x05\x06")
    many[end + 12 : end + 16] = struct.pack("<I", 10**8)
    refused(tmp_path / "model.ckpt", bytes(many), "table of contents has 100000000 bytes")


def test_a_table_of_contents_that_lies_is_refused(tmp_path: Path) -> None:
    content = bytearray(saved({"lrm_generator.a": torch.ones(3)}))
    at = content.find(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<II", 2**31, 2**31)
    refused(tmp_path / "model.ckpt", bytes(content), "claims more than the file has|cut off")


def test_keys_made_to_collide_are_refused(tmp_path: Path) -> None:
    keys = b"".join(b"\x8a\x0a" + (each * (2**61 - 1)).to_bytes(10, "little") + b"N" for each in range(1, 100_000))
    program = b"\x80\x02}(" + keys + b"u."
    refused(tmp_path / "model.ckpt", zipped({"archive/data.pkl": program}, random.Random()), "a key in it is a int")


def header(**entry: Any) -> bytes:
    content, data = sound()
    content["0.bias"] |= entry
    return safetensors(content, data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header(shape=[10**12]), "F32 .1000000000000. in 16 bytes"),
        (header(shape=[-4]), "no whole number"),
        (header(shape=[4.0]), "no whole number"),
        (header(shape=[True, 4]), "no whole number"),
        (header(dtype="F64"), "F64 .4. in 16 bytes"),
        (header(data_offsets=[0, 16]), "begins at byte|the one before it ends"),
        (header(data_offsets=[10**9, 10**9 + 16]), "begins at byte"),
        (header(data_offsets=[64, 48]), "unreadable header|begins at byte"),
        (safetensors(b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', bytes(4)), "no whole number"),
        (safetensors(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', b""), "unreadable"),
        (safetensors(b'{"a":0,' * 1_500_000, bytes(8)), "header of 10500000 bytes"),
        (safetensors(json.dumps({str(each): 0 for each in range(300_000)}).encode(), b""), "unreadable header"),
    ],
)  # fmt: skip
def test_headers_that_lie_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    refused(tmp_path / "model.safetensors", content, words)


@pytest.mark.parametrize(
    "config",
    [
        {"sample_size": float("inf")},
        {"block_out_channels": [64] * 100_000},
        {"block_out_channels": [[10**12]]},
        {"num_layers": 10**6},
        {"num_layers": float("nan")},
    ],
)
def test_a_configuration_without_measure_is_refused_before_anything_is_built(config: dict[str, Any]) -> None:
    with pytest.raises(CheckpointForeign, match=r"config\.json"):
        on_meta(lambda: pytest.fail("it was built"), config, Path("config.json"), "Net")


def test_a_description_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b"[" + b"0," * 5_000_000 + b"0]")
    with pytest.raises(CheckpointDamaged, match="more than 8000000 bytes"):
        read_json(file)


def test_hostile_checkpoints_are_refused_or_read() -> None:
    """The first of a thousand; `python -m tests.backend.hostile_sets checkpoints 0 1000` tries them all."""
    found = outcome("checkpoints", range(60))
    assert found.uncaught == []
    assert found.slowest[0] < 5 and found.peak < 1e9
    assert found.refused > 40 and found.taken > 0


def test_what_torch_writes_is_read(tmp_path: Path) -> None:
    content = {"state_dict": {"a": torch.ones(2, 3).T, "b": torch.nn.Parameter(torch.zeros(4)[1:3])}, "epoch": 3}
    for in_zip in (True, False):
        file = tmp_path / "model.ckpt"
        file.write_bytes(saved(content, in_zip))
        assert {name: tuple(each.shape) for name, each in read_pickled(file).items()} == {"a": (3, 2), "b": (2,)}
    assert not zipfile.is_zipfile(file)
