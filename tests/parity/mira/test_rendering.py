"""Fields, cameras and pictures are the reference's."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.lrm.cameras import (  # noqa: E402
    LENS,
    camera_rays,
    camera_vectors,
    canonical_pose,
    normalised_poses,
    orbit_poses,
    source_vectors,
    spherical_poses,
)
from models.lrm.decoders import DensityDecoder  # noqa: E402
from models.lrm.fields import DensityField  # noqa: E402
from models.lrm.single_view import OFFICIAL  # noqa: E402
from models.lrm.triplane import sample  # noqa: E402
from models.lrm.volume import Noise, box_limits, render_rays  # noqa: E402
from tests.parity.mira.networks import cameras_of, mira  # noqa: E402

UNSURE = 0.005
"""Share of depths that may differ: where a step of the second stage is tiny, rounding decides."""


def field_of(numbers: Any, row: int) -> DensityField:
    planes = numbers["in.planes"]
    decoder = DensityDecoder(planes.shape[2])
    decoder.load_state_dict(numbers.weights("weights."))
    return DensityField(decoder, planes[row])


def test_features_colours_and_densities_of_points(golden: Any, close: Any) -> None:
    numbers = golden("openlrm11_field_mesh")
    for row, points in enumerate(numbers["in.points"]):
        features = sample(numbers["in.planes"][row], points).view(len(points), 3, -1).transpose(0, 1)
        close(features, numbers["out.features"][row], 1e-6)
        field = field_of(numbers, row)
        colour, raw = field(points)
        close(colour, numbers["out.rgb"][row], 2e-5)
        close(raw, numbers["out.sigma_raw"][row, :, 0], 2e-5)
        close(field.density(points), numbers["out.sigma"][row, :, 0], 2e-5)


def test_cameras_on_a_sphere(golden: Any, close: Any) -> None:
    numbers = golden("lrm_cameras")
    poses = spherical_poses(numbers["in.azimuth_deg"], numbers["in.elevation_deg"], numbers["in.radius"])
    close(poses[:, :3], numbers["out.extrinsic_c2w_3x4"], 1e-5)
    close(poses[:, :3, 3], numbers["out.position"], 1e-5)
    close(camera_vectors(poses, LENS), numbers["out.camera16"], 1e-5)
    close(torch.cat([poses.flatten(1), LENS.flatten().expand(len(poses), -1)], 1), numbers["out.camera25"], 1e-5)


def test_the_camera_of_the_single_picture(golden: Any, close: Any) -> None:
    numbers = golden("lrm_cameras")
    close(source_vectors(OFFICIAL["openlrm-base-1.1"]), numbers["out.default_source_camera16_d2"], 1e-5)
    close(source_vectors(OFFICIAL["mira"], 2.0), numbers["mira.source_camera20"], 1e-5)
    close(canonical_pose(2.0), spherical_poses([-90.0], [0.0], 2.0)[0], 1e-6)
    poses = spherical_poses(numbers["in.azimuth_deg"], numbers["in.elevation_deg"], numbers["in.radius"])
    close(normalised_poses(poses, 0)[:, :3], numbers["out.normalized_auto_c2w"], 1e-5)
    close(normalised_poses(poses, 0, 2.0)[:, :3], numbers["out.normalized_2_c2w"], 1e-5)


def test_both_published_orbits(golden: Any, close: Any) -> None:
    numbers = golden("lrm_cameras")
    close(orbit_poses("openlrm-1.1", 7)[:, :3], numbers["out.orbit_n7_r2_h08_c2w"], 1e-5)
    poses, _ = cameras_of(numbers["mira.orbit_render_cameras25_n7"])
    close(orbit_poses("mira", 7), poses, 1e-5)
    close(orbit_poses("openlrm-1.0", 7), poses, 1e-5)


def pictures(numbers: Any, run: str) -> tuple[Any, Any, Any]:
    """Colour [V, 3, P], depth [V, P], and weight [V, P]."""
    return tuple(numbers[f"{run}.images_{name}"][0].flatten(2).squeeze(1) for name in ("rgb", "depth", "weight"))  # type: ignore[return-value]


@pytest.mark.parametrize("run", ["det", "rnd"])
def test_openlrm_pictures_of_a_region(run: str, golden: Any, close: Any) -> None:
    numbers = golden("openlrm11_renderer")
    size, samples = numbers.json("config")["region_size"], numbers.json("config")["samples_per_ray"]
    poses, lenses = cameras_of(numbers["in.cameras25"][0])
    field = field_of(numbers, 0)
    for view, (colour, depth, weight) in enumerate(zip(*pictures(numbers, run), strict=True)):
        whole = round(float(numbers["in.resolutions"][0, view]))
        top, left = (round(float(each)) for each in numbers["in.anchors"][0, view])
        origins, directions = (
            rays[0].view(whole, whole, 3)[top : top + size, left : left + size].reshape(-1, 3)
            for rays in camera_rays(poses[view : view + 1], lenses[view : view + 1], whole, whole)
        )
        close(origins, numbers["det.rays_o"][view], 1e-6)
        close(directions, numbers["det.rays_d"][view], 1e-6)
        near, far = box_limits(origins, directions)
        hits = near < far
        close(near[hits], numbers["det.near"][view, hits, 0], 2e-5)
        close(far[hits], numbers["det.far"][view, hits, 0], 2e-5)
        noise = None
        if run == "rnd":
            shares = numbers["in.importance_u"].view(len(poses), size * size, -1)[view]
            noise = Noise(numbers["in.stratified_noise"][view, :, :, 0], shares)
        background = float(numbers["in.bg_colors"][0, view])
        seen = render_rays(field, origins, directions, samples, noise=noise, background=background)
        sound = hits & within_walls(numbers, run, view)
        compare(seen, colour, depth, weight, 2e-4, 2e-3, hits, sound)


def test_mira_pictures(golden: Any, close: Any) -> None:
    numbers = golden("mira_model")
    network = mira(numbers)
    planes = network.planes(numbers["in.image"], numbers["in.source_camera20"])[0]
    field = DensityField(network.synthesizer.decoder, planes)
    config = numbers.json("config")["config"]
    rays = camera_rays(*cameras_of(numbers["in.render_cameras25"][0]), *[config["render_size"]] * 2)
    close(rays[0], numbers["det.rays_o"], 2e-6)
    close(rays[1], numbers["det.rays_d"], 2e-6)
    for view, (colour, depth, weight) in enumerate(zip(*pictures(numbers, "det"), strict=True)):
        origins, directions = (each[view] for each in rays)
        near, far = box_limits(origins, directions)
        seen = render_rays(field, origins, directions, config["rendering_samples_per_ray"])
        sound = (near < far) & within_walls(numbers, "det", view)
        compare(seen, colour, depth, weight, 4e-4, 4e-3, near < far, sound)


def within_walls(numbers: Any, run: str, view: int) -> Any:
    """Rays [R] of which the reference saw the samples that lie on the walls, instead of losing them to rounding."""
    origins, directions = numbers["det.rays_o"][view], numbers["det.rays_d"][view]
    depths = numbers[f"{run}.depths_coarse"][view, :, :, 0]
    ends = depths[:, [0, -1]] if run == "det" else depths[:, :1]
    return ((origins[:, None] + ends[..., None] * directions[:, None]).abs() <= 1).all(-1).all(-1)


def compare(
    seen: Any, colour: Any, depth: Any, weight: Any, tolerance: float, depth_tolerance: float, hits: Any, sound: Any
) -> None:
    """Of rays that hit and that the reference has whole; of those that miss, that they show the background."""
    assert float(sound.sum()) > 0.5 * float(hits.sum()) > 0
    assert not bool(seen.weight[~hits].any()) and not bool(weight[~hits].any())
    for ours, theirs in ((seen.weight[sound], weight[sound]), (seen.colour[sound], colour.T[sound])):
        assert float((ours - theirs).abs().max()) <= tolerance
    solid = (weight >= 1e-3) & sound
    assert bool(solid.any())
    apart = (seen.depth / seen.weight - depth)[solid].abs() > depth_tolerance
    assert float(apart.float().mean()) <= UNSURE
