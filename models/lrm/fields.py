"""What the planes of one object mean in space: a field that can be asked at any points.

Points are [P, 3] in the world of `cameras`, the object within about ±1. They may be on any device; answers come back to
where the points are, in float32. Without gradients memory is bounded by a chunk of points, however many are asked for.
"""

from __future__ import annotations

from functools import cached_property

from torch import Tensor, nn

from models.lrm.decoders import WEIGHT_SCALE, DensityDecoder, MeshDecoder, density, radiance
from models.lrm.triplane import CHUNK, PlanePerceptron


class _PlaneField:
    def __init__(self, planes: Tensor, chunk: int = CHUNK) -> None:
        self.planes = planes
        self.chunk = chunk

    def _on_planes(self, network: nn.Sequential) -> PlanePerceptron:
        return PlanePerceptron(network, self.planes, chunk=self.chunk)


class MeshField(_PlaneField):
    """The field of a mesh variant: what FlexiCubes needs, and the colour.

    Args:
        decoder: the networks, float32.
        planes: [3, C, R, R].
        chunk: points that are asked for at once.
    """

    def __init__(self, decoder: MeshDecoder, planes: Tensor, chunk: int = CHUNK) -> None:
        super().__init__(planes, chunk)
        self._decoder = decoder

    @cached_property
    def _sdf(self) -> PlanePerceptron:
        return self._on_planes(self._decoder.net_sdf)

    @cached_property
    def _deformation(self) -> PlanePerceptron:
        return self._on_planes(self._decoder.net_deformation)

    @cached_property
    def _weights(self) -> PlanePerceptron:
        return self._on_planes(self._decoder.net_weight)

    @cached_property
    def _colour(self) -> PlanePerceptron:
        return self._on_planes(self._decoder.net_rgb)

    def signed_distance(self, points: Tensor) -> Tensor:
        """[P, 3] → [P], negative inside."""
        return self._sdf(points)[:, 0]

    def deformation(self, points: Tensor) -> Tensor:
        """Points of the undeformed grid [P, 3] → [P, 3], raw: before tanh and before the scale of a cell."""
        return self._deformation(points)

    def weights(self, corners: Tensor) -> Tensor:
        """Undeformed corners of cells [C, 8, 3] → [C, 21]: 12 for edges, 8 for corners, 1 for the diagonal.

        Corner j lies at the offsets (bit 0, bit 1, bit 2) of j along x, y, z.
        """
        return self._weights(corners) * WEIGHT_SCALE

    def radiance(self, points: Tensor) -> Tensor:
        """[P, 3] → [P, 3], −0.001 … 1.001, as published."""
        return radiance(self._colour(points))

    def colour(self, points: Tensor) -> Tensor:
        """[P, 3] → [P, 3], 0 … 1, to be shown as they are (sRGB)."""
        return self.radiance(points).clamp(0.0, 1.0)


class DensityField(_PlaneField):
    """The field of a NeRF variant. Arguments: see `MeshField`."""

    def __init__(self, decoder: DensityDecoder, planes: Tensor, chunk: int = CHUNK) -> None:
        super().__init__(planes, chunk)
        self._decoder = decoder

    @cached_property
    def _raw(self) -> PlanePerceptron:
        return self._on_planes(self._decoder.net)

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """[P, 3] → radiance [P, 3] (−0.001 … 1.001) and raw density [P], for `volume.render_rays`."""
        raw = self._raw(points)
        return radiance(raw[:, 1:]), raw[:, 0]

    def density(self, points: Tensor) -> Tensor:
        """[P, 3] → [P], at least 0."""
        return density(self._raw(points)[:, 0])

    def colour(self, points: Tensor) -> Tensor:
        """[P, 3] → [P, 3], 0 … 1, to be shown as they are (sRGB)."""
        return self(points)[0].clamp(0.0, 1.0)
