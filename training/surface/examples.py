"""What the network of surfaces learns from: for each orbit what is known of a lattice, and what is true there."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from torch import Tensor
from torch.nn import functional

from models.multiview.known import FACING, VIEWED, Sights, known, lattice_over
from models.multiview.silhouettes import object_box, outline_distances, strangers
from models.multiview.views import Cameras, Views
from training.surface.disturbing import disturbed
from training.surface.truth import distances
from training.views import ObjectViews

NEAR, FAR = 3.0, 4.0
"""Cells outside of the hull up to which the truth is asked for, and from the surface from which on it is all one."""

ALIKE, STRETCHED, SIDE = 0.8, 0.1, 24
"""Two models are the same, turned or not, from this share of their common volume on, in boxes of so many cells whose
sides differ by no more than this part of the longest."""

ASKED = 8
"""Views of a changed example that are asked: half of them, so that none is relied on, and twice as quick."""

SPAN = 0.5
"""`training.views` makes the longest side 2; in the world of an orbit of Hi3D's it is 1."""


@dataclass(frozen=True)
class Example:
    """values: `[CHANNELS, X, Y, Z]`, what is known. hull, true: `[X, Y, Z]` distances from the hull's and from the
    true surface, cells, negative inside. All float16, as is what views see. name: of the model."""

    name: str
    values: Tensor
    hull: Tensor
    true: Tensor
    sights: Sights

    def changed(self, chance: random.Random) -> Example:
        """The same turned, mirrored, in other colours, and seen by some of the views."""
        mirrored, turns = chance.random() < 0.5, chance.randrange(4)
        values = turned(self.values.float(), turns, mirrored)
        hull, true = (turned(each[None], turns, mirrored, ())[0] for each in (self.hull, self.true))
        order = chance.sample(range(3), 3) if chance.random() < 0.5 else [0, 1, 2]
        light = 2 ** chance.uniform(-0.4, 0.4)
        values[5:8] = (values[5:8][order] * light).clamp(0, 1)
        values[9:12] = values[9:12][order] * light
        values[[8, 12]] *= light
        some = sorted(chance.sample(range(len(self.sights.pictures)), min(ASKED, len(self.sights.pictures))))
        pictures = self.sights.pictures[some].float()
        pictures[:, :3] = (pictures[:, order] * light).clamp(0, 1)
        # The order of the places is that of the lattice, and that is another one now.
        number = torch.full_like(self.hull.flatten(), -1, dtype=torch.int64)
        number[self.sights.places] = torch.arange(len(self.sights.places))
        number = turned(number.reshape(1, *self.hull.shape), turns, mirrored, ()).flatten()
        places = (number >= 0).nonzero()[:, 0]
        columns = [
            each[some][:, number[places]] for each in (self.sights.grid, self.sights.behind, self.sights.outside)
        ]
        return Example(self.name, values, hull, true, Sights(pictures, places, *columns))


def turned(values: Tensor, turns: int, mirrored: bool, along: tuple[int, ...] = (FACING, FACING + 1)) -> Tensor:
    """What values `[C, X, Y, Z]` would be, had the object been mirrored in x, and then turned about z by quarters.

    Args:
        along: which of the values are the x and the y of a direction; () if none.
    """
    values = values.clone()
    if mirrored:
        values = values.flip(1)
        for x in along[:1]:
            values[x] = -values[x]
    for _ in range(turns):
        values = values.transpose(1, 2).flip(1)
        if along:
            values[list(along)] = torch.stack([-values[along[1]], values[along[0]]])
    return values


def views_of(seen: ObjectViews) -> Views:
    """The views of a rendered object as a reconstruction wants them."""
    pictures = torch.from_numpy(np.stack([seen.picture(index) for index in range(seen.count)])).float() / 255
    height, width = pictures.shape[1:3]
    poses = torch.from_numpy(seen.poses.copy())
    poses[:, :3, 3] *= SPAN
    lens = torch.from_numpy(seen.intrinsics.copy()) * torch.tensor([[width], [height], [1.0]])
    return Views(pictures[..., :3], pictures[..., 3], Cameras(poses, lens, width, height))


def model_of(models: Path, metadata: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The model as it was rendered: vertices `[N, 3]` float32 and faces `[F, 3]` int64 in the orbit's world.

    Raises:
        ValueError: the file has another box than what was rendered.
    """
    mesh: Any = trimesh.load(models / metadata["object"]["file"], force="mesh", process=False, skip_materials=True)
    # A file has Y up and looks along +Z; Blender's importer has turned it.
    upright = np.asarray(mesh.vertices)[:, [0, 2, 1]] * [1, -1, 1]
    matrix = np.array(metadata["matrix"])
    vertices = upright @ matrix[:3, :3].T + matrix[:3, 3]
    used = vertices[np.unique(mesh.faces)]
    if np.abs(np.stack([used.min(0), used.max(0)]) - np.array(metadata["box"])).max() > 1e-3:
        raise ValueError(f"{metadata['name']} is not the model that was rendered.")
    return torch.from_numpy(vertices).float(), torch.from_numpy(np.asarray(mesh.faces, np.int64))


def example(models: Path, seen: ObjectViews, seed: int | None = None) -> Example:
    """Of an orbit and the model that it shows.

    Args:
        seed: of how the views are disturbed, as generated ones are; None: they are not.

    Raises:
        ValueError: the model is another one, or its outlines have nothing in common.
    """
    views = views_of(seen).at_most(VIEWED)
    views = views if seed is None else disturbed(views, seed)[0]
    apart = outline_distances(views.alpha)
    if seed is not None:
        kept = (~strangers(apart, views)).nonzero()[:, 0]
        views, apart = views.chosen(kept), apart[kept]
    lattice = lattice_over(*object_box(apart, views))
    values, hull, sights = known(apart, views, lattice)
    near = hull.flatten() < NEAR
    true = hull.flatten().clone()
    places = lattice.points()[near]
    true[near] = distances(*model_of(models, seen.metadata), places, FAR * lattice.spacing) / lattice.spacing
    return halved(Example(seen.name, values, hull, true.reshape(hull.shape), sights))


def halved(one: Example) -> Example:
    """With all that is no whole number in 16 bit."""
    seen = one.sights
    sights = Sights(seen.pictures.half(), seen.places, seen.grid.half(), seen.behind.half(), seen.outside.half())
    return Example(one.name, one.values.half(), one.hull.half(), one.true.half(), sights)


def read(file: Path) -> Example:
    """An example as `torch.save` has written its fields."""
    fields = torch.load(file, weights_only=True)
    return Example(**{**fields, "sights": Sights(**fields["sights"])})


def shape_of(example: Example) -> tuple[Tensor, Tensor]:
    """`[4, SIDE, SIDE, SIDE]` bool: the solid stretched over its box, and turned about the vertical by quarters; and
    `[4, 3]` the box's sides by the longest, turned likewise."""
    inside = example.true < 0
    for axis in range(3):
        filled = inside.movedim(axis, 0).flatten(1).any(1).nonzero()[:, 0]
        if len(filled):
            inside = inside.narrow(axis, int(filled[0]), int(filled[-1] - filled[0]) + 1)
    even = functional.interpolate(inside[None, None].float(), (SIDE,) * 3, mode="trilinear")[0, 0] > 0.5
    sides = torch.tensor(inside.shape) / max(inside.shape)
    return torch.stack([even.rot90(turns, (0, 1)) for turns in range(4)]), torch.stack(
        [sides[[1, 0, 2]] if turns % 2 else sides for turns in range(4)]
    )


class Shapes:
    """Shapes and proportions of some examples, to tell whether another has one of them."""

    def __init__(self, examples: Iterable[Example]) -> None:
        known = [shape_of(each) for each in examples]
        self._solids = torch.stack([each[0][0] for each in known]).flatten(1) if known else None
        self._sides = torch.stack([each[1][0] for each in known]) if known else None

    def has(self, example: Example) -> bool:
        """Whether an example, turned or not, has shape and proportions of one of them."""
        if self._solids is None or self._sides is None:
            return False
        mine, sides = shape_of(example)
        turned_each = mine.flatten(1)[:, None]
        common = (turned_each & self._solids).sum(2) / (turned_each | self._solids).sum(2).clamp(min=1)
        stretched = (sides[:, None] - self._sides).abs().amax(2)
        return bool(((common > ALIKE) & (stretched < STRETCHED)).any())
