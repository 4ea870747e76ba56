"""How thick a flat shape becomes: Poisson inflation.

Solve -Δf = 4 inside the shape with f = 0 on its outline and take sqrt(f) as half the thickness. On a disc of radius R
that is f = R² - r², a ball; on a strip of half-width w it is f = 2 (w² - x²), a tube √2 times as thick as wide. So
thickness follows the local width, the surface meets its own back without a crease (f grows linearly from the rim, its
root stands upright there), and there are no ridges as a distance to the outline would leave.

The idea is that of "Repoussé" (Joshi & Carr 2008) and "Notes on Inflating Curves" (Baran & Lehtinen 2009, whose choice
of the constant and the root this is); solved here with linear finite elements, that is cotangent weights (Pinkall &
Polthier 1993), on the mesh itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from backend.geometry.planar import PlanarMesh, triangle_areas

Floats = NDArray[np.float64]


def inflate(planar: PlanarMesh, thickness: float = 1.0) -> Floats:
    """Half the thickness at every vertex, (V,), in pixels; 0 on the outline and above 0 elsewhere.

    Args:
        planar: the shape; every triangle needs an area.
        thickness: factor; 1 makes a disc a ball.
    """
    count, faces = len(planar.vertices), planar.faces
    corners = planar.vertices[faces]
    area = np.abs(triangle_areas(planar.vertices, faces))
    rows, columns, weights = [], [], []
    for apex in range(3):
        first, second = (apex + 1) % 3, (apex + 2) % 3
        arms = corners[:, [first, second]] - corners[:, [apex]]
        # Half the cotangent of the angle at the apex couples the two other corners.
        weights.append(-0.25 * (arms[:, 0] * arms[:, 1]).sum(axis=1) / area)
        rows.append(faces[:, first])
        columns.append(faces[:, second])
    row, column, weight = np.concatenate(rows), np.concatenate(columns), np.concatenate(weights)
    coupling = sparse.csr_array((weight, (row, column)), shape=(count, count))
    coupling = coupling + coupling.T
    stiffness = sparse.csr_array(sparse.diags_array(-coupling.sum(axis=1)) + coupling)
    load = 4.0 / 3.0 * np.bincount(faces.ravel(), weights=area.repeat(3), minlength=count)
    inner = np.nonzero(~planar.boundary)[0]
    factor = splu(
        sparse.csc_array(stiffness[inner][:, inner]),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    # Obtuse triangles can push a value next to the outline a little below zero; a vertex must keep some thickness.
    least = 1e-3 * area.min()
    half = np.zeros(count)
    half[inner] = thickness * np.sqrt(np.maximum(factor.solve(load[inner]), least))
    return half
