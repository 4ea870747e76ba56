"""InstantMesh from photos to a prop, with tiny random checkpoints in the published layout."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

torch = pytest.importorskip("torch")

from backend.contract import Progress, Warning  # noqa: E402
from backend.geometry.silhouette import mask_iou, silhouette  # noqa: E402
from backend.pipelines.context import Cancelled, Context  # noqa: E402
from backend.pipelines.instantmesh import INSTANTMESH, SLOTS, reconstruct, turntable  # noqa: E402
from backend.pipelines.instantmesh import run as running  # noqa: E402
from backend.pipelines.instantmesh.photos import subjects  # noqa: E402
from backend.pipelines.instantmesh.placing import FRONT  # noqa: E402
from backend.pipelines.instantmesh.plans import view_plans  # noqa: E402
from backend.pipelines.instantmesh.sheets import Wanted, make_sheets, read_sizes  # noqa: E402
from backend.pipelines.instantmesh.tiny import published_file  # noqa: E402
from backend.pipelines.running import Running  # noqa: E402
from backend.shot import InstanceMap  # noqa: E402
from models.isosurface.flexicubes import extract_surface  # noqa: E402
from models.lrm.cameras import slot_cameras  # noqa: E402
from models.lrm.model import InstantMeshModel  # noqa: E402
from models.zero123plus.pictures import as_pixels, split  # noqa: E402
from models.zero123plus.pipeline import Zero123Plus  # noqa: E402
from tests.backend.instantmesh_shots import (  # noqa: E402
    FAST,
    ONE,
    PLAIN,
    SIZE,
    THREE,
    Kept,
    made,
    photo,
    shot_of,
    stages,
    warnings,
)

EVERYTHING = {"faces": 0, "floaters": 0.0, "colour": "none"}
COARSE = PLAIN.model_copy(update={"resolution": 32})
"""For what does not depend on how fine the surface is."""

pytestmark = pytest.mark.usefixtures("instantmesh_models")


def solids(monkeypatch: pytest.MonkeyPatch) -> list[reconstruct.Solid]:
    """What is reconstructed from now on, before clean-up."""
    found: list[reconstruct.Solid] = []

    def spied(*args: Any) -> reconstruct.Solid:
        found.append(reconstruct.reconstruct(*args))
        return found[-1]

    monkeypatch.setattr(running, "reconstruct", spied)
    return found


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_one_photo_with_default_picks_is_plain_instantmesh(
    instantmesh_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published chain written out; the mesh before clean-up is the same to the last bit."""
    folder = instantmesh_models / "sudo-ai" / "zero123plus-v1.2"
    views = Zero123Plus.from_pretrained(folder, published_file(instantmesh_models, "views"))
    pictures = as_pixels(split(views(photo(), seed=5, steps=2)))
    model = InstantMeshModel.from_checkpoint(published_file(instantmesh_models, "large"))
    planes = model.encode(torch.from_numpy(pictures).movedim(3, 1).float() / 255, slot_cameras())
    expected = extract_surface(model.field(planes), 64)

    found = solids(monkeypatch)
    scene, _ = made(ONE, FAST.model_copy(update={"steps": 2, **EVERYTHING}), seed=5)

    assert np.array_equal(found[0].vertices, expected.vertices.numpy())
    assert np.array_equal(found[0].faces, expected.faces.numpy())
    (prop,) = scene.props
    turned = expected.vertices.double().numpy() @ FRONT.T
    foot = (turned.min(axis=0) + turned.max(axis=0)) / 2 * [1, 1, 0] + [0, 0, turned[:, 2].min()]
    placed = (turned - foot) * prop.quality["scale"]
    for one, other in ((placed, prop.mesh.vertices), (prop.mesh.vertices, placed)):
        assert cKDTree(one).query(other)[0].max() < 1e-5 * prop.quality["scale"], "only turned, scaled and moved"


def test_a_photo_becomes_a_closed_textured_prop_and_everything_is_told() -> None:
    kept: Kept = {}
    scene, said = made(ONE, kept=kept)
    (prop,) = scene.props
    assert (prop.instance, prop.name) == (1, "Vase")
    assert 1000 < len(prop.mesh.faces) <= 2000
    edges = np.sort(prop.mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all(), "every edge has two faces"
    assert prop.mesh.texture.shape == (1024, 1024, 3) and prop.mesh.corner_uv.shape == (len(prop.mesh.faces), 3, 2)
    assert len(np.unique(prop.mesh.texture.reshape(-1, 3), axis=0)) > 1000
    assert prop.mesh.colours is None
    assert prop.mesh.vertices[:, 2].min() == pytest.approx(0, abs=1e-9)
    seen = silhouette(prop.world_vertices(), prop.mesh.faces, ONE.camera)
    assert mask_iou(seen, ONE.instances.mask(1)) > 0.8, "a blob where the ellipsoid is"
    assert prop.quality["picks"] == [[0, view] for view in range(6)]
    assert (prop.quality["cameras"], prop.quality["seeds"]) == ("true", [1])
    assert stages(said) == ["background", "views", "reconstruct", "clean", "texture", "place"]
    assert any("free" in each.message for each in said if isinstance(each, Progress)), "the memory plan is told"
    assert scene.record["plan"]["name"] == "full" and warnings(said) == []
    assert sorted(kept) == ["sheet-1.png", *(f"view-1-0-1-{view}.png" for view in range(6))]
    views = np.stack([pixels(kept[f"view-1-0-1-{view}.png"]) for view in range(6)])
    assert np.array_equal(split(pixels(kept["sheet-1.png"])), views), "the sheet is what was reconstructed"


@pytest.mark.parametrize("colour", ["texture", "vertices", "none"])
def test_colours_are_those_of_the_field(colour: str, views: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    found = solids(monkeypatch)
    mesh = made(ONE, FAST.model_copy(update={"colour": colour}), kept=views)[0].props[0].mesh
    assert (mesh.texture is not None, mesh.colours is not None) == (colour == "texture", colour == "vertices")
    if colour == "none":
        return
    vertices, field = mesh.vertices @ FRONT, found[0].field
    # The frame of the field: the blob is about the origin, and only the scale and the foot were changed.
    scale = np.ptp(found[0].vertices, axis=0).max() / np.ptp(vertices, axis=0).max()
    low, high = found[0].vertices.min(axis=0), found[0].vertices.max(axis=0)
    place = (vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2) * scale + (low + high) / 2
    expected = field.colour(torch.from_numpy(place).float()).numpy() * 255
    if colour == "vertices":
        shown = mesh.colours.astype(float)
    else:
        corner = (mesh.corner_uv * 1024 - 0.5).round().astype(int).clip(0, 1023)
        shown = np.zeros_like(expected)
        shown[mesh.faces] = mesh.texture[corner[..., 1], corner[..., 0]]
    assert np.median(np.abs(shown - expected)) < 6, "of 255; decimation moves the bounds a little"


def test_every_model_makes_a_prop_of_its_own(views: Kept) -> None:
    shapes = []
    for model in ("large", "base", "nerf-large", "nerf-base"):
        (prop,) = made(ONE, COARSE.model_copy(update={"model": model}), kept=dict(views))[0].props
        assert len(prop.mesh.vertices) > 500 and len(prop.mesh.faces) <= 2000
        shapes.append(prop.mesh.vertices)
    for one, other in combinations(shapes, 2):
        assert one.shape != other.shape or not np.allclose(one, other)


def test_four_views_are_the_published_four(views: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    found = solids(monkeypatch)
    scene, _ = made(ONE, PLAIN.model_copy(update={"views": "4"}), kept=views)
    assert SLOTS["4"] == (0, 2, 4, 5)
    assert scene.props[0].quality["picks"] == [[0, 0], [0, 2], [0, 4], [0, 5]]
    told = reconstruct.cameras(found[0].picked, PLAIN)
    assert torch.equal(told, slot_cameras()[[0, 2, 4, 5]])
    sheet = split(pixels(views["sheet-1.png"]))
    assert [bool((view == 255).all()) for view in sheet] == [False, True, False, True, False, False]


def test_the_distance_of_the_cameras_is_told_to_the_model(views: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[torch.Tensor] = []
    encode = InstantMeshModel.encode

    def spied(self: InstantMeshModel, pictures: torch.Tensor, cameras: torch.Tensor, *others: Any) -> torch.Tensor:
        told.append(cameras)
        return encode(self, pictures, cameras, *others)

    monkeypatch.setattr(InstantMeshModel, "encode", spied)
    for cameras in ("true", "slots"):
        made(ONE, COARSE.model_copy(update={"scale": 0.8, "cameras": cameras}), kept=views)
    assert torch.equal(told[0], slot_cameras(4.0 * 0.8)) and torch.equal(*told)


def test_true_cameras_do_not_mind_the_order_of_the_picks_and_slots_do(
    views: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = solids(monkeypatch)
    order = [4, 0, 3, 5, 1, 2]

    def as_proposed(question: dict[str, Any]) -> dict[str, Any]:
        return {"chosen": question["default"]}

    def permuted(question: dict[str, Any]) -> dict[str, Any]:
        return {"chosen": [question["default"][index] for index in order]}

    for cameras in ("true", "slots"):
        for answer in (as_proposed, permuted):
            made(THREE, PLAIN.model_copy(update={"cameras": cameras}), kept=dict(views), answer=answer)
    plain, turned, slots, misplaced = (solid.vertices for solid in found)
    assert len(plain) == len(turned) and np.abs(plain - turned).max() < 1e-4, "the same up to rounding"
    assert slots.shape != misplaced.shape or np.abs(slots - misplaced).max() > 1e-3
    assert len(plain) == len(slots) and np.abs(plain - slots).max() < 1e-5, "evenly spread photos fill their own slots"


def test_every_plan_makes_the_same_views() -> None:
    context = Context(INSTANTMESH, 3, lambda said: None, save=lambda name, data: None)
    stage = Running.begin(context)
    (subject,), _ = subjects(shot_of(0, 180), context)
    wanted = [Wanted(subject, photo, 10 + photo) for photo in range(2)]
    full, *lower = (make_sheets(wanted, PLAIN, stage, plan) for plan in view_plans(read_sizes(), stage.device))
    assert not np.array_equal(full[wanted[0]], full[wanted[1]])
    for sheets in lower:
        for each in wanted:
            difference = np.abs(np.stack(full[each]).astype(int) - np.stack(sheets[each]))
            assert difference.max() <= 1, "rounding of one part in 255 at most"


def test_memory_that_runs_out_is_told_and_what_was_made_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    denoise, calls = Zero123Plus.denoise, Counter()

    def scarce(self: Zero123Plus, *args: Any) -> Any:
        calls["all"] += 1
        if calls["all"] == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return denoise(self, *args)

    monkeypatch.setattr(Zero123Plus, "denoise", scarce)
    scene, said = made(shot_of(0, 180), COARSE.model_copy(update={"choose": "never"}))
    assert warnings(said) == [("memory-short", None)]
    assert calls["all"] == 3, "one photo, the failure, the other photo"
    assert scene.record["plan"]["name"] == "parts"


def test_cancelling_ends_it_within_a_step_and_leaves_no_network() -> None:
    told: list[str] = []
    loaded: list[Zero123Plus] = []

    def report(said: Any) -> None:
        if isinstance(said, Progress) and "step" in said.message:
            told.append(said.message)

    def opened(*args: Any, **options: Any) -> Zero123Plus:
        loaded.append(original(*args, **options))
        return loaded[-1]

    original = Zero123Plus.from_pretrained
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Cancelled):
        patch.setattr(Zero123Plus, "from_pretrained", opened)
        made(ONE, PLAIN.model_copy(update={"steps": 50}), report=report, cancelled=lambda: len(told) > 2)
    assert len(told) == 3 and loaded[0].loaded_bytes == 0


def test_the_turntable_is_a_film_that_goes_once_round(
    views: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import imageio_ffmpeg

    monkeypatch.setattr(turntable, "FRAMES", 4)
    _, said = made(ONE, PLAIN.model_copy(update={"colour": "vertices", "turntable": True}), kept=views)
    assert stages(said)[-1] == "turntable"
    file = tmp_path / "film.mp4"
    file.write_bytes(views["turntable-1.mp4"])
    reader = imageio_ffmpeg.read_frames(str(file))
    facts = next(reader)
    film = [np.frombuffer(frame, np.uint8).reshape(512, 512, 3).astype(int) for frame in reader]
    assert facts["size"] == (512, 512) and facts["codec"].startswith("h264") and len(film) == 4
    for frame in film:
        row, column = np.nonzero(frame.min(axis=2) < 200)
        assert len(row) > 5000, "the prop is large enough to be looked at"
        assert abs(column.mean() - 256) < 40 and abs(row.mean() - 256) < 40 and frame[:8].min() > 240
    assert min(np.abs(one - film[0]).max() for one in film[1:]) > 40, "another side in every picture"


def test_a_film_that_cannot_be_made_is_told_and_the_prop_comes(
    views: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import imageio_ffmpeg._io as library

    monkeypatch.setattr(turntable, "FRAMES", 4)
    film = COARSE.model_copy(update={"turntable": True})
    real, broken = library.get_ffmpeg_exe(), tmp_path / "ffmpeg"

    def ends_at_once() -> str:
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        return str(broken)

    def takes_all_and_writes_nothing() -> str:
        broken.write_text(f"#!/bin/sh\ncase $* in *rawvideo*) cat >/dev/null;; *) exec {real} $*;; esac\n")
        broken.chmod(0o755)
        return str(broken)

    def is_not_there() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    for program in (ends_at_once, takes_all_and_writes_nothing, is_not_there):
        monkeypatch.setattr(library, "get_ffmpeg_exe", program)
        scene, said = made(ONE, film, kept=views)
        (warning,) = (each for each in said if isinstance(each, Warning))
        assert (warning.code, warning.instance, len(scene.props)) == ("video-failed", 1, 1)
        assert warning.message.startswith("The turntable could not be encoded: ") and warning.hint
        assert "turntable-1.mp4" not in views


def test_an_object_that_is_small_or_cut_off_is_remarked() -> None:
    picture = np.zeros((SIZE, SIZE, 4), np.uint8)
    picture[:40, 50:100] = (200, 30, 30, 255)
    shot = replace(ONE, images=(picture,), instances=InstanceMap((picture[..., 3] > 0).astype(np.uint16), {1: "Cup"}))
    said: list[Any] = []
    subjects(shot, Context(INSTANTMESH, 1, said.append))
    assert warnings(said) == [("instance-small", 1), ("instance-cut", 1)]
    assert all("'Cup'" in each.message and each.hint for each in said)
