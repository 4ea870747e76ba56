"""From views of objects to coloured meshes: surface → clean → colours, each made once in all attempts at a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backend.geometry.cleanup import Cleaned
from backend.geometry.vertex_colours import Carrier
from backend.pipelines import ending
from backend.pipelines.context import Context
from backend.pipelines.running import Tell, each
from backend.pipelines.viewed.keeping import Kept
from backend.pipelines.viewed.surfacing import Solid, coloured, surfaced
from backend.scene import Mesh
from backend.shot import Shot
from models.multiview.views import Views


@dataclass(frozen=True)
class Shaping:
    """How it is done.

    resolution: cells along the longest side. learned: take away what a network holds for unlikely.
    side: pixels that views have at most for the surface; colours are taken from all that they have.
    faces, floaters: see `ending.cleaned`. colour, texture_size: see `ending.coloured`.
    level: make views agree that are lighter or darker than others.
    hint: what to do about views that show something else.
    """

    resolution: int
    learned: bool
    side: int
    faces: int
    floaters: float
    colour: Carrier
    texture_size: int
    level: bool
    hint: str

    @property
    def texels(self) -> int:
        """Of the texture; 0 for none."""
        return self.texture_size**2 if self.colour == "texture" else 0


@dataclass(frozen=True, eq=False)
class Shaped:
    """What has come of one object, in the frame of its views.

    views: all of them, on the CPU. solid, shape: its surface as it was found and cleaned. mesh: with its colours.
    """

    views: Views
    solid: Solid
    shape: Cleaned
    mesh: Mesh


def shaped(
    instances: Iterable[int],
    views_of: Callable[[int, Tell], Views],
    how: Shaping,
    kept: Kept,
    device: str,
    shot: Shot,
    context: Context,
    sentence: str = "",
) -> dict[int, Shaped]:
    """Coloured meshes of instances. One that cannot be made is told and left out.

    Args:
        views_of: the views of an instance, on the CPU.
        device: where the work is done.
        sentence: told at the beginning.

    Raises:
        Problem: "geometry-failed" if none is left; "weights-missing", "weights-damaged".
        Cancelled.
    """
    views: dict[int, Views] = {}

    def solid(number: int, tell: Tell) -> Solid:
        views[number] = views_of(number, tell)

        def make() -> Solid:
            small = views[number].at_most(how.side).to(device)
            return surfaced(small, how.resolution, how.learned, number, context, how.hint)

        return kept.solid(number, make)

    def shape(number: int, tell: Tell) -> Cleaned:
        def make() -> Cleaned:
            raw = {number: (solids[number].vertices, solids[number].faces)}
            return ending.cleaned(raw, shot, context, faces=how.faces, floaters=how.floaters)[number]

        return kept.shape(number, make)

    def mesh(number: int, tell: Tell) -> Mesh:
        def make() -> Mesh:
            return coloured(
                shot.title(number),
                shapes[number],
                solids[number].others(views[number]).to(device),
                tell,
                how=how.colour,
                texture_size=how.texture_size,
                level=how.level,
                hint=how.hint,
            )

        return kept.mesh(number, make)

    with context.stage("surface"):
        if sentence:
            context.progress(0.0, sentence)
        solids = each(instances, solid, shot, context, how.hint)
    with context.stage("clean"):
        shapes = each(solids, shape, shot, context, how.hint)
    with context.stage("texture"):
        meshes = each(shapes, mesh, shot, context, how.hint)
    return {number: Shaped(views[number], solids[number], shapes[number], done) for number, done in meshes.items()}
