"""What the tests of Magic123 start from: one run of the pipeline on an ellipsoid, and a job of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.contract import GenerateRequest, Progress, Warning
from backend.pipelines.context import Context
from backend.pipelines.magic123 import MAGIC123, Magic123Parameters
from backend.pipelines.magic123.run import run
from backend.scene import Scene
from backend.shot import Shot
from tests.backend.instantmesh_shots import Kept, job_folder, photo, png

FAST = Magic123Parameters(
    steps=5, side=16, fine_side=32, levels=3, table=10, encoding="quarter", resolution=32, faces=800, texture_size=64
)
"""The fourth step shows the picture itself, the others novel views."""

DRAFT = FAST.model_copy(update={"refine": "off", "colour": "none", "text_prior": "none"})


def made(
    shot: Shot, parameters: Magic123Parameters = DRAFT, *, seed: int = 1, kept: Kept | None = None, **options: Any
) -> tuple[Scene, list[Progress | Warning]]:
    """One run of the pipeline, and what it said. `kept` takes its files."""
    said: list[Progress | Warning] = []
    files = {} if kept is None else kept
    report, skipped = options.pop("report", said.append), frozenset(parameters.skipped_stages())
    context = Context(MAGIC123, seed, report, save=files.__setitem__, restore=files.get, skipped=skipped, **options)
    return run(shot, parameters, context), said


def job_of(
    folder: Path,
    parameters: Magic123Parameters,
    pipeline: str = "magic123",
    name: str = "Vase",
    picture: bytes | None = None,
) -> Path:
    """A job as the server writes it down."""
    request = GenerateRequest(pipeline=pipeline, parameters=parameters.model_dump(), name=name)
    folder = job_folder(folder, request)
    (folder / "inputs" / "image-0.bin").write_bytes(png(photo()) if picture is None else picture)
    return folder


def write_sided_run(folder: Path) -> Path:
    """A run of the published program whose field is a ball: in its picture red at the left, green at the right, blue in
    the upper half. Its world is a mirror image with y up: what is at the left lies at x > 0."""
    import torch

    from models.magic123.field import FieldSettings, RadianceField
    from models.radiance.hash_grid import GridSettings

    grid = GridSettings(levels=1, log2_entries=12)
    side = grid.resolutions[0]
    field = RadianceField(FieldSettings(grid, hidden=8))
    place = torch.arange(side**3)
    sides = [place % side, place // side % side]  # along x, along y
    field.grid.table.data = torch.stack([torch.where(each >= side // 2, 1.0, -1.0) for each in sides], dim=1)
    first, second, last = (layer.weight.data.zero_() for layer in field.network)
    for row, (feature, sign) in enumerate(((0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0))):
        first[row, feature], second[row, row] = sign, 1.0
    for colour, (more, less) in enumerate(((0, 1), (1, 0), (2, 3)), 1):
        last[colour, more], last[colour, less] = 6.0, -6.0
    for layer in field.network:
        layer.bias.data.zero_()
    state = {f"sigma_net.net.{name}": each.data for name, each in field.network.named_parameters()}
    state |= {"encoder.embeddings": field.grid.table.data, "encoder.offsets": torch.tensor(grid.offsets)}
    folder.mkdir(parents=True)
    torch.save({"global_step": 5000, "mean_density": 40.0, "model": state}, folder / "model.pth")
    return folder
