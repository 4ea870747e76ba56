"""Pictures with gradients: what a small move of a mesh changes is what the gradient says, silhouettes included."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models.lrm.cameras import spherical_poses
from models.rendering import Camera, Edges, Texture, bake, compiled, draw, drawing, preview, rasterise
from models.rendering.silhouettes import silhouettes
from tests.models.rendering.solids import SOLIDS, Mesh, ball, box, joined

SIZE = 48
CAMERA = Camera.perspective(spherical_poses([25.0], [35.0], 4.0)[0], 40.0)
RIGHT = CAMERA.pose[:3, 0]


def pattern(channels: int, size: int = SIZE) -> Tensor:
    """Smooth weights `[size, size, channels]` that make a number of a picture."""
    along = torch.linspace(0, 3, size, dtype=torch.float64)
    waves = [torch.sin(along[:, None] * (1 + c) + c) + torch.cos(along[None] * (2 - c)) for c in range(channels)]
    return torch.stack(waves, dim=2)


def shades(vertices: Tensor) -> Tensor:
    """Colours that change smoothly in space."""
    return 0.5 + 0.4 * torch.sin(2 * vertices + torch.tensor([0.0, 1.0, 2.0]).to(vertices))


@pytest.mark.parametrize("solid", ["ball", "bumpy torus", "box with sharp edges", "pieces", "thin plate"])
def test_gradients_are_those_of_finite_differences(solid: str) -> None:
    """To vertices and colours at once; for the colours, normals, shares and depths of every pixel."""
    vertices, faces = SOLIDS[solid][0].double(), SOLIDS[solid][1]
    colours, weights = shades(vertices), pattern(3)
    torch.manual_seed(0)
    ways = torch.randn(2, *vertices.shape, dtype=torch.float64)

    def number(step: float) -> Tensor:
        seen = draw(vertices + step * ways[0], faces, CAMERA, colours + step * ways[1], width=SIZE)
        depth = (seen.depth * weights[..., 1]).sum()
        return ((seen.colour + seen.normals) * weights).sum() + (seen.alpha * weights[..., 0]).sum() + depth

    leaf = torch.zeros((), dtype=torch.float64, requires_grad=True)
    number(leaf).backward()
    assert leaf.grad is not None
    step = 1e-7  # so small that no corner is rounded to another 256th of a pixel
    found = (number(step) - number(-step)) / (2 * step)
    assert float(leaf.grad) == pytest.approx(float(found), rel=1e-4)


def along(move: Callable[[Tensor], Tensor], number: Callable[[Tensor], Tensor], steps: int) -> tuple[float, float]:
    """By how much a number of a picture changes while vertices move all the way from 0 to 1, and the mean of what its
    gradients say on that way: the same, if these are right where pixels go over from one thing to another too."""
    told = 0.0
    for step in range(steps):
        share = torch.tensor((step + 0.5) / steps, dtype=torch.float64, requires_grad=True)
        number(move(share)).backward()
        told += float(share.grad) / steps  # type: ignore[arg-type]
    ends = [float(number(move(torch.tensor(end, dtype=torch.float64)))) for end in (0.0, 1.0)]
    return ends[1] - ends[0], told


BOX = SOLIDS["box with sharp edges"]
MOVES: dict[str, tuple[Mesh, Callable[[Tensor, Tensor], Tensor]]] = {
    "a ball across three pixels": (ball(12), lambda vertices, share: vertices + 0.18 * share * RIGHT),
    "a box across three pixels": (BOX, lambda vertices, share: vertices + 0.18 * share * RIGHT),
    "a ball that grows": (ball(12), lambda vertices, share: vertices * (1 + 0.2 * share)),
    "a box that grows": (BOX, lambda vertices, share: vertices * (1 + 0.2 * share)),
    "a plate that turns": (
        box((0.9, 0.7, 0.05)),
        lambda vertices, share: torch.cat([vertices[:, :2], vertices[:, 2:] + 0.3 * share * vertices[:, :1]], dim=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(MOVES))
def test_silhouettes_that_cross_pixels_change_the_mask_as_their_gradients_say(name: str) -> None:
    """Each pixel counts by its column: so what is won on one side adds to what is lost on the other one."""
    (vertices, faces), move = MOVES[name]
    weights = 0.2 + torch.linspace(-1, 1, SIZE, dtype=torch.float64).expand(SIZE, SIZE)

    def number(moved: Tensor) -> Tensor:
        return (draw(moved, faces, CAMERA, width=SIZE).alpha * weights).sum()

    changed, told = along(lambda share: move(vertices.double(), share), number, 48)
    assert abs(changed) > 1
    assert told == pytest.approx(changed, rel=0.08)


def test_one_object_that_moves_before_another_one() -> None:
    """Its silhouette lies in the other's surface, where depth jumps and nothing of the background is seen."""
    behind, before = box((1.2, 0.1, 1.2), (0.0, 0.6, 0.0)), ball(12, 0.3, (0.0, -0.4, 0.1))
    vertices, faces = joined(behind, before)
    vertices, count = vertices.double(), len(behind[0])
    camera = Camera.perspective(spherical_poses([-90.0], [8.0], 4.0)[0], 40.0)
    colours = torch.ones(len(vertices), 1, dtype=torch.float64)
    colours[:count] = 0.0
    weights = torch.linspace(-1, 1, SIZE, dtype=torch.float64).expand(SIZE, SIZE)[..., None]

    def number(moved: Tensor) -> Tensor:
        seen = draw(moved, faces, camera, colours, width=SIZE, background=0.5)
        # Where the box ends is of no interest here.
        return (seen.colour * weights)[8:-8, 8:-8].sum()

    def move(share: Tensor) -> Tensor:
        return torch.cat([vertices[:count], vertices[count:] + 0.2 * share * camera.pose[:3, 0]])

    changed, told = along(move, number, 48)
    assert abs(changed) > 1
    assert told == pytest.approx(changed, rel=0.05)

    def hidden(share: Tensor) -> Tensor:
        """The same ball on the other side of the box."""
        return torch.cat([vertices[:count], vertices[count:] + torch.tensor([0.0, 1.6, 0.0]) + 0.2 * share])

    assert along(hidden, number, 4) == (0.0, 0.0), "what is hidden has no silhouette"


@pytest.mark.parametrize("solid", list(SOLIDS))
def test_shares_are_those_of_many_samples(solid: str) -> None:
    vertices, faces = SOLIDS[solid]
    seen = draw(vertices, faces, CAMERA, width=SIZE)
    truth = preview(vertices, faces, CAMERA, width=SIZE, samples=8).mask
    hard = preview(vertices, faces, CAMERA, width=SIZE).mask
    assert float(seen.alpha.min()) >= -0.01 and float(seen.alpha.max()) <= 1.01
    if solid not in ("needle", "one triangle"):  # a needle of less than a pixel is seen or not
        assert (seen.alpha - truth).abs().sum() < 0.35 * (hard - truth).abs().sum()


def test_triangles_smaller_than_pixels_have_the_same_silhouette() -> None:
    """The outline's edge belongs to no triangle that any pixel's middle sees."""
    coarse, fine = (draw(*ball(rings), CAMERA, width=SIZE).alpha for rings in (40, 240))
    truth = preview(*ball(240), CAMERA, width=SIZE, samples=8).mask
    assert (fine - truth).abs().max() < 0.25
    assert (fine - truth).abs().sum() < 1.2 * (coarse - truth).abs().sum()


def test_colours_are_those_of_the_preview() -> None:
    """Of values at vertices, of a field and of a texture; away from silhouettes, which are followed here alone."""
    vertices, faces = SOLIDS["bumpy torus"]
    baked = bake(vertices, faces, shades, size=256)
    expected = preview(vertices, faces, CAMERA, shades, width=SIZE).colour
    for colours, within in ((shades(vertices), 0.02), (shades, 5e-4), (baked.as_texture(), 0.02)):
        seen = draw(vertices, faces, CAMERA, colours, width=SIZE)
        inside = torch.zeros(SIZE * SIZE, dtype=torch.bool)
        inside[seen.hits.pixel] = True
        edges = torch.cat([torch.cat([way.inner, way.outer]) for way in _ways(seen)])
        inside[edges] = False
        inside = inside.reshape(SIZE, SIZE)
        assert inside.sum() > 300
        assert (seen.colour - expected)[inside].abs().max() < within
    assert torch.allclose(seen.depth[inside], preview(vertices, faces, CAMERA, width=SIZE).depth[inside], atol=1e-3)


def _ways(seen: drawing.Drawing) -> tuple[Any, Any]:
    return seen.silhouettes.along_rows, seen.silhouettes.along_columns  # type: ignore[union-attr]


def test_a_texture_and_a_field_get_gradients() -> None:
    vertices, faces = SOLIDS["ball"]
    baked = bake(vertices, faces, shades, size=128)
    image = baked.texture.float().div(255).requires_grad_()
    draw(vertices, faces, CAMERA, Texture(image, baked.uv, baked.faces), width=SIZE).colour.sum().backward()
    assert image.grad is not None and 0.02 < float((image.grad != 0).float().mean()) < 0.6
    scale = torch.ones((), requires_grad=True)
    draw(vertices, faces, CAMERA, lambda places: places * scale, width=SIZE).colour.square().sum().backward()
    assert float(scale.grad) > 1  # type: ignore[arg-type]


@pytest.mark.parametrize("solid", ["broken triangles", "thin plate", "needle", "one triangle"])
@pytest.mark.parametrize("distance", [4.0, 0.7])
def test_whatever_the_mesh_gradients_are_numbers(solid: str, distance: float) -> None:
    """Also with a camera that stands inside of it."""
    vertices, faces = SOLIDS[solid]
    leaf = vertices.clone().requires_grad_()
    seen = draw(leaf, faces, Camera.perspective(spherical_poses([0.0], [0.0], distance)[0], 60.0), width=SIZE)
    (seen.colour.sum() + seen.alpha.sum() + seen.depth.sum() + seen.normals.sum()).backward()
    assert leaf.grad is not None and bool(leaf.grad.isfinite().all())


def test_nothing_is_drawn_of_nothing() -> None:
    seen = draw(torch.zeros(3, 3), torch.empty(0, 3, dtype=torch.int64), CAMERA, width=8, background=0.25)
    assert (seen.alpha == 0).all() and (seen.depth == 0).all() and (seen.colour == 0.25).all()


def test_the_way_triangles_are_turned_makes_no_silhouette() -> None:
    vertices, faces = SOLIDS["ball"]
    mixed = torch.where((torch.arange(len(faces)) % 2 == 0)[:, None], faces, faces.flip(1))
    assert torch.equal(draw(vertices, mixed, CAMERA, width=SIZE).alpha, draw(vertices, faces, CAMERA, width=SIZE).alpha)


@pytest.mark.parametrize("free", ["size", "vertices"])
def test_a_mask_is_pulled_onto_a_larger_one(free: str) -> None:
    """From all sides at once and in few steps, by the size alone and by every vertex for itself."""
    vertices, faces = ball(12, 0.6)
    edges = Edges.of(faces)
    cameras = [Camera.perspective(pose, 40.0) for pose in spherical_poses([0.0, 90.0, 45.0], [0.0, 10.0, 50.0], 4.0)]
    wanted = [draw(*ball(12, 0.9), camera, width=SIZE).alpha for camera in cameras]
    leaf = torch.ones(1) if free == "size" else torch.ones(len(vertices), 1)
    leaf.requires_grad_()
    optimiser = torch.optim.Adam([leaf], lr=0.05, betas=(0.5, 0.9))
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.1, 25)

    def drawn() -> list[Tensor]:
        return [draw(vertices * leaf, faces, camera, width=SIZE, edges=edges).alpha for camera in cameras]

    @torch.no_grad()
    def overlap() -> float:
        pairs = [(seen, other) for seen, other in zip(drawn(), wanted, strict=True)]
        return min(float(torch.minimum(*pair).sum() / torch.maximum(*pair).sum()) for pair in pairs)

    before = overlap()
    for _ in range(25):
        optimiser.zero_grad()
        loss = sum((seen - other).square().mean() for seen, other in zip(drawn(), wanted, strict=True))
        loss.backward()  # type: ignore[union-attr]
        optimiser.step()
        slower.step()
    assert before < 0.5
    assert overlap() > (0.98 if free == "size" else 0.95)
    if free == "size":
        assert leaf.item() == pytest.approx(1.5, abs=0.02)


class Compiled(types.ModuleType):
    """Stands in for nvdiffrast: its conventions, this package's work."""

    def RasterizeCudaContext(self, device: torch.device) -> str:
        return str(device)

    def rasterize(self, context: str, clip: Tensor, faces: Tensor, size: tuple[int, int], grad_db: bool) -> Any:
        assert clip.dtype == torch.float32 and faces.dtype == torch.int32 and not grad_db
        height, width = size
        hits = rasterise(clip[0].detach(), faces, width, height)
        self.kept = hits
        weights = drawing.followed(hits, clip[0], faces).barycentric
        values = torch.cat([weights[:, :2], 2 * hits.depth[:, None] - 1, hits.face[:, None] + 1.0], dim=1)
        return hits.picture(values).flip(0)[None], None

    def antialias(self, picture: Tensor, seen: Tensor, clip: Tensor, faces: Tensor) -> Tensor:
        return silhouettes(clip[0], faces, self.kept).blended(picture[0].flip(0)).flip(0)[None]


def test_nvdiffrast_is_asked_by_its_own_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in; the library itself needs an NVIDIA card (below)."""
    monkeypatch.setitem(sys.modules, compiled.MODULE, Compiled(compiled.MODULE))
    compiled._context.cache_clear()
    vertices, faces = SOLIDS["bumpy torus"]
    found = []
    for way in (False, True):
        leaf = vertices.clone().requires_grad_()
        seen = draw(leaf, faces, CAMERA, shades, width=SIZE, height=40, use_compiled=way)
        (seen.colour * pattern(3)[:40]).sum().backward()
        found.append([seen.colour, seen.alpha, seen.normals, seen.depth, leaf.grad])
    for own, other in zip(*found, strict=True):
        assert torch.allclose(own, other, atol=1e-4, rtol=1e-4)
    compiled._context.cache_clear()


@pytest.mark.skipif(
    not compiled.is_there(torch.device("cuda")) or not torch.cuda.is_available(), reason="no nvdiffrast"
)
def test_nvdiffrast_draws_the_same() -> None:
    vertices, faces = (part.cuda() for part in SOLIDS["bumpy torus"])
    own, other = (draw(vertices, faces, CAMERA, shades, width=64, use_compiled=way) for way in (False, True))
    assert float((own.colour - other.colour).abs().mean()) < 5e-3
