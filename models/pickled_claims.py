"""What a file of torch's claims, held against what it holds, before torch asks memory for it.

The file's program is run by a machine that knows no class and no function: a tensor becomes its sizes, everything else
a thing that does nothing. Formats: `torch.save` as a zip since 1.6, and as pickles one after the other before that.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from models.loading import CheckpointDamaged, CheckpointForeign

LONGEST_PROGRAM = 2_000_000
"""Bytes; some ten thousand tensors. Networks have a few thousand."""

LONGEST_DIRECTORY = 8_000_000
"""Bytes of a zip's table of contents."""

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
WIDTHS = {
    "Bool": 1, "Byte": 1, "Char": 1, "Short": 2, "Half": 2, "BFloat16": 2, "Int": 4, "Float": 4, "Long": 8, "Double": 8,
    "ComplexFloat": 8, "ComplexDouble": 16, "Untyped": 1,
}  # fmt: skip
"""Kinds of storages by name, and bytes of an element."""

TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2")
END_OF_DIRECTORY, LOCATOR, END_OF_DIRECTORY_64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"


class _Refused(Exception):
    """A claim that does not hold; `foreign`: the file is sound but no checkpoint of weights."""

    def __init__(self, what: str, foreign: bool = False) -> None:
        super().__init__(what)
        self.foreign = foreign


def check_claims(file: Path) -> None:
    """Raise unless everything a file claims of its tensors is in it.

    Raises:
        CheckpointDamaged: sizes, places or the program make no sense.
        CheckpointForeign: it holds kinds of tensors that no network here has, such as sparse ones.
    """
    try:
        if zipfile.is_zipfile(file):
            _check_zipped(file)
        else:
            _check_plain(file)
    except _Refused as refused:
        if refused.foreign:
            raise CheckpointForeign(f"{file} {refused}.") from refused
        raise CheckpointDamaged(f"{file} is cut off or no checkpoint of torch: {refused}.") from refused


def open_archive(file: Path) -> zipfile.ZipFile:
    """A zip whose table of contents is of bounded length.

    Raises:
        CheckpointDamaged: it is longer, or makes no sense.
    """
    try:
        with file.open("rb") as stream:
            length = _directory_length(stream)
        if length > LONGEST_DIRECTORY:
            raise zipfile.BadZipFile(f"its table of contents has {length} bytes; {LONGEST_DIRECTORY} are the most")
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise CheckpointDamaged(f"{file} is cut off or no checkpoint of torch: {error}") from error


def _directory_length(stream: IO[bytes]) -> int:
    """Bytes of a zip's table of contents as its end says (APPNOTE 4.3.14 and 4.3.16)."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - 65_557))
    tail = stream.read()
    at = tail.rfind(END_OF_DIRECTORY)
    length = int.from_bytes(tail[at + 12 : at + 16], "little")
    if at >= 20 and tail[at - 20 : at - 16] == LOCATOR:
        place = int.from_bytes(tail[at - 12 : at - 4], "little")
        stream.seek(min(place, size))
        end = stream.read(56)
        if end.startswith(END_OF_DIRECTORY_64):
            length = int.from_bytes(end[40:48], "little")
    return length


def _check_zipped(file: Path) -> None:
    size = file.stat().st_size
    with open_archive(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        packed = [entry.filename for entry in entries.values() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise _Refused(f"{packed[0][:60]!r} in it is compressed, which torch never does")
        if sum(entry.file_size for entry in entries.values()) > size:
            raise _Refused("its table of contents claims more than the file has")
        programs = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
        if len(programs) != 1:
            raise _Refused("it has no table of tensors")
        if entries[programs[0]].file_size > LONGEST_PROGRAM:
            raise _Refused(f"its table of tensors has more than {LONGEST_PROGRAM} bytes")
        root = programs[0].removesuffix("data.pkl")

        def held(key: str) -> int:
            entry = entries.get(f"{root}data/{key}")
            return -1 if entry is None else entry.file_size

        try:
            with archive.open(programs[0]) as stream:
                program = stream.read(LONGEST_PROGRAM)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
            raise _Refused(str(error)) from error
    machine = _Machine(_Counted(program), held)
    machine.run()
    machine.check_total(size)


def _check_plain(file: Path) -> None:
    size = file.stat().st_size
    with file.open("rb") as stream:
        program = _Counted(stream.read(LONGEST_PROGRAM))
    # Its storages lie behind all the pickles, so their sizes can only be held against the whole file.
    machine = _Machine(program, lambda key: size)
    if machine.run() != MAGIC or machine.run() != PROTOCOL:
        raise _Refused("it does not begin as one")
    machine.run()
    machine.run()
    machine.check_total(size)


class _Counted:
    """Bytes as a stream, for the machine."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, count: int) -> bytes:
        part = self._data[self._at : self._at + max(count, 0)]
        if len(part) < count:
            raise EOFError("it ends in the middle")
        self._at += count
        return part

    def readinto(self, target: Any) -> int:
        raise _Refused("it holds what no table of tensors has")

    def readline(self) -> bytes:
        end = self._data.find(b"\n", self._at) + 1
        if not end:
            raise EOFError("it ends in the middle")
        part, self._at = self._data[self._at : end], end
        return part


class _Storage:
    """Bytes that tensors lie in. count: elements."""

    def __init__(self, count: int) -> None:
        self.count = count


class Inert:
    """Stands for any class or function of a file: takes everything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> Inert:
        return self

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass


class _Kind:
    """The class of a storage."""

    def __init__(self, width: int) -> None:
        self.width = width


OPCODES = frozenset(
    getattr(pickle, name)[0]
    for name in (
        "PROTO", "STOP", "MARK", "POP", "POP_MARK", "GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "NONE", "NEWFALSE",
        "NEWTRUE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS",
        "EMPTY_DICT",
        "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE",
        "BINPERSID", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
        "SHORT_BINSTRING", "BINSTRING", "BINBYTES", "SHORT_BINBYTES", "STACK_GLOBAL", "FRAME", "GET", "PUT", "INT",
        "LONG", "FLOAT", "STRING", "UNICODE", "LIST", "DICT",
    )
)  # fmt: skip
"""What the machine knows: all that pickles of plain data and classes consist of; nothing that reserves memory."""


_Interpreter: Any = pickle._Unpickler  # the one in Python: its operations are a table


class _Machine(_Interpreter):  # type: ignore[misc]
    """Runs the program of a file without running anything of it.

    held: key of a storage -> how many bytes of it there are; negative if there is none.
    """

    dispatch = {code: act for code, act in _Interpreter.dispatch.items() if code in OPCODES}

    def __init__(self, program: _Counted, held: Callable[[str], int]) -> None:
        super().__init__(program, encoding="utf-8")
        self._held = held
        self._storages: dict[str, int] = {}

    def run(self) -> Any:
        """One pickle. Raises _Refused."""
        try:
            return self.load()
        except _Refused:
            raise
        except RecursionError as error:
            raise _Refused("its content is nested without end") from error
        except Exception as error:
            # A damaged program fails in as many ways as there are operations.
            raise _Refused((str(error) or type(error).__name__).splitlines()[0][:200]) from error

    def check_total(self, size: int) -> None:
        """Whether all storages fit into a file of `size` bytes."""
        if sum(self._storages.values()) > size:
            raise _Refused(f"its tensors claim more than its {size} bytes")

    def find_class(self, module: str, name: str) -> Any:
        where = f"{module}.{name}"[:80]
        if (module, name) == ("collections", "OrderedDict"):
            return _ordered
        if module in ("torch", "torch.cuda") and name.endswith("Storage") and name.removesuffix("Storage") in WIDTHS:
            return _Kind(WIDTHS[name.removesuffix("Storage")])
        if (module, name) == ("torch.storage", "UntypedStorage"):
            return _Kind(1)
        if module == "torch._utils":
            if name in TENSORS:
                return self._tensor
            if name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
                return lambda data, *rest: data
            raise _Refused(f"holds tensors of a kind that no network here has ({where})", foreign=True)
        if module.startswith("torch") and (name.endswith("Tensor") or ".sparse" in module or "Storage" in name):
            raise _Refused(f"holds tensors of a kind that no network here has ({where})", foreign=True)
        if module in ("builtins", "__builtin__") and name == "bytearray":
            raise _Refused(f"holds more than weights ({where})", foreign=True)
        return _tuple if (module, name) == ("torch", "Size") else type(name[:80] or "nothing", (Inert,), {})

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Kind):
            raise _Refused("it names bytes in a way that torch never does")
        key, count, width = str(pid[2])[:80], _count(pid[4]), pid[1].width
        held = self._held(key)
        if count * width > max(held, 0):
            raise _Refused(f"storage {key!r} claims {count * width} bytes and has {max(held, 0)}")
        self._storages[key] = max(self._storages.get(key, 0), count * width)
        return _Storage(count)

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Inert:
        if not isinstance(storage, _Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
            raise _Refused("a tensor in it has no bytes, shape or strides")
        if len(shape) != len(strides) or len(shape) > 64:
            raise _Refused("a tensor in it has a shape and strides that do not fit each other")
        extents, steps = [_count(each) for each in shape], [_count(each) for each in strides]
        total = math.prod(extents)
        last = _count(offset) + sum((extent - 1) * step for extent, step in zip(extents, steps, strict=True))
        if total > storage.count or (total and last >= storage.count):
            raise _Refused(f"a tensor claims {total} values, the last at {last}, in {storage.count}")
        return Inert()

    def load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        super().load_setitems()

    def load_setitem(self) -> None:
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_additems(self) -> None:
        _check_keys(self.stack)
        super().load_additems()

    def load_dict(self) -> None:
        _check_keys(self.stack[::2])
        super().load_dict()

    dispatch |= {
        pickle.SETITEMS[0]: load_setitems,
        pickle.SETITEM[0]: load_setitem,
        pickle.ADDITEMS[0]: load_additems,
        pickle.DICT[0]: load_dict,
    }


def _tuple(values: Any = ()) -> tuple[Any, ...]:
    """A shape."""
    if not isinstance(values, tuple | list):
        raise _Refused("a shape in it is no list of numbers")
    return tuple(values)


def _ordered(*given: Any) -> OrderedDict[Any, Any]:
    if not given:
        return OrderedDict()
    pairs = list(given[0].items()) if isinstance(given[0], Mapping) else list(given[0])
    _check_keys([pair[0] for pair in pairs])
    return OrderedDict(pairs)


def _check_keys(keys: list[Any]) -> None:
    """Names, small numbers and classes. Others can be made to collide in a table without end."""
    for key in keys:
        if not isinstance(key, str | type | None) and not (isinstance(key, int) and abs(key) < 2**31):
            raise _Refused(f"a key in it is a {type(key).__name__}")


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        _no_count()
    return value


def _no_count() -> NoReturn:
    raise _Refused("a size in it is no whole number that can be")
