"""The fine stage: the surface of the coarse field as triangles, which pictures and priors go on shaping.

Signed distances and moves of the vertices of tetrahedra are optimised, and the field that colours the surface with
them (Shen et al. 2021, arXiv 2111.04276; Magic123, arXiv 2306.17843, section 3.3). A picture is drawn with silhouettes
that are followed and made smaller by a filter before a prior sees it; all priors' gradients go through the renderer
together, once. The lattice, its scale and the steps along it are those of `Start`, and are part of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.guidance.prior import Prior, distilled
from models.isosurface.sampling import EmptySurface
from models.isosurface.tetrahedra import Tetrahedra, TetrahedralGrid, crossings
from models.magic123 import losses, mesh_losses
from models.magic123.cameras import Around, Orbit, drawn, lights
from models.magic123.drawing import Shading
from models.magic123.field import Field
from models.magic123.published import THRESHOLD, PublishedSurface
from models.magic123.reference import Reference
from models.optimisation.chance import Step
from models.rendering.drawing import Drawing, draw
from models.rendering.silhouettes import Edges

LOCATE = 64
"""Resolution of the lattice that tells how large the object is."""

AROUND = 0.1
"""Room between the object and the lattice's border, at least, in the world's unit."""

CHUNK = 1 << 17
"""Points that a field is asked for at once while nothing is learned."""

BORDER = 1e-3
"""Vertices along the border of the lattice are outside by at least so much, or the surface would be open there."""

FAINTEST = 1e-12


@dataclass(frozen=True)
class FineWeights:
    """What each loss is multiplied with; priors bring their own. Published numbers, but for the last.

    rgb, mask: of the known view, see `losses`.
    normals, laplacian: of the mesh, see `mesh_losses`. They are meant for a lattice of the published resolution; on
        another one the second counts as if its edges were as long as there.
    drift: of signed distances beyond what the lattice started with, which nothing would bring back.
    """

    rgb: float = 5.0
    mask: float = 0.5
    normals: float = 0.1
    laplacian: float = 0.1
    drift: float = 0.1


@dataclass(frozen=True)
class FineSettings:
    """How the stage goes; published numbers where there are any.

    resolution: of the lattice, see `TetrahedralGrid.of_resolution`.
    size: pixels along each side of what is drawn. prior_size: of what the priors see, which is no larger.
    known_first: steps from the beginning that see the known view alone. known_every: and every which one later on.
    around: from where novel views look.
    textureless: share of novel views without colours. ambient: how much light novel views have from everywhere, from …
        to. White: whether novel views have a white background, and not any.
    weights: of the losses.
    distance_rate, move_rate, grid_rate, network_rate: learning rates of signed distances in lattice edges a step on a
        lattice of the published resolution, of moves, of the field's tables and of its perceptron.
    """

    resolution: int = 256
    size: int = 1024
    prior_size: int = 512
    known_first: int = 100
    known_every: int = 4
    around: Around = field(default_factory=Around)
    textureless: float = 0.2
    ambient: tuple[float, float] = (0.1, 1.0)
    white: bool = False
    weights: FineWeights = field(default_factory=FineWeights)
    distance_rate: float = 1e-3
    move_rate: float = 1e-3
    grid_rate: float = 1e-2
    network_rate: float = 1e-3

    def __post_init__(self) -> None:
        if not 1 <= self.prior_size <= self.size:
            raise ValueError(f"Priors see pictures of 1 to {self.size} pixels, not {self.prior_size}.")
        if self.known_every < 1 or self.known_first < 0:
            raise ValueError("The known view is looked at every so many steps, from 1 on.")


PUBLISHED_RESOLUTION = 256


@dataclass(frozen=True)
class Start:
    """Where the stage begins.

    Attributes:
        tetrahedra: the lattice.
        signed: `[V]`, above 0 inside; 1 is what it changes by along one edge of the lattice, as near as can be told.
        deform: `[V, 3]`.
        scale: `[3]`, what the lattice's vertices are multiplied by.
        reach: `[3]`, how far a vertex moves at most along each axis.
    """

    tetrahedra: Tetrahedra
    signed: Tensor
    deform: Tensor
    scale: Tensor
    reach: Tensor

    @classmethod
    def blank(cls, tetrahedra: Tetrahedra, device: torch.device | str = "cpu") -> Start:
        """For a stage whose state is read from a file."""
        count = tetrahedra.vertices
        signed, deform = torch.zeros(count, device=device), torch.zeros(count, 3, device=device)
        return cls(tetrahedra, signed, deform, torch.ones(3, device=device), torch.ones(3, device=device))

    @classmethod
    def published(cls, surface: PublishedSurface, tetrahedra: Tetrahedra) -> Start:
        """Where somebody's fine stage of the published program has ended."""
        reach = torch.full((3,), 1 / tetrahedra.resolution)
        return cls(tetrahedra, surface.signed, surface.deform, surface.scale, reach)


@torch.no_grad()
def begin(
    density: Callable[[Tensor], Tensor],
    resolution: int,
    mean_density: float | None = None,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Start:
    """The surface of a density field: where the density is `THRESHOLD`, or the mean where that is less.

    The lattice is scaled to the object, axis by axis. What is enclosed is filled: nobody sees it. Signed distances are
    logarithms of the density's ratio to the threshold, measured in edges of the lattice and cut off at one: between
    two vertices the surface is then where the field has it, and not half way.

    Args:
        density: points `[N, 3]` -> `[N]`.
        resolution: see `FineSettings`.
        mean_density: of the coarse stage's lattice; None: unknown.
        progress: is told the fraction done.

    Raises:
        EmptySurface: the density is below the threshold everywhere, or above it.
    """
    threshold = min(mean_density, THRESHOLD) if mean_density else THRESHOLD
    look, grid = TetrahedralGrid.of_resolution(LOCATE), TetrahedralGrid.of_resolution(resolution)
    total = look.vertices + grid.vertices

    def asked(of: TetrahedralGrid, scale: Tensor, done: int) -> Tensor:
        found = torch.empty(of.vertices, device=device)
        for first in range(0, of.vertices, CHUNK):
            index = torch.arange(first, min(first + CHUNK, of.vertices), device=device)
            found[index] = density(of.points(index) * scale).to(found)
            if progress is not None:
                progress((done + first + len(index)) / total)
        return found

    one = torch.ones(3, device=device)
    there = (asked(look, one, 0) > threshold).nonzero()[:, 0]
    if not len(there):
        raise EmptySurface(inside=False)
    scale = (look.points(there).abs().amax(0) + AROUND).clamp(max=1.0)
    found = asked(grid, scale, look.vertices)
    ratio = (found.clamp(min=FAINTEST) / threshold).log().nan_to_num(nan=-1.0)
    border = border_of(grid, device)
    inside = grid.enclosed((ratio > 0) & ~border)
    if not bool(inside.any()):
        raise EmptySurface(inside=False)
    hidden = inside & (ratio <= 0)
    signed = torch.where(hidden, 1.0, ratio / _edge_change(grid, ratio, inside)).clamp(-1, 1)
    signed = torch.where(border, signed.clamp(max=-BORDER), signed)
    return Start(grid, signed, torch.zeros(len(signed), 3, device=device), scale, scale / grid.resolution)


def _edge_change(grid: TetrahedralGrid, values: Tensor, inside: Tensor) -> Tensor:
    """The median change of values along the edges of the lattice that the surface passes."""
    ends = crossings(grid.crossed(inside), inside).ends
    change = (values[ends[:, 0]] - values[ends[:, 1]]).abs()
    return change.median().clamp(min=FAINTEST)


def border_of(tetrahedra: Tetrahedra, device: torch.device | str) -> Tensor:
    """Which vertices `[V]` lie on the walls of the lattice's cube."""
    found = torch.empty(tetrahedra.vertices, dtype=torch.bool, device=device)
    for first in range(0, len(found), CHUNK):
        index = torch.arange(first, min(first + CHUNK, len(found)), device=device)
        found[index] = tetrahedra.points(index).abs().amax(1) >= 1
    return found


@dataclass(frozen=True)
class Surface:
    """A mesh with gradients to what is optimised.

    Attributes:
        vertices: `[V, 3]` in the world. faces: `[F, 3]`, facing outwards. edges: of the faces.
        distances: `[D]`, of the vertices of the lattice beside it.
    """

    vertices: Tensor
    faces: Tensor
    edges: Edges
    distances: Tensor


class FineStage(nn.Module):
    """What is optimised, and its losses.

    Attributes:
        signed, deform: see `Start`. field: colours the surface; what of it has gradients is optimised too.
        scale, reach: see `Start`; part of the state.
    """

    scale: Tensor
    reach: Tensor
    border: Tensor

    def __init__(
        self,
        start: Start,
        colouring: nn.Module,
        reference: Reference,
        priors: Sequence[Prior],
        settings: FineSettings | None = None,
    ) -> None:
        """
        Args:
            start: the surface to begin with, or a blank one.
            colouring: a `Field`, on the device of `start`.
            reference: the known view.
            priors: what is known of pictures of any other; without one only the known view is looked at.
            settings: of the stage.
        """
        super().__init__()
        self.settings = settings or FineSettings()
        self.tetrahedra, self.priors = start.tetrahedra, tuple(priors)
        self.signed, self.deform = nn.Parameter(start.signed.clone()), nn.Parameter(start.deform.clone())
        self.field = colouring
        self.register_buffer("scale", start.scale.clone())
        self.register_buffer("reach", start.reach.clone())
        self.register_buffer("border", border_of(start.tetrahedra, start.signed.device), persistent=False)
        self.reference_orbit = reference.orbit
        shown = reference.at(min(self.settings.size, len(reference.picture)))
        self.register_buffer("picture", shown.picture.to(start.signed), persistent=False)
        self.register_buffer("alpha", shown.alpha.to(start.signed), persistent=False)

    def groups(self, faster: float = 1.0) -> list[dict[str, Any]]:
        """The parameters with their learning rates, for Adam with `ADAM`.

        Args:
            faster: what all rates of the geometry are multiplied by, as where there are fewer steps than published.
        """
        chosen = self.settings
        # In edges of the lattice, so that the surface is as fast in the world on any lattice.
        distance = chosen.distance_rate * self.tetrahedra.resolution / PUBLISHED_RESOLUTION
        groups = [
            {"params": [self.signed], "lr": distance * faster},
            {"params": [self.deform], "lr": chosen.move_rate * faster},
        ]
        learned = [(name, each) for name, each in self.field.named_parameters() if each.requires_grad]
        for table, rate in ((True, chosen.grid_rate), (False, chosen.network_rate)):
            if found := [each for name, each in learned if name.endswith("table") == table]:
                groups.append({"params": found, "lr": rate})
        return groups

    def known(self, step: Step) -> bool:
        """Whether a step looks at the known view."""
        number = step.number + 1
        chosen = self.settings
        return not self.priors or number < chosen.known_first or number % chosen.known_every == 0

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        """Losses of one view and of the mesh.

        Raises:
            EmptySurface: there is no surface any more.
        """
        surface = self.surface()
        seen = self._known_view(surface) if self.known(step) else self._novel_view(surface, step)
        weights = self.settings.weights
        bends = mesh_losses.normal_consistency(surface.vertices, surface.faces, surface.edges)
        bumps = mesh_losses.laplacian(surface.vertices, surface.edges)
        beyond = (surface.distances.abs() - 1).clamp(min=0).square().mean()
        as_published = self.tetrahedra.resolution / PUBLISHED_RESOLUTION / self.scale.mean()
        return {
            **seen,
            "mesh normals": weights.normals * bends,
            "mesh laplacian": weights.laplacian * as_published * bumps,
            "drift": weights.drift * beyond,
        }

    def surface(self) -> Surface:
        """The surface as it is now.

        Raises:
            EmptySurface: nothing is inside.
        """
        inside = (self.signed > 0) & ~self.border
        found = crossings(self.tetrahedra.crossed(inside), inside)
        if not len(found.faces):
            raise EmptySurface(inside=False)
        touched = torch.zeros_like(inside)
        touched[found.ends] = True
        used, ends = touched.nonzero()[:, 0], (touched.cumsum(0) - 1)[found.ends]
        moves = self.deform.index_select(0, used).tanh() * self.reach
        points = self.tetrahedra.points(used) * self.scale + moves
        signed = self.signed.index_select(0, used)
        signed = torch.where(self.border[used], signed.clamp(max=-BORDER), signed)
        vertices = found.places(points[ends], signed[ends])
        return Surface(vertices, found.faces, Edges.of(found.faces), signed)

    def draw(
        self,
        orbit: Orbit,
        size: int | None = None,
        *,
        surface: Surface | None = None,
        shading: Shading = Shading(),
        light: Tensor | None = None,
        background: float | Tensor = 1.0,
    ) -> Drawing:
        """The surface from the first camera of an orbit, `size` by `size` pixels.

        Args:
            shading, light: how it is lit, and a unit vector `[3]` to the lamp.
            background: see `rendering.drawing.draw`.
        """
        surface = surface or self.surface()

        def shade(albedo: Tensor, normals: Tensor) -> Tensor:
            lamp = torch.zeros_like(normals) if light is None else light.to(normals).expand_as(normals)
            return shading.colours(albedo, normals, lamp)

        def colours(places: Tensor) -> Tensor:
            asker: Any = self.field
            grey = shading.kind in ("textureless", "normal")
            found: Tensor = torch.zeros_like(places) if grey else asker.albedo(places)
            return found

        return draw(
            surface.vertices,
            surface.faces,
            orbit.camera(),
            colours,
            width=size or self.settings.size,
            background=background,
            edges=surface.edges,
            shade=shade,
        )

    @torch.no_grad()
    def export(self) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Vertices `[V, 3]`, faces `[F, 3]` int64 that face outwards, and the colours: points `[N, 3]` -> `[N, 3]`.

        Raises:
            EmptySurface: there is no surface.
        """
        surface = self.surface()
        asker: Any = self.field
        return surface.vertices, surface.faces, asker.albedo

    def _known_view(self, surface: Surface) -> dict[str, Tensor]:
        drawn_view = self.draw(self.reference_orbit, surface=surface)
        size = len(self.picture)
        picture = reduced(drawn_view.colour, size)
        alpha = reduced(drawn_view.alpha[..., None], size)[..., 0]
        weights = self.settings.weights
        sure = losses.without_edges(self.alpha)
        return {
            "rgb": weights.rgb * losses.rgb(picture, self.picture, sure),
            "mask": weights.mask * losses.mask(alpha, self.alpha),
        }

    def _novel_view(self, surface: Surface, step: Step) -> dict[str, Tensor]:
        chosen = self.settings
        orbit = drawn(step, chosen.around)
        chance = torch.rand(5, generator=step.generator("shading"))
        ambient = float(chosen.ambient[0] + chance[0] * (chosen.ambient[1] - chosen.ambient[0]))
        shading = Shading("textureless" if float(chance[1]) < chosen.textureless else "lambert", ambient)
        if ambient == 1 and shading.kind == "lambert":
            shading = Shading()
        background = torch.ones(3) if chosen.white else chance[2:]
        seen = self.draw(
            orbit, surface=surface, shading=shading, light=lights(step, orbit)[0], background=background.to(self.signed)
        )
        picture = reduced(seen.colour, chosen.prior_size).movedim(2, 0)[None]
        views = orbit.seen_from(self.reference_orbit)
        looked_at = picture.detach()
        gradients = [prior.gradient(looked_at, views, step) for prior in self.priors]
        return {"priors": distilled(picture, torch.stack(gradients).sum(0))}


ADAM: dict[str, Any] = {"betas": (0.9, 0.99), "eps": 1e-15}
"""Published, of the optimiser."""


def reduced(picture: Tensor, size: int) -> Tensor:
    """A picture `[H, H, C]` with `size` pixels along each side, each the mean of what it covers."""
    if len(picture) == size:
        return picture
    return functional.interpolate(picture.movedim(2, 0)[None], (size, size), mode="area")[0].movedim(0, 2)
