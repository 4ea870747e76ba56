"""Somebody's run of the published program: the checkpoints of its coarse and its fine stage, read as data.

`<run>.pth`, which the fine stage began from, holds the moving averages of all parameters under the parameters' names.
`<run>_ep0050.pth` beside it holds the parameters themselves and, where it is a full one, the averages in a list without
names; these are taken then, as the published program does. Besides there are the mean density, from which the
threshold of the surface follows, and the occupied cells of a lattice of 128³, in Morton's order, a bit each.

A fine checkpoint has signed distances and moves of the vertices of tetrahedra, but not the tetrahedra: these are in
`data/tets/<resolution>_tets.npz` of the published program. What it was scaled by is told since August 2023; without
that its surface has no size.

The published world is a mirror image of ours with y up. Fields are asked in ours (`FieldSettings.published_world`),
and everything else is turned when it is read.
"""

from __future__ import annotations

import codecs
import math
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.headers import CheckpointDamaged, CheckpointForeign, CheckpointMissing
from models.isosurface.tetrahedra import ListedTetrahedra
from models.loading import check_finite, filled
from models.lrm.checkpoint import placeholders_for_other_classes
from models.magic123.field import RadianceField, from_published, named_from_published, settings_of_published
from models.pickled import examine, read_content, tensor_table

THRESHOLD = 10.0
"""The surface is where the density is this, or the mean density where that is lower."""

CELLS = 128
"""Along each axis of the lattice of occupied cells."""

NO_PARAMETERS = ("aabb_train", "aabb_infer", "density_grid", "density_bitfield", "step_counter", "encoder.offsets")
OTHERS = ("dmtet.", "bg_net.", "encoder_bg.", "normal_net.")
"""Of other parts than the field: the surface, a background."""

NETWORK = re.compile(r"sigma_net\.net\.\d{1,2}\.(weight|bias)")
MOST_LEVELS = 64

RESOLUTIONS = {6641: 32, 36562: 64, 277410: 128}
"""Published grids by the number of their vertices; any other is taken for the default."""

DEFAULT_RESOLUTION = 256
LARGEST_GRID = 2**30
"""Bytes of a file of tetrahedra, unpacked."""


@dataclass(frozen=True)
class PublishedSurface:
    """The fine stage's own part of a checkpoint, in our world.

    Attributes:
        signed: `[V]` float32, above 0 inside.
        deform: `[V, 3]` float32; a vertex moves by tanh of it divided by the grid's resolution.
        scale: `[3]` float32, what the grid's vertices are multiplied by.
    """

    signed: Tensor
    deform: Tensor
    scale: Tensor


@dataclass(frozen=True)
class PublishedRun:
    """A checkpoint of a run, checked; the field's tensors are mapped until `field` copies them.

    Attributes:
        file: the checkpoint.
        steps: how many the stage had done.
        averaged: whether the parameters are moving averages: True where the file says so, None where it does not tell;
            `<run>.pth` are averages.
        mean_density: of the lattice; None where the run had none.
        tensors: of the field, under the published names.
        occupied: `[128, 128, 128]` bool along our x, y, z, or None.
        surface: None if it is a coarse checkpoint.
    """

    file: Path
    steps: int
    averaged: bool | None
    mean_density: float | None
    tensors: dict[str, Tensor]
    occupied: Tensor | None
    surface: PublishedSurface | None

    @property
    def threshold(self) -> float:
        """The density at the surface."""
        return min(self.mean_density, THRESHOLD) if self.mean_density else THRESHOLD

    def field(self) -> RadianceField:
        """The field, on the CPU, for inference until it is told to learn.

        Raises:
            CheckpointForeign: it is made otherwise than a field of Magic123.
            CheckpointDamaged: it has values that are no finite numbers, or the file does not fit its checksums.
        """
        examine(self.file)
        try:
            settings = settings_of_published(self.tensors)
            with torch.device("meta"):
                network = RadianceField(settings)
            state = {
                name: each.to(torch.float32, copy=True) for name, each in named_from_published(self.tensors).items()
            }
            check_finite(state, self.file)
            filled(network, state)
        except (ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointDamaged):
                raise
            raise CheckpointForeign(f"{self.file} is no field of Magic123: {_first_line(error)}") from error
        return network


def read_run(file: Path) -> PublishedRun:
    """A checkpoint of either stage.

    Raises:
        CheckpointMissing: there is no such file.
        CheckpointDamaged: it is cut off, or claims what it does not hold.
        CheckpointForeign: it is no checkpoint of a run of Magic123, or a fine one without its scale.
    """
    with _arrays_as_data(), placeholders_for_other_classes(file):
        content = read_content(file)
    if not isinstance(content, dict):
        raise CheckpointForeign(f"{file} holds no table of tensors.")
    whole = isinstance(content.get("model"), dict)
    state = tensor_table(content["model"] if whole else content, file)
    told: dict[str, Any] = content if whole else {}
    state, averaged = _averaged(state, told, file)
    field = {name: each for name, each in state.items() if not name.startswith(OTHERS)}
    _check_field(field, file)
    return PublishedRun(
        file,
        _count(told.get("global_step", 0), "global_step", file),
        averaged,
        _density(told.get("mean_density"), file),
        field,
        _occupied(state, file),
        _surface(state, told, file),
    )


def read_tetrahedra(file: Path, scene: PublishedSurface | None = None) -> ListedTetrahedra:
    """The published tetrahedra of a resolution, `<resolution>_tets.npz`, in our world.

    Args:
        scene: the surface that they are for, where there is one.

    Raises:
        CheckpointMissing: there is no such file.
        CheckpointDamaged: it is cut off, or claims what it does not hold.
        CheckpointForeign: it holds something else, or the tetrahedra of another surface.
    """
    if not file.is_file():
        raise CheckpointMissing(
            f"{file} is missing. A fine checkpoint does not hold its tetrahedra: they are in data/tets of the program "
            "that wrote it."
        )
    try:
        with zipfile.ZipFile(file) as archive:
            vertices = _array(archive, "vertices", file)
            indices = _array(archive, "indices", file)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, CheckpointDamaged | CheckpointForeign):
            raise
        raise CheckpointDamaged(f"{file} is cut off or no file of tetrahedra: {_first_line(error)}") from error
    if scene is not None and len(vertices) != len(scene.signed):
        raise CheckpointForeign(
            f"{file} has {len(vertices)} vertices and the surface {len(scene.signed)}: it is of another resolution."
        )
    if vertices.dtype.kind != "f" or indices.dtype.kind not in "iu" or not np.isfinite(vertices).all():
        raise CheckpointForeign(f"{file} holds no vertices and tetrahedra.")
    places = from_published(torch.from_numpy(vertices.astype(np.float32)) * 2)
    resolution = RESOLUTIONS.get(len(vertices), DEFAULT_RESOLUTION)
    try:
        return ListedTetrahedra(places, torch.from_numpy(indices.astype(np.int64)), resolution)
    except ValueError as error:
        raise CheckpointForeign(f"{file} holds no tetrahedra: {error}") from error


def _averaged(state: dict[str, Tensor], told: dict[str, Any], file: Path) -> tuple[dict[str, Tensor], bool | None]:
    """The averages in place of the parameters where the file has both, and whether they are averages."""
    averages = told.get("ema")
    if averages is None:
        return state, None
    shadows = averages.get("shadow_params") if isinstance(averages, dict) else None
    names = [name for name in state if name not in NO_PARAMETERS]
    if not isinstance(shadows, list) or not all(isinstance(each, Tensor) for each in shadows):
        raise CheckpointForeign(f"{file}: its moving averages are no list of tensors.")
    if [tuple(each.shape) for each in shadows] != [tuple(state[name].shape) for name in names]:
        raise CheckpointForeign(f"{file}: its moving averages are not those of its parameters.")
    return state | dict(zip(names, shadows, strict=True)), True


def _check_field(field: dict[str, Tensor], file: Path) -> None:
    """Raises CheckpointForeign where names or shapes are not those of a field."""
    known = {"encoder.embeddings", *NO_PARAMETERS}
    if unknown := [name for name in field if name not in known and not NETWORK.fullmatch(name)]:
        raise CheckpointForeign(f"{file}: {unknown[0][:80]} is unknown; this is no checkpoint of Magic123.")
    for name in ("encoder.offsets", "encoder.embeddings", "sigma_net.net.0.weight"):
        if name not in field:
            raise CheckpointForeign(f"{file}: {name} is missing; this is no checkpoint of Magic123.")
    table, offsets = field["encoder.embeddings"], field["encoder.offsets"]
    if table.ndim != 2 or table.shape[1] != 2 or not table.is_floating_point():
        raise CheckpointForeign(f"{file}: encoder.embeddings has the shape {list(table.shape)}, not [entries, 2].")
    if offsets.ndim != 1 or not 2 <= len(offsets) <= MOST_LEVELS + 1 or offsets.is_floating_point():
        raise CheckpointForeign(f"{file}: encoder.offsets is no list of at most {MOST_LEVELS + 1} whole numbers.")


def _occupied(state: dict[str, Tensor], file: Path) -> Tensor | None:
    bits = state.get("density_bitfield")
    if bits is None:
        return None
    if bits.dtype != torch.uint8 or bits.shape != (CELLS**3 // 8,):
        raise CheckpointForeign(f"{file}: density_bitfield has the shape {list(bits.shape)}, not [{CELLS**3 // 8}].")
    return unpacked(bits, CELLS)


def unpacked(bits: Tensor, cells: int) -> Tensor:
    """The occupied cells, `[cells, cells, cells]` bool along our x, y, z, from Morton's order in the published world.

    Args:
        bits: `[cells³ / 8]` uint8; the lowest bit of a byte is its first cell. Of a cell's number the bits 0, 3, 6 …
            are those of x, the next ones of y, then of z.
        cells: along each axis, a power of 2.
    """
    flat = (bits[:, None] >> torch.arange(8, dtype=torch.uint8, device=bits.device) & 1).bool().reshape(-1)
    axis = torch.arange(cells, device=bits.device)
    spread = torch.zeros_like(axis)
    for bit in range(cells.bit_length() - 1):
        spread |= (axis >> bit & 1) << (3 * bit)
    x, y, z = spread[:, None, None], spread[None, :, None] << 1, spread[None, None, :] << 2
    # Ours at (x, y, z) is theirs at (-x, z, -y).
    return flat[x | y | z].flip(0, 2).transpose(1, 2)


def _surface(state: dict[str, Tensor], told: dict[str, Any], file: Path) -> PublishedSurface | None:
    if not any(name.startswith("dmtet.") for name in state):
        return None
    signed, deform = state.get("dmtet.sdf"), state.get("dmtet.deform")
    if signed is None or deform is None:
        raise CheckpointForeign(f"{file}: its surface is a network (tet_mlp), which cannot be read; a lattice can.")
    if signed.ndim != 1 or deform.shape != (len(signed), 3):
        raise CheckpointForeign(f"{file}: {list(signed.shape)} and {list(deform.shape)} are no surface.")
    scale = _scale(told.get("tet_scale"), file)
    kept = {name: each.to(torch.float32, copy=True) for name, each in (("sdf", signed), ("deform", deform))}
    check_finite(kept, file)
    # An axis has a scale whichever way it points.
    return PublishedSurface(kept["sdf"], from_published(kept["deform"]), from_published(scale).abs())


def _scale(told: object, file: Path) -> Tensor:
    if told is None:
        raise CheckpointForeign(
            f"{file} is a checkpoint of the fine stage that does not say what its surface is scaled by (tet_scale), so "
            "its size cannot be told. The checkpoint of the coarse stage can be read, and refined again."
        )
    values = told.values() if isinstance(told, _Array) else told
    if isinstance(values, Tensor) and values.shape == (3,):
        values = values.tolist()
    if (
        not isinstance(values, list | tuple)
        or len(values) != 3
        or not all(isinstance(each, float | int) and math.isfinite(each) and 0 < each < 100 for each in values)
    ):
        raise CheckpointDamaged(f"{file}: what its surface is scaled by (tet_scale) is not three lengths.")
    return torch.tensor(values, dtype=torch.float32)


def _density(told: object, file: Path) -> float | None:
    """The mean density; 0, which is what a run has before it has looked, is none."""
    if isinstance(told, Tensor) and told.numel() == 1:
        told = told.item()
    if told is None:
        return None
    if not isinstance(told, int | float) or not math.isfinite(told) or told < 0:
        raise CheckpointDamaged(f"{file}: its mean density is not a number from 0 on.")
    return float(told) or None


def _count(told: object, name: str, file: Path) -> int:
    if isinstance(told, bool) or not isinstance(told, int) or told < 0:
        raise CheckpointDamaged(f"{file}: its {name} is not a whole number from 0 on.")
    return told


class _Type:
    """Stands for numpy's dtype: its letter and size, and later its byte order."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if isinstance(state, tuple) and len(state) > 1 else ""


class _Array:
    """Stands for a numpy array in a pickle: keeps what is said of it and makes nothing of it until it is asked for."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def values(self) -> list[float] | None:
        """Its numbers if it is a short list of real ones, else None."""
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            return None
        _, shape, kind, _, data = self.state
        letter = {"f4": "f", "f8": "d"}.get(kind.name if isinstance(kind, _Type) else "")
        if letter is None or not isinstance(data, bytes) or shape != (3,) or kind.order not in ("<", ">"):
            return None
        try:
            return list(struct.unpack(f"{kind.order}3{letter}", data))
        except struct.error:
            return None


@contextmanager
def _arrays_as_data() -> Iterator[None]:
    """Within it, torch's weights-only reading takes numpy's arrays for what they say of themselves."""
    stand_ins: list[Any] = [(_Type, "numpy.dtype")]
    stand_ins += [(_Array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    with torch.serialization.safe_globals([*stand_ins, (codecs.encode, "_codecs.encode")]):
        yield


def _array(archive: zipfile.ZipFile, name: str, file: Path) -> npt.NDArray[Any]:
    """One array `[N, *]` of a .npz, of which nothing is had before its size is known.

    Raises:
        CheckpointForeign: there is no such array.
        CheckpointDamaged: it claims another size than it has.
        Others: as `zipfile` and `numpy.lib.format` raise them.
    """
    entry = f"{name}.npy"
    if entry not in archive.namelist():
        raise CheckpointForeign(f"{file} has no '{name}': it is no file of tetrahedra.")
    stated = archive.getinfo(entry).file_size
    if stated > LARGEST_GRID:
        raise CheckpointDamaged(f"{file}: its {name} claims {stated} bytes; {LARGEST_GRID} are the most.")
    with archive.open(entry) as stream:
        kind, shape, fortran = _npy_header(stream)
        claimed, held = math.prod(shape) * kind.itemsize, stated - stream.tell()
        if len(shape) != 2 or kind.hasobject or claimed != held:
            raise CheckpointDamaged(f"{file}: its {name} is no table, or claims {claimed} bytes and has {held}.")
        data = stream.read(claimed)
    if len(data) != claimed:
        raise EOFError(f"{name} ends in the middle")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


def _npy_header(stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of an array is unknown")
    shape, fortran, kind = read(stream)
    return kind, shape, fortran


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
