"""A baked texture shows the field on the surface, without seams, for any mesh, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from torch import Tensor

from bench import texture as bench
from models.isosurface import FieldError
from models.rendering import Baked, NothingToUnwrap, bake, rasterise, unwrap
from models.rendering.colours import sampled
from models.rendering.padding import nearest_covered
from tests.models.rendering.solids import SOLIDS, ball, box, joined

SIZE = 256
WAYS = ((7.0, 3.0, 1.0), (2.0, -8.0, 2.0), (1.0, 3.0, 9.0))


def waves(points: Tensor) -> Tensor:
    """Colours as fine as a texture of 256 can hold on a thing of size 2."""
    return 0.5 + 0.5 * (points @ points.new_tensor(WAYS).T).sin()


def a_texel(vertices: Tensor, baked: Baked) -> float:
    """How much `waves` change from one texel to the next where they are steepest, 8-bit steps."""
    corners, flat = vertices[baked.vertex][baked.faces], baked.corner_uv
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1).sum()
    one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    texels = (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).abs().sum() * SIZE**2
    return 255 * 0.5 * float(torch.tensor(WAYS).norm(dim=1).max()) * float((area / texels).sqrt())


def side(points: Tensor) -> Tensor:
    """Red where x > 0, blue elsewhere."""
    red = (points[:, 0] > 0).float()
    return torch.stack([red, torch.zeros_like(red), 1 - red], dim=1)


@pytest.mark.parametrize("name", SOLIDS)
def test_any_mesh_is_laid_flat_and_shows_the_field(name: str) -> None:
    vertices, faces = SOLIDS[name]
    baked = bake(vertices, faces, waves, size=SIZE)
    assert baked.texture.shape == (SIZE, SIZE, 3) and baked.texture.dtype == torch.uint8
    assert torch.equal(baked.vertex[baked.faces], faces), "triangles keep their order and corners"
    assert float(baked.uv.min()) >= 0 and float(baked.uv.max()) <= 1
    within = bench.inside(vertices, baked, 5000)
    mean, most, largest = bench.difference(baked.texture, waves, within)
    assert mean < 5 and most < 12 and largest < 40
    half = baked.as_texture().halved().image
    at_seams = bench.difference(half, waves, bench.at_seams(vertices, baked))
    elsewhere = bench.difference(half, waves, within)
    assert at_seams[1] < elsewhere[1] + a_texel(vertices, baked), "what is read beside a seam belongs to this side"


def test_a_field_like_instantmeshs_comes_back_from_the_texture() -> None:
    """The bar of 30 dB, at a tenth of the triangles and a sixteenth of the texels, with the detail these can hold."""
    vertices, faces = bench.bumpy_torus(64, 32)
    with torch.inference_mode():
        figures, _, _ = bench.measure(vertices, faces, bench.triplane_colours(cells=16), 512, pixels=96)
    assert min(figures.psnr) >= 36
    assert figures.seam[1] < 2 * figures.inside[1]
    assert figures.seam[2] < 40


def test_two_things_of_different_colours_never_mix() -> None:
    """Neither where they lie side by side in the texture nor at half resolution, and no unpadded texel is read."""
    balls = [ball(5, 0.06, (x, 0.3 * y, 0.3 * z)) for x in (-0.5, 0.5) for y in range(-2, 3) for z in range(-2, 3)]
    vertices, faces = joined(*balls, box((0.1, 0.9, 0.0005), (0.5, 0, 0.9)), box((0.1, 0.9, 0.0005), (-0.5, 0, 0.9)))
    baked = bake(vertices, faces, side, size=512)
    assert baked.charts > 50
    level = baked.as_texture()
    for _ in range(2):
        for uv, points in (bench.inside(vertices, baked, 20_000), bench.at_seams(vertices, baked)):
            assert (sampled(level.image, uv) - side(points)).abs().max() < 1e-6
        level = level.halved()


def test_charts_thinner_than_a_texel_have_their_own_colour() -> None:
    vertices, faces = SOLIDS["needle"]
    flat = unwrap(vertices, faces, 64, 4)
    assert len(rasterise(flat.uv.double() * 64, flat.faces, 64, 64).face.unique()) < len(faces)
    baked = bake(vertices, faces, waves, size=64, padding=4)
    corners = baked.corner_uv.mean(1)
    assert (sampled(baked.texture, corners) - waves(vertices[faces].mean(1))).abs().max() < 0.2


@pytest.mark.parametrize("name", ["bumpy torus", "pieces"])
def test_charts_lie_apart_and_do_not_overlap(name: str) -> None:
    vertices, faces = SOLIDS[name]
    padding = 6
    flat = unwrap(vertices, faces, SIZE, padding)
    texels = flat.uv.double() * SIZE
    times = torch.zeros(SIZE * SIZE)
    for face in flat.faces:
        times[rasterise(texels, face[None], SIZE, SIZE).pixel] += 1
    assert times.max() == 1
    picture = (times.reshape(SIZE, SIZE) > 0).numpy()
    border = np.ones((SIZE, SIZE), bool)
    border[padding:-padding, padding:-padding] = False
    assert not (picture & border).any()
    chart, count = ndimage.label(picture, np.ones((3, 3)))
    assert count > 1
    for number in range(1, count + 1):
        away = ndimage.distance_transform_edt(chart != number)
        assert away[(chart > 0) & (chart != number)].min() > 2 * padding - 1


def test_the_same_mesh_has_the_same_texture() -> None:
    vertices, faces = SOLIDS["bumpy torus"]
    baked = [bake(vertices, faces, waves, size=SIZE, chunk=chunk) for chunk in (1000, 2**20)]
    for name in ("vertex", "uv", "faces", "texture"):
        assert torch.equal(*(getattr(each, name) for each in baked)), name


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.integers(0, 31), share=st.sampled_from([0.002, 0.02, 0.3, 1.0]))
def test_padding_repeats_the_nearest_covered_texel(seed: int, radius: int, share: float) -> None:
    random = np.random.default_rng(seed)
    covered = random.random((random.integers(1, 40), random.integers(1, 40))) < share
    covered[random.integers(0, covered.shape[0]), random.integers(0, covered.shape[1])] = True
    found = nearest_covered(torch.from_numpy(covered), radius).numpy()
    away = ndimage.distance_transform_edt(~covered)
    assert np.array_equal(found >= 0, away <= radius)
    rows, columns = np.nonzero(found >= 0)
    row, column = np.divmod(found[rows, columns], covered.shape[1])
    assert covered[row, column].all()
    assert np.allclose(np.hypot(row - rows, column - columns), away[rows, columns])


def test_what_padding_does_not_reach_has_the_mean_colour() -> None:
    vertices, faces = SOLIDS["one triangle"]
    baked = bake(vertices, faces, lambda points: torch.full_like(points, 0.6), size=SIZE)
    assert (baked.texture == 153).all()


def test_progress_is_told_and_can_end_the_work() -> None:
    vertices, faces = SOLIDS["ball"]
    told: list[float] = []
    bake(vertices, faces, waves, size=SIZE, chunk=3000, progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 5

    class Enough(Exception):
        pass

    def stop(done: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        bake(vertices, faces, waves, size=SIZE, progress=stop)


@pytest.mark.parametrize(
    ("vertices", "faces"),
    [
        (torch.empty(0, 3), torch.empty(0, 3, dtype=torch.int64)),
        (torch.rand(4, 3), torch.empty(0, 3, dtype=torch.int64)),
        (torch.rand(4, 3), torch.tensor([[0, 0, 1], [2, 2, 2]])),
    ],
)
def test_a_mesh_without_area_is_refused_with_a_sentence(vertices: Tensor, faces: Tensor) -> None:
    with pytest.raises(NothingToUnwrap, match="no triangle with an area"):
        bake(vertices, faces, waves, size=SIZE)


def test_broken_input_gets_a_sentence() -> None:
    vertices, faces = SOLIDS["ball"]
    holed = vertices.clone()
    holed[3, 1] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        bake(holed, faces, waves, size=SIZE)
    with pytest.raises(ValueError, match="not among"):
        bake(vertices, faces + 1, waves, size=SIZE)
    with pytest.raises(ValueError, match="Padding is 0 to 16"):
        bake(vertices, faces, waves, size=SIZE, padding=17)
    with pytest.raises(ValueError, match="no room"):
        bake(vertices, faces, waves, size=16, padding=8)
    with pytest.raises(FieldError, match="returned"):
        bake(vertices, faces, lambda points: points[:, :2], size=SIZE)
    with pytest.raises(FieldError, match="finite"):
        bake(vertices, faces, lambda points: points / 0, size=SIZE)


def test_the_benchmark_reports_and_shows_what_it_measured(tmp_path: Path, capsys: Any) -> None:
    arguments = ["--size", "128", "--faces", "400", "--cells", "8", "--shapes", "bumpy torus"]
    bench.main([*arguments, "--folder", str(tmp_path / "new")])
    assert "| bumpy torus | 400 |" in capsys.readouterr().out
    document = json.loads((tmp_path / "new" / "figures.json").read_text(encoding="utf-8"))
    figures = document["meshes"]["bumpy torus"]
    assert min(figures["psnr"]) > 20 and figures["bake"] > 0 and len(figures["psnr"]) == 6
    assert np.asarray(Image.open(tmp_path / "new" / "bumpy-torus-texture.png")).shape == (128, 128, 3)
