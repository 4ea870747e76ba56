"""From a published checkpoint's layout to planes, fields and the mesh: the reference's numbers all the way."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

PLANES_TOLERANCE = 5e-5
SDF_TOLERANCE = 5e-5
VERTEX_TOLERANCE = 2e-5
COLOUR_TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("lrm")


@pytest.fixture(scope="module")
def model(numbers: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The golden weights, written as a `.ckpt`, converted and loaded. Their heads are narrower than published."""
    from models.lrm.checkpoint import PREFIX
    from models.lrm.configs import LrmConfig
    from models.lrm.model import InstantMeshModel
    from models.lrm.tiny import write_checkpoint
    from tests.parity.instantmesh.sizes import encoder_config, transformer_config

    folder: Path = tmp_path_factory.mktemp("lrm")
    path = write_checkpoint(folder / "golden.ckpt", numbers.weights(f"w.{PREFIX}"))
    sizes = numbers.json("config")
    config = LrmConfig(encoder_config(sizes["vit"]), transformer_config(sizes["transformer"]))
    return InstantMeshModel.from_checkpoint(path, converted=folder / "converted", config=config)


@pytest.fixture(scope="module")
def field(model: Any, numbers: Any) -> Any:
    return model.field(numbers["out.planes"][0])


@pytest.fixture(scope="module")
def grid(numbers: Any) -> Any:
    from models.isosurface.flexicubes import CubicGrid

    return CubicGrid(numbers.json("config")["grid_res"], numbers.json("config")["grid_scale"])


def test_views_become_planes(model: Any, numbers: Any, close: Any) -> None:
    planes = model.encode(numbers["in.images"][0], numbers["in.cameras"][0])
    close(planes, numbers["out.planes"][0], PLANES_TOLERANCE)


def test_the_field_on_the_grid(field: Any, grid: Any, numbers: Any, close: Any) -> None:
    points = grid.points(torch.arange(grid.vertices))
    close(field.signed_distance(points), numbers["out.sdf"][:, 0], SDF_TOLERANCE)
    multiplier = numbers.json("config")["deformation_multiplier"]
    deformation = field.deformation(points).tanh() / (grid.resolution * multiplier)
    close(deformation, numbers["out.deformation_scaled"], SDF_TOLERANCE)
    ((count, weights),) = numbers.numbered(r"out\.weights21_first(\d+)").items()
    close(field.weights(grid.corners(torch.arange(int(count)))), weights, SDF_TOLERANCE)


def test_views_become_the_reference_mesh(model: Any, grid: Any, numbers: Any, close: Any) -> None:
    from models.isosurface.flexicubes import extract_surface

    sizes = numbers.json("config")
    field = model.field(model.encode(numbers["in.images"][0], numbers["in.cameras"][0]))
    mesh = extract_surface(
        field,
        grid.resolution,
        grid.scale,
        deformation_multiplier=sizes["deformation_multiplier"],
        weight_scale=sizes["fc_weight_scale"],
    )
    assert torch.equal(mesh.faces.int(), numbers["out.faces"])
    close(mesh.vertices, numbers["out.vertices"], VERTEX_TOLERANCE)
    close(field.radiance(numbers["out.vertices"]), numbers["out.vertex_rgb_float"], COLOUR_TOLERANCE)
    colour = (field.colour(mesh.vertices) * 255).to(torch.uint8)
    difference = colour.int() - numbers["out.vertex_rgb_uint8"].int()
    assert difference.abs().max() <= 1
    assert (difference != 0).float().mean() < 0.005


@pytest.mark.parametrize("sign", ["positive", "negative"])
def test_an_empty_shape_is_repaired_as_published(sign: str, model: Any, grid: Any, numbers: Any, close: Any) -> None:
    from models.isosurface.flexicubes import extract_surface, repair

    before = numbers[f"out.repair_all_{sign}.sdf_before"][:, 0]
    shift = (before - numbers["out.sdf"][:, 0]).mean()
    repaired, empty = repair(before.view(grid.shape))
    assert empty
    close(repaired.flatten(), numbers[f"out.repair_all_{sign}.sdf_after"][:, 0], SDF_TOLERANCE)

    field = model.field(numbers["out.planes"][0])
    plain = field.signed_distance
    field.signed_distance = lambda points: plain(points) + shift
    mesh = extract_surface(field, grid.resolution, grid.scale)
    assert mesh.empty
    assert [len(mesh.vertices), len(mesh.faces)] == numbers[f"out.repair_all_{sign}.counts"].tolist()
