"""What the tests of MIRA start from: a shape without symmetry in a real checkpoint, and what a camera sees of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh

from backend.camera import Camera
from backend.contract import Photo, Progress, Warning
from backend.geometry.silhouette import silhouette
from backend.pipelines.context import Context
from backend.pipelines.mira import MIRA, MiraParameters
from backend.pipelines.mira.run import run
from backend.scene import Scene
from backend.shot import InstanceMap, Shot
from models.lrm.single_view import SingleViewModel
from models.lrm.single_view_files import write_openlrm
from models.lrm.single_view_tiny import RENDER_SIZE, SOURCE_SIZES, tiny_single_view
from models.lrm.tiny import TOKEN_SIZE
from tests.backend.ray_caster import look

FAST = MiraParameters(resolution=32, faces=1500, texture_size=64)
PLAIN = FAST.model_copy(update={"colour": "none"})

Kept = dict[str, bytes]

POST = ((-0.625, -0.625, -0.625), (-0.125, 0.125, 0.625))
FOOT = ((-0.125, -0.125, -0.625), (0.625, 0.625, -0.125))
"""Two boxes, corners in the frame of the network: seen from the front, -y, a tall post at the left, and a foot that
reaches to the right and stands farther back. No turn and no mirror takes the two together to themselves."""


def made(
    shot: Shot, parameters: MiraParameters = FAST, *, kept: Kept | None = None, **options: Any
) -> tuple[Scene, list[Progress | Warning]]:
    """One run of the pipeline, and what it said. `kept` takes its files."""
    said: list[Progress | Warning] = []
    files = {} if kept is None else kept
    report, skipped = options.pop("report", said.append), frozenset(parameters.skipped_stages())
    context = Context(MIRA, 1, report, save=files.__setitem__, restore=files.get, skipped=skipped, **options)
    return run(shot, parameters, context), said


def inside(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Whether points lie in the post or in the foot."""
    found = torch.zeros_like(x, dtype=torch.bool)
    for low, high in (POST, FOOT):
        box = torch.ones_like(found)
        for value, least, most in zip((x, y, z), low, high, strict=True):
            box &= (value > least) & (value < most)
        found |= box
    return found


def write_asymmetric(folder: Path) -> Path:
    """A checkpoint of OpenLRM 1.1 whose field is the post and the foot, whatever the picture shows."""
    network = tiny_single_view()
    with torch.no_grad():
        _carve(network)
    write_openlrm(network, folder, SOURCE_SIZES["openlrm-1.1"], RENDER_SIZE)
    return folder


def _carve(network: SingleViewModel) -> None:
    """Channel 0 of the planes becomes 1 where a plane has the shadow of the shape and 0.3 elsewhere; the decoder of the
    tiny network draws its surface where the sum of the three is 2.64.

    The first plane has the shape from above, the second from the front, the third, from the side, says nothing.
    """
    side = network.config.low_resolution
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    down, along = torch.meshgrid(place, place, indexing="ij")
    deep = place[:, None, None]
    shadows = torch.stack(
        [
            inside(along.expand(side, -1, -1), down.expand(side, -1, -1), deep.expand(-1, side, side)).any(0),
            inside(along.expand(side, -1, -1), deep.expand(-1, side, side), down.expand(side, -1, -1)).any(0),
            torch.ones(side, side, dtype=torch.bool),
        ]
    )
    share = torch.where(shadows, 0.9, 0.27).flatten()[:, None]
    carrier = torch.nn.functional.normalize(network.upsampler.weight[:, 0, 0, 0], dim=0)
    other = torch.randn(len(carrier), generator=torch.Generator().manual_seed(1))
    other -= other.mean() + (other @ carrier) * carrier
    other = torch.nn.functional.normalize(other, dim=0)
    rows = share * carrier + (1 - share.square()).sqrt() * other
    network.pos_embed.copy_(TOKEN_SIZE * len(carrier) ** 0.5 * rows[None])


def shape() -> trimesh.Trimesh:
    """The same as two boxes that touch, in the frame of the network."""
    boxes = [trimesh.creation.box(bounds=np.array(bounds)) for bounds in (POST, FOOT)]
    joined: trimesh.Trimesh = trimesh.util.concatenate(boxes)
    return joined


def around(azimuth: float, elevation: float, size: int = 200) -> Camera:
    """A camera 5 m from (0, 0, 0.6), which it looks at; azimuth 0 is on -y."""
    turn, tilt = math.radians(azimuth), math.radians(elevation)
    flat = 5 * math.cos(tilt)
    position = (flat * math.sin(turn), -flat * math.cos(turn), 0.6 + 5 * math.sin(tilt))
    return look(position, tilt, turn, 40, size)


def shot_of(vertices: np.ndarray, faces: np.ndarray, camera: Camera, **more: Any) -> Shot:
    """What a camera sees of a mesh in the world."""
    mask = silhouette(vertices, faces, camera)
    picture = np.zeros((*mask.shape, 4), np.uint8)
    picture[mask] = (180, 120, 60, 255)
    labels = mask.astype(np.uint16)
    return Shot((picture,), InstanceMap(labels, {1: "Stand"}), camera, photos=(Photo(),), **more)
