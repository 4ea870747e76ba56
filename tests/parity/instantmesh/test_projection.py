"""Clip coordinates as the reference's renderer has them, and what its texture padding does beside ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import ndimage

from models.rendering import Camera
from models.rendering.padding import pad


def test_points_are_where_the_references_renderer_puts_them(golden: Any, close: Any) -> None:
    """The reference's first row is at the bottom of clip space, ours at the top: y has the other sign."""
    numbers = golden("cameras")
    ((angle, projection),) = numbers.numbered(r"out\.projection_fovy(\d+)").items()
    camera = Camera.perspective(numbers["out.circular_c2w"][1], float(angle))
    flip = torch.tensor([1.0, -1.0, 1.0, 1.0])
    close(camera.projection * flip[:, None], projection, 1e-6)
    close(camera.clip(numbers["in.points"]) * flip, numbers["out.points_clip_cam1"], 1e-5)


def test_our_padding_keeps_what_the_published_one_keeps_and_goes_on(golden: Any) -> None:
    """Published: what is black becomes the largest of its neighbours, channel by channel, once, and black texels of the
    object too. One such texel does not last for filtering at half resolution, and mixes colours where charts meet; so
    textures here repeat the nearest covered texel, farther out, and never touch what is covered."""
    numbers = golden("preprocess")
    baked = (numbers["texture.in.map"].double().numpy() * 255).clip(0, 255)
    empty = baked.sum(axis=2) <= 3
    widened = np.where(empty[..., None], ndimage.maximum_filter(baked, (3, 3, 1), mode="constant"), baked)
    published = widened.astype(np.uint8)[::-1]
    assert np.array_equal(published, numbers["texture.out.png"].numpy())
    covered = torch.from_numpy(~empty)
    ours = pad(torch.from_numpy(baked.astype(np.uint8)), covered, 8).numpy()[::-1]
    kept = ~empty[::-1]
    assert kept.any() and np.array_equal(ours[kept], published[kept])
    reached = (published.sum(axis=2) > 3) & ~kept
    assert reached.any() and (ours[reached] <= published[reached]).all(), (
        "one neighbour, not the largest of each channel"
    )
    assert (published.sum(axis=2) == 0).any() and not (ours.sum(axis=2) == 0).any()
