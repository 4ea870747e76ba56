"""The fine stage: the surface of the coarse field as triangles, which pictures and priors go on shaping.

Signed distances and moves of the vertices of tetrahedra are optimised, and the field that colours the surface with
them (Shen et al. 2021, arXiv 2111.04276; Magic123, arXiv 2306.17843, section 3.3). A picture is drawn with silhouettes
that are followed and made smaller by a filter before a prior sees it; all priors' gradients go through the renderer
together, once. The lattice, its scale and the steps along it are those of `Start`, and are part of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.guidance.prior import Prior, distilled
from models.isosurface.sampling import EmptySurface
from models.isosurface.tetrahedra import crossings
from models.magic123 import losses, mesh_losses
from models.magic123.cameras import Around, Orbit, drawn, lights
from models.magic123.drawing import Shading
from models.magic123.fine_start import BORDER, Start, border_of
from models.magic123.reference import Reference
from models.magic123.settings import Plan
from models.magic123.viewing import Picture
from models.optimisation.chance import Step
from models.rendering.drawing import Drawing, draw
from models.rendering.silhouettes import Edges

PUBLISHED_STEPS, PUBLISHED_RESOLUTION = 5000, 256
ADAM: dict[str, Any] = {"betas": (0.9, 0.99), "eps": 1e-15}
"""Published, of the optimiser."""

FASTEST = 0.1
"""Edges of the lattice by which the surface may move in a step. Beyond it vertices change sides by chance, and what
they leave behind floats around."""

AS_IT_IS = Shading()
MOST_LEVELS = 64
"""Of the field's grid: all that there are."""


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

    steps: of the whole stage. With fewer than published the geometry is that much faster.
    resolution: of the lattice, see `TetrahedralGrid.of_resolution`.
    size: pixels along each side of what is drawn. prior_size: of what the priors see, which is no larger.
    known_first: steps from the beginning that see the known view alone. known_every: and every which one later on.
    around: from where novel views look.
    textureless: share of novel views without colours. ambient: how much light novel views have from everywhere, from …
        to. white: whether novel views have a white background, and not any.
    weights: of the losses.
    distance_rate, move_rate, grid_rate, network_rate: learning rates of signed distances in lattice edges a step on a
        lattice of the published resolution, of moves, of the field's tables and of its perceptron.
    """

    steps: int = 5000
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
        if self.steps < 1 or self.known_every < 1 or self.known_first < 0:
            raise ValueError("There is a step at least, and the known view is looked at every so many of them.")


PRESETS = {
    "draft": FineSettings(steps=500, resolution=128, size=512, prior_size=256, known_first=10),
    "standard": FineSettings(steps=2000, resolution=192, size=768, prior_size=512, known_first=40),
    "final": FineSettings(),
}
"""How much is done: the last is what is published."""


def planned(settings: FineSettings, reference: Orbit, step: Step) -> Plan:
    """What a step is going to do, of which a part has one view.

    Args:
        reference: the camera of the known view.
    """
    number = step.number + 1  # as published, steps are counted from 1
    if number < settings.known_first or number % settings.known_every == 0:
        return Plan(True, reference, AS_IT_IS, reference.backward, torch.ones(1, 3), MOST_LEVELS)
    orbit = drawn(step, settings.around, step.parts)
    chance = torch.rand(5, generator=step.generator("shading"))
    low, high = settings.ambient
    ambient = low + (high - low) * float(chance[0])
    shading = Shading("textureless" if float(chance[1]) < settings.textureless else "lambert", ambient)
    background = torch.ones(1, 3) if settings.white else chance[None, 2:]
    return Plan(False, orbit, shading, lights(step, orbit, step.parts), background, MOST_LEVELS)


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
    picture: Tensor
    alpha: Tensor

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
        shown = reference.at(min(self.settings.size, reference.picture.shape[0]))
        self.register_buffer("picture", shown.picture.to(start.signed), persistent=False)
        self.register_buffer("alpha", shown.alpha.to(start.signed), persistent=False)

    def groups(self) -> list[dict[str, Any]]:
        """The parameters with their learning rates, for Adam with `ADAM`."""
        chosen = self.settings
        faster = PUBLISHED_STEPS / chosen.steps
        # In edges of the lattice, so that the surface is as fast in the world on any lattice.
        distance = chosen.distance_rate * self.tetrahedra.resolution / PUBLISHED_RESOLUTION
        groups = [
            {"params": [self.signed], "lr": min(distance * faster, FASTEST)},
            {"params": [self.deform], "lr": chosen.move_rate * faster},
        ]
        learned = [(name, each) for name, each in self.field.named_parameters() if each.requires_grad]
        for table, rate in ((True, chosen.grid_rate), (False, chosen.network_rate)):
            if found := [each for name, each in learned if name.endswith("table") == table]:
                groups.append({"params": found, "lr": rate})
        return groups

    def plan(self, step: Step) -> Plan:
        """What a step is going to do; without priors it looks at the known view."""
        settings = self.settings if self.priors else replace(self.settings, known_every=1)
        return planned(settings, self.reference_orbit, step)

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        """Losses of one view and of the mesh.

        Raises:
            EmptySurface: there is no surface any more.
        """
        surface = self.surface()
        plan = self.plan(step)
        seen = self._known_view(surface) if plan.known else self._novel_view(surface, plan, step)
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
        index: int = 0,
        surface: Surface | None = None,
        shading: Shading = AS_IT_IS,
        light: Tensor | None = None,
        background: float | Tensor = 1.0,
    ) -> Drawing:
        """The surface from one camera of an orbit, `size` by `size` pixels; in float32, as places must be.

        Args:
            index: which camera.
            shading, light: how it is lit, and a unit vector `[3]` to the lamp.
            background: see `rendering.drawing.draw`.
        """
        surface = surface or self.surface()

        def shade(albedo: Tensor, normals: Tensor) -> Tensor:
            lamp = torch.zeros_like(normals) if light is None else light.to(normals).expand_as(normals)
            return shading.colours(albedo, normals, lamp)

        def colours(places: Tensor) -> Tensor:
            return torch.zeros_like(places) if shading.kind in ("textureless", "normal") else self.albedo(places)

        with torch.autocast(self.signed.device.type, enabled=False):
            return draw(
                surface.vertices,
                surface.faces,
                orbit.camera(index),
                colours,
                width=size or self.settings.size,
                background=background,
                edges=surface.edges,
                shade=shade,
            )

    @torch.no_grad()
    def render(self, orbit: Orbit, size: int, background: float = 1.0) -> Picture:
        """Pictures to look at, from all cameras of an orbit, as those of the coarse stage.

        Raises:
            EmptySurface: there is no surface.
        """
        surface, parts = self.surface(), []
        for index in range(len(orbit)):
            seen = self.draw(orbit, size, index=index, surface=surface, background=background)
            normals = (seen.normals + seen.alpha[..., None]) / 2
            parts.append((seen.colour, normals, seen.alpha, seen.depth))
        colour, normals, alpha, depth = (torch.stack(each) for each in zip(*parts, strict=True))
        return Picture(colour, normals, alpha, depth)

    @torch.no_grad()
    def export(self) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Vertices `[V, 3]`, faces `[F, 3]` int64 that face outwards, and the colours: points `[N, 3]` -> `[N, 3]`.

        Raises:
            EmptySurface: there is no surface.
        """
        surface = self.surface()
        return surface.vertices, surface.faces, torch.no_grad()(self.albedo)

    def albedo(self, places: Tensor) -> Tensor:
        """The surface's colours `[N, 3]` at places `[N, 3]`."""
        asker: Any = self.field
        found: Tensor = asker.albedo(places)
        return found

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

    def _novel_view(self, surface: Surface, plan: Plan, step: Step) -> dict[str, Tensor]:
        light, background = plan.light[0], plan.background[0].to(self.signed)
        seen = self.draw(plan.orbit, surface=surface, shading=plan.shading, light=light, background=background)
        picture = reduced(seen.colour, self.settings.prior_size).movedim(2, 0)[None]
        views = plan.orbit.seen_from(self.reference_orbit)
        looked_at = picture.detach()
        gradients = [prior.gradient(looked_at, views, step) for prior in self.priors]
        return {"priors": distilled(picture, torch.stack(gradients).sum(0))}


def reduced(picture: Tensor, size: int) -> Tensor:
    """A picture `[H, H, C]` with `size` pixels along each side, each the mean of what it covers."""
    if len(picture) == size:
        return picture
    return functional.interpolate(picture.movedim(2, 0)[None], (size, size), mode="area")[0].movedim(0, 2)
