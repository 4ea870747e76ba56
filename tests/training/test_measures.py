"""Figures of validation, held against what is known of simple cases."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from training.measures import (  # noqa: E402
    border_points,
    f_score,
    intersection_over_union,
    signal_to_noise,
    similarity,
    surface_points,
)


def test_equal_pictures_are_perfect_and_noise_is_worse() -> None:
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 32, 32)
    assert float(similarity(picture, picture).min()) == pytest.approx(1.0, abs=1e-5)
    assert float(signal_to_noise(picture, picture).min()) == pytest.approx(100)
    noisy = (picture + 0.1 * torch.randn_like(picture)).clamp(0, 1)
    assert 0.5 < float(similarity(noisy, picture).mean()) < 0.99
    assert float(signal_to_noise(picture * 0, picture * 0 + 0.1)[0]) == pytest.approx(20, abs=1e-3)
    with pytest.raises(ValueError, match="smaller than the window"):
        similarity(picture[..., :8], picture[..., :8])


def test_similarity_is_that_of_scikit_image() -> None:
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    torch.manual_seed(1)
    one, other = torch.rand(1, 1, 40, 40), torch.rand(1, 1, 40, 40)
    _, full = structural_similarity(
        one[0, 0].numpy(),
        other[0, 0].numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        full=True,
    )
    assert float(similarity(one, other)[0]) == pytest.approx(float(full[5:-5, 5:-5].mean()), abs=1e-4)


def test_overlap_and_f_score_of_boxes() -> None:
    one, other = torch.zeros(8, 8, 8, dtype=torch.bool), torch.zeros(8, 8, 8, dtype=torch.bool)
    one[2:6, 2:6, 2:6] = True
    other[2:6, 2:6, 4:8] = True
    assert intersection_over_union(one, other) == pytest.approx(32 / 96)
    assert intersection_over_union(one & False, one & False) == 1
    points = border_points(one)
    assert len(points) == 6 * 16 and float(points.abs().max()) == 0.5
    assert f_score(points, points, 0.01) == 1
    assert f_score(points, points + 1, 0.1) == 0
    assert f_score(points[:0], points, 0.1) == 0


def test_points_lie_on_the_triangles_evenly() -> None:
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 5], [3, 0, 5], [0, 3, 5]])
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    points = surface_points(vertices, faces, 4000, torch.Generator().manual_seed(0))
    lower = points[:, 2] == 0
    assert float(lower.float().mean()) == pytest.approx(0.1, abs=0.02)
    assert float((points[lower, :2].sum(1)).max()) <= 1.0001 and float(points.min()) >= 0
    assert len(surface_points(vertices, faces[:0], 10, torch.Generator())) == 0
