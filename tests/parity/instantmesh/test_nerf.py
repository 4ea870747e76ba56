"""A NeRF variant gives the reference's densities, colours, surface and pictures."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("inference")

TOLERANCE = 1e-5
VERTEX_TOLERANCE = 1e-4
RENDER_TOLERANCE = 2e-5


@pytest.fixture
def numbers(golden: Any) -> Any:
    return golden("nerf")


@pytest.fixture
def fields(numbers: Any) -> Any:
    from models.lrm.decoders import DensityDecoder
    from models.lrm.fields import DensityField

    decoder = DensityDecoder(numbers.json("config")["triplane_dim"])
    decoder.load_state_dict(numbers.weights("w.decoder."))
    return [DensityField(decoder, planes) for planes in numbers["in.planes"]]


def test_colours_and_densities_of_points(fields: Any, numbers: Any, close: Any) -> None:
    for row, field in enumerate(fields):
        points = numbers["in.query_points"][row]
        close(field(points)[0], numbers["out.point_rgb"][row], TOLERANCE)
        close(field.density(points), numbers["out.point_sigma"][row, :, 0], TOLERANCE)


def test_the_surface_is_where_the_reference_has_it(fields: Any, numbers: Any, close: Any) -> None:
    from scipy.spatial import cKDTree

    from models.lrm.decoding import density_surface

    size, threshold = numbers.json("config")["grid_size"], numbers["in.threshold"].item()
    axis = torch.linspace(-1, 1, size)
    close(fields[0].density(torch.cartesian_prod(axis, axis, axis)), numbers["out.grid_sigma"].flatten(), TOLERANCE)
    triangles = density_surface(fields[0], size, threshold)
    expected = numbers["out.mc_vertices"].numpy()
    assert cKDTree(triangles.vertices).query(expected)[0].max() < VERTEX_TOLERANCE
    # The marching cubes here adds a vertex in the middle of some ambiguous cells; all others are the reference's.
    strangers = cKDTree(expected).query(triangles.vertices)[0] > VERTEX_TOLERANCE
    on_edges = np.isclose((triangles.vertices + 1) / 2 * (size - 1) % 1, 0, atol=1e-4) | np.isclose(
        (triangles.vertices + 1) / 2 * (size - 1) % 1, 1, atol=1e-4
    )
    assert not (strangers & (on_edges.sum(1) >= 2)).any()
    assert strangers.mean() < 0.1


def test_the_surface_has_the_references_colours(fields: Any, numbers: Any, close: Any) -> None:
    points = numbers["out.mc_vertices"].float()
    colour = fields[0].colour(points)
    close(colour, numbers["out.mc_vertex_rgb"].clamp(0, 1), TOLERANCE)
    difference = (colour * 255).to(torch.uint8).int() - numbers["out.mc_vertex_rgb_uint8"].int()
    assert difference.abs().max() <= 1
    assert (difference != 0).float().mean() < 0.001


def test_rays_go_through_the_pixel_centres(numbers: Any, close: Any) -> None:
    from models.lrm.cameras import camera_rays

    origins, directions = camera_rays(*_cameras(numbers), *[numbers.json("config")["render_size"]] * 2)
    close(origins, numbers["out.ray_origins"], TOLERANCE)
    close(directions, numbers["out.ray_directions"], TOLERANCE)


@pytest.mark.parametrize("chunk", [100, 65_536])
def test_pictures_are_the_references(chunk: int, fields: Any, numbers: Any, close: Any) -> None:
    from models.lrm.cameras import camera_rays
    from models.lrm.volume import Noise, box_limits, render_rays

    config = numbers.json("config")
    size, samples = config["render_size"], config["samples_per_ray"]
    origins, directions = camera_rays(*_cameras(numbers), size, size)
    noise = Noise(numbers["in.noise_coarse"].view(-1, samples // 2), numbers["in.noise_fine"])
    rendered = render_rays(
        fields[0], origins.flatten(0, 1), directions.flatten(0, 1), samples, noise=noise, chunk=chunk
    )
    close(rendered.colour, numbers["out.render_rgb"][0].permute(0, 2, 3, 1).reshape(-1, 3), RENDER_TOLERANCE)
    # The published depth is clamped to the depths of all samples; this fog is so thin that every ray is at the limit.
    near, far = box_limits(origins.flatten(0, 1), directions.flatten(0, 1))
    first = near + (far - near) / (samples // 2 - 1) * noise.coarse[:, 0]
    limited = rendered.depth.clamp(min=first[near < far].min())
    close(limited, numbers["out.render_depth"].flatten(), RENDER_TOLERANCE)
    close(rendered.weight, numbers["out.render_weight"].flatten(), RENDER_TOLERANCE)


def _cameras(numbers: Any) -> Any:
    cameras = numbers["in.render_cameras"][0]
    return cameras[:, :16].view(-1, 4, 4), cameras[:, 16:].view(-1, 3, 3)
