"""Latents become triangles: the settings of `decoding` lose nothing, and the network is asked no more than needed."""

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from bench.shapes import SCENE  # noqa: E402
from models.isosurface import EmptySurface  # noqa: E402
from models.midi.decoding import BOUNDS, decode, field_surface  # noqa: E402
from models.midi.tiny import BLOB_RADIUS  # noqa: E402
from tests.models.isosurface.fields import dense, dense_triangles  # noqa: E402

RESOLUTION = 65


@pytest.fixture(scope="module")
def latents(pipeline: Any) -> Any:
    return pipeline.noise(1, seed=3, tokens=6)[0]


@pytest.mark.parametrize("name", SCENE)
def test_every_object_has_the_triangles_of_a_dense_evaluation_of_its_box(name: str) -> None:
    solid = SCENE[name]
    mesh = field_surface(solid, 129)
    vertices, faces = dense_triangles(dense(solid, mesh.bounds, 129), mesh.bounds)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)
    assert (mesh.vertices.min(0) > mesh.bounds.minimum).all(), "nothing is cut off"
    assert (mesh.vertices.max(0) < mesh.bounds.maximum).all(), "nothing is cut off"


def test_the_latent_stack_runs_once_and_points_are_float32_in_chunks(pipeline: Any, latents: Any) -> None:
    vae = copy.deepcopy(pipeline.vae)
    contexts, points = [], []
    context, embed = vae.context, vae.embed
    vae.context = lambda rows: contexts.append(rows) or context(rows)
    vae.embed = lambda part: points.append(part) or embed(part)
    mesh = decode(vae, latents, RESOLUTION, chunk=5000)
    assert len(contexts) == 1
    assert sum(part.shape[1] for part in points) == mesh.queries
    assert max(part.shape[1] for part in points) <= 5000
    assert {part.dtype for part in points} == {torch.float32}
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx(2 * BLOB_RADIUS, rel=0.5)
    assert (mesh.bounds.size < BOUNDS.size).all(), "the second look is at the object's own box"


def test_a_network_in_half_precision_gives_nearly_the_same_surface(pipeline: Any, latents: Any) -> None:
    exact = decode(pipeline.vae, latents, RESOLUTION)
    half = decode(copy.deepcopy(pipeline.vae).to(torch.bfloat16), latents, RESOLUTION)
    cell = exact.bounds.size.max() / (RESOLUTION - 1)
    assert abs(exact.vertices.max(0) - half.vertices.max(0)).max() < 2 * cell
    assert half.vertices.dtype == np.float32


@pytest.mark.parametrize("bias", [-100.0, 100.0])
def test_an_instance_without_a_surface_is_told_by_type(pipeline: Any, latents: Any, bias: float) -> None:
    vae = copy.deepcopy(pipeline.vae)
    with torch.no_grad():
        vae.decoder.proj_out.bias.fill_(bias)
    with pytest.raises(EmptySurface) as told:
        decode(vae, latents, 33)
    assert told.value.inside is (bias > 0)


def test_progress_rises_to_one_and_can_cancel(pipeline: Any, latents: Any) -> None:
    class Cancelled(Exception):
        pass

    told: list[float] = []
    decode(pipeline.vae, latents, 33, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0

    def cancel(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        decode(pipeline.vae, latents, 33, progress=cancel)
