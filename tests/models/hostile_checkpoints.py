"""Checkpoints made to do harm, each from a seed: torch's zips and pickles, and safetensors."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from models.loading import CheckpointError, load_module, read_header
from models.lrm.checkpoint import read_headers_of
from models.pickled import converted, pickled_headers, read_pickled

ODD: tuple[Any, ...] = (
    -1,
    0,
    1,
    3,
    2**31,
    2**53,
    2**63,
    10**30,
    -(10**30),
    0.5,
    1e300,
    float("inf"),
    float("nan"),
    True,
    None,
    "",
    "F32",
    "F64",
    "x",
    "\ud800",
    [],
    {},
    [[]],
    [0],
    [10**12],
    [2**40, 2**40],
    [-1, -1],
    [1] * 1000,
    [0, 10**15],
    [8, 4],
)
HUGE = (10**6, 10**9, 10**12, 2**40, 2**62, 2**63 - 1)


def network() -> torch.nn.Module:
    """What the safetensors are for."""
    with torch.device("meta"):
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))


TENSORS = {
    f"{part}.{name}": tensor
    for part, name, tensor in (
        ("0", "weight", torch.ones(4, 3)),
        ("0", "bias", torch.ones(4)),
        ("1", "weight", torch.ones(2, 4)),
        ("1", "bias", torch.ones(2)),
    )
}


def safetensors(header: Any, data: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def sound() -> tuple[dict[str, Any], bytes]:
    header: dict[str, Any] = {}
    data = b""
    for name, tensor in TENSORS.items():
        held = tensor.numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(held)]}
        data += held
    return header, data


def lying_headers(chance: random.Random) -> bytes:
    header, data = sound()
    for _ in range(chance.randint(1, 3)):
        entry = header[chance.choice(list(header))]
        key = chance.choice(list(entry))
        if chance.random() < 0.5 and isinstance(entry[key], list) and entry[key]:
            entry[key][chance.randrange(len(entry[key]))] = chance.choice(ODD)
        else:
            entry[key] = chance.choice(ODD)
    return safetensors(header, data)


def odd_headers(chance: random.Random) -> bytes:
    _, data = sound()
    entry = b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
    size = chance.choice([1000, 100_000])
    text = chance.choice(
        [
            b"[" * size,
            b"{",
            b"null",
            b"[]",
            b'"x"',
            b"{}",
            b'{"a":' * size,
            b'{"a":{"shape":[1e999]}}',
            b"\xff" * size,
            b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,0]}}',
            b'{"__metadata__":3}',
            b'{"__metadata__":{"a":"' + b"x" * size + b'"}}',
            b"{" + entry * size + b'"x":{}}',
            b"{" + b'"a":0,' * size + b'"b":1}',
            b'{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4,8]}}',
            b"{" + b"".join(entry % each for each in range(size))[:-1] + b"}",
        ]
    )
    length = chance.choice([None, None, None, 0, 2**40, 2**63, len(text) + 1, len(text) - 1])
    return safetensors(text, data, length)


def torn(data: bytes, chance: random.Random) -> bytes:
    held = bytearray(data)
    for _ in range(chance.randint(0, 20)):
        held[chance.randrange(len(held))] = chance.randrange(256)
    if chance.random() < 0.6:
        del held[chance.randrange(len(held)) :]
    return bytes(held)


def torn_safetensors(chance: random.Random) -> bytes:
    return torn(safetensors(*sound()), chance)


def saved(content: Any, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def odd_tensors(chance: random.Random) -> bytes:
    """What torch itself writes, and no network here has; some of it claims terabytes."""
    many = chance.choice(HUGE[:5])
    return saved(
        chance.choice(
            [
                lambda: {"a": torch.ones(1).expand(many)},
                lambda: {"a": torch.ones(1).expand(2**20, 2**20)},
                lambda: {"a": torch.as_strided(torch.ones(4), (3, 2**30), (1, 0))},
                lambda: {"a": torch.sparse_coo_tensor(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(0), (many,))},
                lambda: {"a": torch.empty(many, device="meta")},
                lambda: {"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)},
                lambda: {"a": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])},
                lambda: {str(each): torch.ones(1) for each in range(3)} | {"b": bytearray(5)},
                lambda: {
                    "a": torch.ones(2, dtype=torch.complex64),
                    "b": {1, 2},
                    "c": torch.Size([3]),
                    "d": torch.device("cpu"),
                },
                lambda: {"a": torch.nn.Parameter(torch.ones(2)), "b": torch.ones(3)[1:]},
                lambda: {"state_dict": {f"lrm_generator.{each}": TENSORS["0.bias"] for each in range(500)}},
            ]
        )(),
        chance.random() < 0.7,
    )


def zipped(entries: dict[str, bytes], chance: random.Random, compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


def program(chance: random.Random) -> bytes:
    """A table of tensors, of which one says what it likes."""
    number = lambda: chance.choice([0, 1, 4, *HUGE, -1])  # noqa: E731

    def written(value: int) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    shape = b"(" + b"".join(written(number()) for _ in range(chance.randint(0, 4))) + b"t"
    strides = b"(" + b"".join(written(chance.choice([0, 1, number()])) for _ in range(chance.randint(0, 4))) + b"t"
    kind = chance.choice([b"FloatStorage", b"LongStorage", b"UntypedStorage", b"QInt8Storage", b"xStorage"])
    storage = b"(X\x07\0\0\0storagectorch\n" + kind + b"\nX\x01\0\0\x000X\x03\0\0\0cpu" + written(number()) + b"tQ"
    build = chance.choice([b"_rebuild_tensor_v2"] * 5 + [b"_rebuild_sparse_tensor", b"_rebuild_meta_tensor_no_storage"])
    tensor = b"ctorch._utils\n" + build + b"\n(" + storage + written(number()) + shape + strides
    return b"\x80\x02}X\x01\0\0\0a" + tensor + b"\x89ccollections\nOrderedDict\n)RtRs."


def odd_program(chance: random.Random) -> bytes:
    size = chance.choice([1000, 1_000_000])
    item = b"X\x01\0\0\0aK\x01s"
    big = lambda code, width: code + (2 ** (8 * width) - 1).to_bytes(width, "little")  # noqa: E731
    body = chance.choice(
        [
            b"(" * size,
            b"]" * size,
            b"}" + item * (size // 8),
            b"\x80\x02]q\0" + b"h\0a" * (size // 3),
            big(b"X", 4),
            big(b"\x8d", 8),
            big(b"\x96", 8),
            big(b"\x8e", 8),
            big(b"\x8b", 4),
            b"r\xff\xff\xff\x7f",
            b"K\x01r\xff\xff\xff\xff.",
            b"I" + b"9" * size + b"\n.",
            b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
            b"cbuiltins\neval\nX\x03\0\0\x001+1\x85R.",
            b"\x8a\xff" + b"\xff" * 255 + b".",
            b"(" + b"]" * size + b"t.",
            b"cos\nsystem\nX\x02\0\0\0ls\x85R.",
            b"ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R.",
            b"]" + b"]a" * size + b".",
            b"}("
            + b"".join(
                b"\x8a\x10" + (each * (2**61 - 1) + 2**70).to_bytes(16, "little") + b"N" for each in range(size // 20)
            )
            + b"u.",
            b"(" + b"".join(b"\x88\x85" for _ in range(size // 2)) + b"t.",
            b"",
            b".",
            b"N.",
            b"0" * size,
        ]
    )
    return body if body.startswith(b"\x80") else b"\x80\x02" + body


def odd_zips(chance: random.Random) -> bytes:
    content = program(chance) if chance.random() < 0.6 else odd_program(chance)
    entries = {"archive/data.pkl": content, "archive/version": b"3\n", "archive/byteorder": b"little"}
    entries["archive/data/0"] = bytes(chance.choice([0, 4, 64]))
    data = zipped(entries, chance, chance.random() < 0.15)
    if chance.random() < 0.2:  # sizes in the table of contents
        held = bytearray(data)
        at = held.rfind(b"PK\x01\x02")
        held[at + 20 : at + 28] = struct.pack("<II", chance.choice([0, 2**31, 2**32 - 2]), chance.choice([0, 2**31]))
        data = bytes(held)
    return data


def odd_pickles(chance: random.Random) -> bytes:
    """The older format."""
    heads = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    content = program(chance) if chance.random() < 0.6 else odd_program(chance)
    if chance.random() < 0.1:
        heads = heads[: chance.randrange(3)]
    return (
        b"".join(heads)
        + content
        + pickle.dumps(["0"], 2)
        + struct.pack("<q", chance.choice([4, *HUGE, -1]))
        + bytes(16)
    )


def bombs(chance: random.Random) -> bytes:
    kind = chance.randrange(3)
    if kind == 0:
        return zipped({"archive/data.pkl": b"]" * 50_000_000, "archive/data/0": bytes(10)}, chance, True)
    if kind == 1:
        return zipped({"archive/data.pkl": program(chance), "archive/data/0": bytes(100_000_000)}, chance, True)
    entries = {f"archive/data/{each}": b"" for each in range(20_000)}
    return zipped({"archive/data.pkl": program(chance)} | entries, chance)


def torn_torch(chance: random.Random) -> bytes:
    return torn(saved(TENSORS, chance.random() < 0.6), chance)


KINDS: tuple[tuple[str, Callable[[random.Random], bytes]], ...] = (
    ("safetensors", lying_headers),
    ("safetensors", odd_headers),
    ("safetensors", torn_safetensors),
    ("bin", odd_tensors),
    ("bin", odd_zips),
    ("bin", odd_zips),
    ("bin", odd_pickles),
    ("bin", torn_torch),
    ("ckpt", odd_zips),
    ("ckpt", odd_tensors),
    ("ckpt", odd_pickles),
)

REFUSALS = (CheckpointError,)


def attempt(seed: int, folder: Path) -> None:
    """Read it in every way in which a file of its name is read."""
    chance = random.Random(seed)
    ending, make = KINDS[seed % len(KINDS)] if seed % 50 else ("bin", bombs)
    file = folder / f"model.{ending}"
    file.write_bytes(make(chance))
    for form in folder.glob("*.converted.*"):
        form.unlink()
    if ending == "safetensors":
        read_header(file)
        load_module(network(), folder, "model", "cpu", torch.float32)
    elif ending == "bin" and chance.random() < 0.3:
        read_pickled(file, strangers=True)
    elif ending == "bin":
        pickled_headers(file)
        converted(file)
    else:
        read_headers_of(file)
        converted(file)
