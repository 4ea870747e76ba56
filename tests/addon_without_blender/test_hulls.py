"""Hulls of what is seen of block-outs: what they cover, and which are apart."""

from __future__ import annotations

import numpy as np

from blender_addon.capture import hulls


def test_a_hull_covers_its_points_and_no_more_than_a_margin():
    chance = np.random.default_rng(1)
    for count in (1, 2, 3, 8, 5000):
        points = chance.uniform(0, 1, (count, 2)) * [60, 30] + [10, 5]
        outer = hulls.hull(points)
        mask = hulls.covered(outer, (50, 90), 1.5)
        assert mask[points[:, 1].astype(int), points[:, 0].astype(int)].all()
        assert not hulls.covered(outer + 500, (50, 90), 1.5).any()
    square = np.array([[10.0, 10], [20, 10], [20, 20], [10, 20], [15, 15]])
    assert len(hulls.hull(square)) == 4
    assert hulls.covered(hulls.hull(square), (40, 40), 0).sum() == 100
    assert hulls.covered(hulls.hull(square), (40, 40), -1).sum() == 64


def test_hulls_are_apart_if_a_line_goes_between():
    square = hulls.hull(np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]]))
    turned = hulls.hull(np.array([[14.0, 16], [18, 12], [22, 16], [18, 20]]))
    assert hulls.apart(square, turned, 3), "their rectangles are apart by less"
    beside = square + np.array([14, 0])
    assert hulls.apart(square, beside, 4) and not hulls.apart(square, beside, 4.5)
    assert not hulls.apart(square, square + 5, 0) and not hulls.apart(square, square * 0.1 + 4, 0)
