"""MIRA and OpenLRM from a picture to a prop, with tiny random checkpoints in the published layouts."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

torch = pytest.importorskip("torch")

from backend.camera import Camera  # noqa: E402
from backend.contract import Photo, Progress  # noqa: E402
from backend.geometry.silhouette import silhouette  # noqa: E402
from backend.pipelines.context import Cancelled  # noqa: E402
from backend.pipelines.cut_outs import framed  # noqa: E402
from backend.pipelines.mira import keeping, plans  # noqa: E402
from backend.pipelines.mira import run as running  # noqa: E402
from backend.pipelines.mira.planes import DISTANCES, make_planes, open_model, overlap  # noqa: E402
from backend.pipelines.mira.sources import FILL, Source  # noqa: E402
from models.lrm.single_view import SingleViewModel  # noqa: E402
from tests.backend.instantmesh_shots import ONE, stages, warnings  # noqa: E402
from tests.backend.mira_shots import FAST, PLAIN, Kept, around, made, shape, shot_of  # noqa: E402
from tests.backend.pipelines.test_midi import shot_of as discs  # noqa: E402

FIVE = replace(discs((30, 40, 20), (80, 40, 18), (130, 40, 20), (45, 110, 24), (110, 110, 22)), photos=(Photo(),))

pytestmark = pytest.mark.usefixtures("mira_models")


@pytest.mark.parametrize(
    ("model", "generation"),
    [
        ({"model": "mix-base"}, "openlrm-1.1"),
        ({"model": "obj-small-1.0"}, "openlrm-1.0"),
        ({"model": "own", "checkpoint": "mine"}, "mira"),
    ],
)
def test_a_picture_becomes_a_closed_textured_prop_by_every_generation(model: dict[str, str], generation: str) -> None:
    scene, said = made(ONE, FAST.model_copy(update=model))
    (prop,) = scene.props
    mesh = trimesh.Trimesh(prop.mesh.vertices, prop.mesh.faces, process=False)
    assert mesh.is_watertight and mesh.volume > 0 and 500 < len(mesh.faces) <= 1500
    assert prop.mesh.texture is not None and prop.mesh.texture.shape[:2] == (64, 64)
    assert prop.mesh.texture.std() > 5, "the colours of the field"
    assert scene.record["model"]["generation"] == generation and prop.quality["distance"] == 2.0
    assert warnings(said) == []
    assert stages(said) == ["frame", "planes", "surface", "clean", "texture", "place"]


def test_five_objects_of_a_shot_go_through_the_network_together(monkeypatch: pytest.MonkeyPatch) -> None:
    real, counts = SingleViewModel.planes, []

    def counted(self: SingleViewModel, pictures: Any, *rest: Any) -> Any:
        counts.append(len(pictures))
        return real(self, pictures, *rest)

    monkeypatch.setattr(SingleViewModel, "planes", counted)
    scene, _ = made(FIVE, PLAIN)
    assert counts == [5] and [prop.instance for prop in scene.props] == [3, 4, 5, 6, 7]
    assert scene.record["plan"]["name"] == "5-32"
    centres = np.array([prop.world_from_prop[:3, 3] for prop in scene.props])
    assert len(np.unique(centres.round(2), axis=0)) == 5, "each in a place of its own"
    assert min(prop.quality["mask_iou"] for prop in scene.props) > 0.6


def test_planes_are_the_same_however_many_are_made_at_once() -> None:
    model = open_model("openlrm-mix-base-1.1", "cpu", torch.float32)
    chance = np.random.default_rng(1)
    sources = [
        Source(number, "", chance.integers(0, 256, (56, 56, 3), dtype=np.uint8), np.ones((56, 56), np.float32))
        for number in (3, 5, 8)
    ]
    told: list[float] = []
    together = make_planes(model, sources, [2.0], 3, told.append)
    one_by_one = make_planes(model, sources, [2.0], 1, told.append)
    for number, made_together in together.items():
        assert torch.allclose(made_together.planes, one_by_one[number].planes, atol=1e-4)
    assert not torch.allclose(together[3].planes, together[5].planes, atol=1e-4), "it looks at the pictures"
    layers = model.config.encoder.layers + model.config.layers
    assert told[layers - 1] == 1.0 and told[layers:] == pytest.approx([(n + 1) / 3 / layers for n in range(3 * layers)])


def test_where_the_distance_is_searched_the_best_outline_decides() -> None:
    scene, _ = made(ONE, PLAIN.model_copy(update={"distance": 0.0}))
    quality = scene.props[0].quality
    tried = dict(quality["distances_tried"])
    assert tuple(tried) == DISTANCES and quality["distance_fit"] == max(tried.values()) > 0.5
    assert tried[quality["distance"]] == quality["distance_fit"]
    assert len(set(tried.values())) == len(DISTANCES)


@pytest.mark.parametrize("distance", [DISTANCES[1], DISTANCES[-1]])
def test_the_distance_that_a_picture_was_taken_from_is_found(distance: float) -> None:
    """Of the field of `shape`, whose outline is drawn by other means."""
    matrix = np.array([[1, 0, 0, 0], [0, 0, -1, -distance], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    camera = Camera(fx=168, fy=168, cx=112, cy=112, width=224, height=224, world_from_camera=matrix.tolist())
    whole = shape()
    mask = silhouette(np.asarray(whole.vertices), np.asarray(whole.faces), camera)
    model = open_model("own/stand", "cpu", torch.float32)
    source = Source(1, "", np.full((56, 56, 3), 255, np.uint8), mask.astype(np.float32))
    (found,) = make_planes(model, [source], DISTANCES, 5, print).values()
    assert found.distance == distance and (found.fit or 0) > 0.8
    mirrored = replace(source, cover=source.cover[:, ::-1].copy())
    assert overlap(model, found.planes, distance, mirrored) < 0.7


def test_an_object_fills_the_published_share_of_a_white_square() -> None:
    row, column = np.mgrid[:300, :400]
    cut = np.zeros((300, 400, 4), np.uint8)
    cut[(abs(row - 200) <= 40) & (abs(column - 100) <= 80)] = (10, 20, 30, 255)  # 161 x 81, far from the middle
    picture, cover = framed(cut, 100, FILL)
    assert picture.shape == (100, 100, 3) and cover.shape == (100, 100)
    assert np.array_equal(picture[0, 0], [255, 255, 255]) and np.array_equal(picture[50, 50], [10, 20, 30])
    assert cover.max() == 1.0 and cover.min() == 0.0
    rows, columns = cover.sum(axis=0).max(), cover.sum(axis=1).max()
    assert columns == pytest.approx(100 * FILL, abs=0.5) and rows == pytest.approx(100 * FILL * 81 / 161, abs=0.5)
    assert (cover @ np.arange(100)).sum() / cover.sum() == pytest.approx(49.5, abs=0.1)
    assert (cover.T @ np.arange(100)).sum() / cover.sum() == pytest.approx(49.5, abs=0.1)
    dark = 255 - picture.astype(float).mean(axis=2)
    assert np.abs(dark / dark.max() - cover).max() < 0.02, "the same for colours and cover"


@pytest.mark.parametrize("size", [1, 3, 2000])
def test_objects_of_any_size_are_framed(size: int) -> None:
    cut = np.zeros((2048, 1024, 4), np.uint8)
    cut[5 : 5 + size, 7 : 8 + size // 3] = (0, 0, 0, 255)
    picture, cover = framed(cut, 56, FILL)
    assert cover.sum(axis=0).max() == pytest.approx(56 * FILL, abs=4) and picture.min() < 40
    assert cover.sum(axis=1).max() == pytest.approx(56 * FILL * (1 + size // 3) / size, abs=4)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (40, 25), (200, -12)])
def test_a_shape_without_symmetry_stands_as_the_camera_sees_it(azimuth: float, elevation: float) -> None:
    """Front, up and right are where they were: through encoder, planes, surface, clean-up and placing."""
    from backend.pipelines.facing import straight_ahead

    camera = around(azimuth, elevation)
    stands = straight_ahead(camera, np.ones((camera.height, camera.width), bool))
    whole = shape()
    wanted = np.asarray(whole.vertices) @ stands.T * 0.8 + [0, 0, 0.6]
    shot = shot_of(wanted, np.asarray(whole.faces), camera)
    own = PLAIN.model_copy(update={"model": "own", "checkpoint": "stand"})
    scene, _ = made(shot, own)
    (prop,) = scene.props
    assert prop.quality["mask_iou"] > 0.95
    found = prop.world_vertices()
    # Distance and size are not told by an outline: compared is what remains when both are made alike.
    found = (found - (found.max(0) + found.min(0)) / 2) / np.linalg.norm(np.ptp(found, axis=0))
    wanted = (wanted - (wanted.max(0) + wanted.min(0)) / 2) / np.linalg.norm(np.ptp(wanted, axis=0))
    assert found.min(0) == pytest.approx(wanted.min(0), abs=0.03) and found.max(0) == pytest.approx(
        wanted.max(0), abs=0.03
    )
    local = (found @ stands) * np.sign(1.0)
    high, right = local[:, 2] > 0.1, local[:, 0] > 0.1
    assert high.any() and local[high, 0].max() < 0.05, "the post is at the left"
    assert right.any() and local[right, 2].max() < 0.05, "the foot is low"
    assert local[high, 1].mean() < -0.05 < 0.0 < local[right, 1].mean(), "the post stands in front of the foot"


def test_upright_says_whether_the_camera_is_looked_at() -> None:
    """The same picture, taken from 30 degrees above, as an object that leans or one that stands."""
    camera = around(0, 30)
    whole = shape()
    shot = shot_of(np.asarray(whole.vertices) * 0.8 + [0, 0, 0.6], np.asarray(whole.faces), camera)
    own = PLAIN.model_copy(update={"model": "own", "checkpoint": "stand"})

    def leaning(shot: Any, upright: str) -> float:
        """Degrees between what looks up most and the vertical."""
        (prop,) = made(shot, own.model_copy(update={"upright": upright}))[0].props
        mesh = trimesh.Trimesh(prop.world_vertices(), prop.mesh.faces, process=False)
        above = mesh.face_normals[:, 2] > 0.8
        mean = (mesh.face_normals[above] * mesh.area_faces[above, None]).sum(axis=0)
        return float(np.degrees(np.arccos(mean[2] / np.linalg.norm(mean))))

    never, turned = leaning(shot, "never"), leaning(shot, "camera")
    assert never < 5 and turned == pytest.approx(30, abs=5)
    assert leaning(shot, "auto") == turned
    assert leaning(replace(shot, camera_source="default"), "auto") == never


def test_what_a_network_saw_is_kept_and_so_is_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import imageio_ffmpeg

    monkeypatch.setattr(keeping, "VIEWS", 4)
    films, kept = {}, Kept()
    own = FAST.model_copy(update={"model": "own", "checkpoint": "stand", "colour": "vertices", "ply": True})
    for video in ("mira", "openlrm"):
        scene, said = made(ONE, own.model_copy(update={"video": video}), kept=kept)
        assert stages(said)[-2:] == ["ply", "video"]
        file = tmp_path / "film.mp4"
        file.write_bytes(kept["orbit-1.mp4"])
        reader = imageio_ffmpeg.read_frames(str(file))
        assert next(reader)["fps"] == 40
        films[video] = [np.frombuffer(frame, np.uint8).reshape(32, 32, 3).astype(int) for frame in reader]
    assert sorted(kept) == ["mesh-1.ply", "orbit-1.mp4", "source-1.png"]
    for film in films.values():
        assert len(film) == 4
        assert film[0][:, :16].min(axis=2).sum() < film[0][:, 16:].min(axis=2).sum(), "the post at the left"
        assert np.abs(film[1] - film[0]).max() > 40
    assert np.abs(films["mira"][-1] - films["mira"][0]).max() > 40, "it ends before it begins again"
    assert np.abs(films["openlrm"][-1] - films["openlrm"][0]).max() < 12, "the last is the first"
    mesh = trimesh.load(io.BytesIO(kept["mesh-1.ply"]), file_type="ply", process=False)
    assert len(mesh.faces) > len(scene.props[0].mesh.faces) and mesh.volume > 0
    assert np.allclose(mesh.bounds, [[-0.62, -0.62, -0.62], [0.62, 0.62, 0.62]], atol=0.05), "the frame of the network"
    assert mesh.visual.vertex_colors[:, :3].std() > 1


def test_a_video_that_cannot_be_made_is_told_and_the_prop_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg._io as library

    def is_not_there() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(library, "get_ffmpeg_exe", is_not_there)
    scene, said = made(ONE, PLAIN.model_copy(update={"video": "mira"}))
    assert len(scene.props) == 1 and warnings(said) == [("video-failed", 1)]


def test_cancelling_lets_the_networks_go(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, told = [], []

    def spied(*arguments: Any) -> SingleViewModel:
        opened.append(open_model(*arguments))
        return opened[-1]

    monkeypatch.setattr(running, "open_model", spied)

    def report(said: Any) -> None:
        told.append(said)

    def in_the_planes() -> bool:
        return any(isinstance(each, Progress) and each.stage == "planes" and each.fraction > 0.1 for each in told)

    with pytest.raises(Cancelled):
        made(FIVE, PLAIN, report=report, cancelled=in_the_planes)
    assert opened and all(parameter.is_meta for parameter in opened[0].parameters())


def test_where_memory_runs_out_fewer_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real, counts = SingleViewModel.planes, []

    def short(self: SingleViewModel, pictures: Any, *rest: Any) -> Any:
        counts.append(len(pictures))
        if len(pictures) > 3:
            raise RuntimeError("CUDA out of memory")
        return real(self, pictures, *rest)

    monkeypatch.setattr(SingleViewModel, "planes", short)
    monkeypatch.setattr(plans, "BLOCK_UNITS", 1000)  # so small a network hardly needs less for three than for five
    scene, said = made(FIVE, PLAIN)
    assert counts == [5, 3, 2] and len(scene.props) == 5
    assert ("memory-short", None) in warnings(said)


def test_sixteen_bits_come_to_nearly_the_same_planes() -> None:
    wide, narrow = (open_model("openlrm-mix-base-1.1", "cpu", dtype) for dtype in (torch.float32, torch.bfloat16))
    picture = np.random.default_rng(2).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    source = [Source(1, "", picture, np.ones((56, 56), np.float32))]
    one, other = (make_planes(model, source, [2.0], 1, print)[1].planes for model in (wide, narrow))
    assert other.dtype == torch.float32 and not torch.equal(one, other)
    assert float((one - other).abs().mean() / one.abs().mean()) < 0.06
