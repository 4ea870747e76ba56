"""A texture's colours at the vertices."""

from __future__ import annotations

import numpy as np
import pytest

from backend.geometry.vertex_colours import carried, vertex_colours
from backend.scene import Mesh

TEXTURE = np.zeros((2, 4, 4), np.uint8)
TEXTURE[0] = [(10, 20, 30, 0), (50, 60, 70, 255), (90, 0, 0, 255), (0, 90, 0, 255)]
TEXTURE[1] = (200, 100, 0, 255)


def mesh() -> Mesh:
    """Two triangles that share an edge; its ends have other texels in each. The last vertex is used by none."""
    corner_uv = np.array(
        [[[0.1, 0.2], [0.3, 0.2], [0.6, 0.2]], [[0.1, 0.9], [1.0, 1.0], [0.9, 0.2]]]
    )  # texels (0, 0), (1, 0), (2, 0); (0, 1), the last one, (3, 0)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Mesh(np.zeros((5, 3)), faces, corner_uv=corner_uv, texture=TEXTURE, alpha_cutoff=0.5)


def test_a_vertex_has_the_mean_of_the_texels_at_its_corners() -> None:
    assert vertex_colours(mesh()).tolist() == [
        [105, 60, 15],
        [50, 60, 70],
        [145, 50, 0],
        [0, 90, 0],
        [128, 128, 128],
    ]


def test_the_texture_goes_where_the_colours_go_to_the_vertices_or_nowhere() -> None:
    given = mesh()
    assert carried(given, "texture") is given
    there, bare = carried(given, "vertices"), carried(given, "none")
    assert there.colours is not None and bare.colours is None
    for each in (there, bare):
        assert each.vertices is given.vertices and each.faces is given.faces
        assert (each.uv, each.corner_uv, each.texture, each.alpha_cutoff) == (None, None, None, None)


def test_a_mesh_that_has_colours_at_its_vertices_keeps_them() -> None:
    plain = Mesh(np.zeros((1, 3)), np.zeros((0, 3), np.int64), colours=np.full((1, 3), 7, np.uint8))
    assert carried(plain, "vertices") is plain
    with pytest.raises(ValueError, match="no texture"):
        vertex_colours(plain)
