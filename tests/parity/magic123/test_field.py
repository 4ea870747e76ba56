"""Grid, field and shading are the published ones; published shapes fill ours to the last tensor."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.magic123.drawing import Shading  # noqa: E402
from models.magic123.field import (  # noqa: E402
    FieldSettings,
    RadianceField,
    from_published,
    named_from_published,
    settings_of_published,
    to_published,
)
from models.radiance.hash_grid import GridSettings, HashGrid  # noqa: E402
from tests.parity.magic123.fields import golden_field, published_state  # noqa: E402


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("hashgrid_field")


@pytest.fixture(scope="module")
def field(numbers: Any) -> Any:
    return golden_field(numbers)


def test_the_configuration_is_read_from_shapes(numbers: Any, field: Any) -> None:
    config = numbers.json("config")
    assert field.settings == FieldSettings(
        GridSettings(config["L"], config["base"], config["desired"], config["log2"]),
        config["hidden"],
        config["layers"],
        config["blob_density"],
        config["blob_radius"],
        config["normal_eps"],
    )
    assert list(field.grid.settings.offsets) == numbers["offsets"].tolist()
    assert list(field.grid.settings.resolutions) == numbers["resolutions"].tolist()
    assert {level.dense for level in field.grid.levels} == {True, False}, "the set has both kinds of levels"


def test_encoding(numbers: Any, field: Any, close: Any) -> None:
    close(field.grid((numbers["in.points"] + 1) / 2), numbers["out.encoding"], 1e-5)


def test_gradients_of_the_table(numbers: Any, field: Any, close: Any) -> None:
    with torch.inference_mode(False):
        grid = HashGrid(field.grid.settings)
        grid.load_state_dict(field.grid.state_dict())
        grid((numbers["in.points"].clone() + 1) / 2).backward(numbers["in.grad_encoding"].clone())
    close(grid.table.grad, numbers["out.grad_embeddings"], 1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_density_and_albedo(numbers: Any, field: Any, near: Any, close: Any, masked: bool) -> None:
    ending, levels = ("_mask2", numbers.json("config")["mask_levels_test"]) if masked else ("", 0)
    field.grid.active = field.grid.settings.levels - levels
    try:
        density, albedo = field(numbers["in.points"])
        assert torch.allclose(field.density(numbers["in.points"]), density)
        assert torch.allclose(field.log_density(numbers["in.points"]).exp(), density, rtol=1e-5)
        assert torch.equal(field.albedo(numbers["in.points"]), albedo)
    finally:
        field.grid.active = field.grid.settings.levels
    expected = numbers[f"out.sigma{ending}"]
    assert float(((density - expected) / expected).abs().max()) <= 1e-4
    close(albedo, numbers[f"out.albedo{ending}"], 1e-5)


def test_normals(numbers: Any, field: Any) -> None:
    points, expected = numbers["in.points"], numbers["out.normal"]
    normals = field.normals(points)
    between = torch.atan2(torch.linalg.cross(normals, expected).norm(dim=1), (normals * expected).sum(1)).rad2deg()
    assert float((between < 0.1).float().mean()) >= 0.99
    zero = expected.norm(dim=1) < 0.5
    assert float(normals[zero].norm(dim=1).max()) == 0.0 if zero.any() else True


def test_shading(numbers: Any, field: Any) -> None:
    points, light = numbers["in.points"], numbers["in.light"]
    _, albedo = field(points)
    normals, lamps = field.normals(points), light.expand_as(points)
    for name, shading in (
        ("normal_color", Shading("normal")),
        ("lambertian_r0.4", Shading("lambert", 0.4)),
        ("textureless_r0.4", Shading("textureless", 0.4)),
    ):
        difference = (shading.colours(albedo, normals, lamps) - numbers[f"out.{name}"]).abs().amax(1)
        # Where the normal of one point in a hundred may be another, so may what it is lit like.
        assert float((difference <= 1e-3).float().mean()) >= 0.99, name
    assert torch.equal(Shading().colours(albedo, None, lamps), albedo)


def test_a_field_of_the_mirrored_world_is_asked_in_ours(numbers: Any, field: Any) -> None:
    state = published_state(numbers)
    ours = RadianceField(settings_of_published(state, *numbers["resolutions"][[0, -1]].tolist()))
    ours.load_state_dict(named_from_published(state), strict=True)
    points = from_published(numbers["in.points"])
    for one, other in zip(ours(points), field(numbers["in.points"]), strict=True):
        assert torch.allclose(one, other, rtol=1e-5)
    assert torch.allclose(to_published(ours.normals(points)), field.normals(numbers["in.points"]), atol=1e-3)


def test_official_levels(manifest: Any) -> None:
    settings = GridSettings()
    assert list(settings.resolutions) == manifest["hashgrid_resolutions"]
    assert list(settings.offsets) == manifest["hashgrid_offsets"]


def test_official_names_and_shapes(manifest: Any) -> None:
    # Names, some with their types behind them.
    shapes = {name.split()[0]: shape for name, shape in manifest["nerf_checkpoint"]["model"].items()}
    with torch.device("meta"):
        state = {name: torch.empty(shape) for name, shape in shapes.items()}
        field = RadianceField()
    state["encoder.offsets"] = torch.tensor(manifest["hashgrid_offsets"])
    assert settings_of_published(state) == FieldSettings(published_world=True)
    found = named_from_published(state)
    assert {name: tuple(each.shape) for name, each in found.items()} == {
        name: tuple(each.shape) for name, each in field.state_dict().items()
    }
    with pytest.raises(ValueError, match="no field"):
        named_from_published(state | {"bg_net.net.0.weight": torch.empty(1)})
