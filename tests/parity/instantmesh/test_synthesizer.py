"""The networks behind the planes of a mesh variant give the reference's numbers."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("inference")

TOLERANCE = 2e-5
FINE_TOLERANCE = 5e-6


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("synthesizer")


@pytest.fixture(params=[5, 65_536])
def fields(request: Any, numbers: Any) -> Any:
    """The field of each object, asked in chunks of a few points or of all."""
    from models.lrm.decoders import MeshDecoder
    from models.lrm.fields import MeshField

    decoder = MeshDecoder(numbers.json("config")["triplane_dim"])
    decoder.load_state_dict(numbers.weights("w.decoder."))
    return [MeshField(decoder, planes, chunk=request.param) for planes in numbers["in.planes"]]


def test_planes_are_read_on_the_right_axes(numbers: Any, close: Any) -> None:
    from models.lrm.triplane import sample

    for planes, points, features in zip(
        numbers["in.planes"], numbers["in.query_points"], numbers["mid.sampled_features"], strict=True
    ):
        close(sample(planes, points), features.transpose(0, 1).flatten(1), FINE_TOLERANCE)


def test_distance_and_deformation_of_the_grid(fields: Any, numbers: Any, close: Any) -> None:
    for row, field in enumerate(fields):
        close(field.signed_distance(numbers["in.grid_vertices"]), numbers["out.sdf"][row, :, 0], TOLERANCE)
        close(field.deformation(numbers["in.grid_vertices"]), numbers["out.deformation_raw"][row], TOLERANCE)


def test_weights_of_the_cells(fields: Any, numbers: Any, close: Any) -> None:
    corners = numbers["in.grid_vertices"][numbers["in.grid_cubes"].long()]
    for row, field in enumerate(fields):
        close(field.weights(corners), numbers["out.weights21"][row], FINE_TOLERANCE)


def test_colours(fields: Any, numbers: Any, close: Any) -> None:
    for row, field in enumerate(fields):
        points, expected = numbers["in.query_points"][row], numbers["out.rgb"][row]
        close(field.radiance(points), expected, FINE_TOLERANCE)
        close(field.colour(points), expected.clamp(0, 1), FINE_TOLERANCE)
