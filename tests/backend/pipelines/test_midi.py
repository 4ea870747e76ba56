"""MIDI from a shot to props, with a tiny random checkpoint in the published layout."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend.camera import Camera, default_camera  # noqa: E402
from backend.contract import Progress, Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.geometry.silhouette import mask_iou, silhouette  # noqa: E402
from backend.pipelines.context import Cancelled, Context  # noqa: E402
from backend.pipelines.midi import MIDI, MidiParameters  # noqa: E402
from backend.pipelines.midi.checks import elevation, examine  # noqa: E402
from backend.pipelines.midi.run import run  # noqa: E402
from backend.residency import residency  # noqa: E402
from backend.scene import Scene  # noqa: E402
from backend.shot import InstanceMap, Shot  # noqa: E402
from models.midi.decoding import field_surface  # noqa: E402
from models.midi.tiny import write_tiny_checkpoint  # noqa: E402
from tests.backend.ray_caster import Solid, cast, look  # noqa: E402

FAST = MidiParameters(steps=2, resolution=64, faces=2000, texture_size=128)
SIZE = 160


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_checkpoint(folder / "VAST-AI" / "MIDI-3D")
    return folder


@pytest.fixture(autouse=True)
def _models(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(checkpoint))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of networks so small, more threads only wait for each other
    yield
    torch.set_num_threads(threads)
    residency.clear()


def shot_of(*discs: tuple[int, int, int], size: int = SIZE, camera: Camera | None = None) -> Shot:
    """Discs (x, y, radius) on a grey picture, with the ids 3, 4, … and a colour each."""
    row, column = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint16)
    picture = np.full((size, size, 4), 128, np.uint8)
    picture[..., 3] = 255
    for number, (x, y, radius) in enumerate(discs):
        inside = (column - x) ** 2 + (row - y) ** 2 < radius**2
        labels[inside] = number + 3
        picture[inside, :3] = (60 + 40 * number % 180, 200 - 30 * number % 180, 90)
    names = {int(label): f"Thing {label}" for label in np.unique(labels) if label}
    source = "request" if camera else "default"
    return Shot((picture,), InstanceMap(labels, names), camera or default_camera(size, size), source)


THREE = ((40, 90, 25), (90, 100, 20), (125, 70, 22))


def made(shot: Shot, parameters: MidiParameters = FAST, seed: int = 7, **options: Any) -> tuple[Scene, list[Any]]:
    said: list[Progress | Warning] = []
    context = Context(MIDI, seed, options.pop("report", said.append), **options)
    return run(shot, parameters, context), said


def warnings(said: list[Any]) -> list[tuple[str, int | None]]:
    return [(each.code, each.instance) for each in said if isinstance(each, Warning)]


def test_every_instance_becomes_a_closed_prop_of_its_own() -> None:
    scene, said = made(shot_of(*THREE))
    assert [(prop.instance, prop.name) for prop in scene.props] == [(3, "Thing 3"), (4, "Thing 4"), (5, "Thing 5")]
    for prop in scene.props:
        assert 100 < len(prop.mesh.faces) <= 2000
        edges = np.sort(prop.mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all(), "every edge has two faces"
        assert prop.mesh.texture is not None and prop.mesh.corner_uv is not None
        assert prop.mesh.vertices[:, 2].min() == pytest.approx(0, abs=1e-9)
        assert prop.quality["mask_iou"] is not None and prop.quality["queries"] > 0
    assert {"encode", "denoise", "decode", "clean", "place", "texture"} == {
        each.stage for each in said if isinstance(each, Progress)
    }
    assert any("free" in each.message for each in said if isinstance(each, Progress)), "the memory plan is told"
    assert scene.record["plan"]["name"] and 0 <= scene.record["registration"]["confidence"] <= 1


@pytest.mark.parametrize("colour", ["vertices", "none"])
def test_colours_go_to_the_vertices_or_nowhere(colour: str) -> None:
    for prop in made(shot_of(*THREE[:1]), FAST.model_copy(update={"colour": colour}))[0].props:
        assert prop.mesh.texture is None and prop.mesh.corner_uv is None
        assert (prop.mesh.colours is None) == (colour == "none")


def test_the_networks_stay_for_the_next_job_where_memory_allows() -> None:
    made(shot_of(*THREE[:1]), FAST)
    held = residency.held_by("midi")
    assert held is not None and held.loaded_bytes > 0
    made(shot_of(*THREE[:1]), FAST)
    assert residency.held_by("midi") is held


def test_more_objects_than_fit_into_a_pass_all_come_in_one_frame() -> None:
    discs = [(20 + 30 * (number % 5), 60 + 40 * (number // 5), 12) for number in range(8)]
    scene, said = made(shot_of(*discs), FAST.model_copy(update={"instances_per_pass": 4}))
    assert len(scene.props) == 8
    assert ("instances-many", None) in warnings(said)
    similarity = scene.record["registration"]["similarity"]
    assert np.isfinite(similarity).all()


def test_what_will_come_out_badly_is_said_before_the_work() -> None:
    steep = default_camera(SIZE, SIZE).model_copy(
        update={"world_from_camera": ((1, 0, 0, 0), (0, 0.6, -0.8, 0), (0, 0.8, 0.6, 2), (0, 0, 0, 1))}
    )
    assert elevation(steep) == pytest.approx(36.87, abs=0.01)
    shot = shot_of((10, 90, 25), (90, 100, 20), (130, 30, 3), camera=steep)
    said: list[Any] = []
    left = examine(shot, FAST, Context(MIDI, 0, said.append))
    assert warnings(said) == [("camera-steep", None), ("instance-cut", 3), ("instance-too-small", 5)]
    assert list(left.names) == [3, 4] and set(np.unique(left.labels)) == {0, 3, 4}
    assert all(each.hint for each in said)


def test_an_assumed_camera_is_not_judged() -> None:
    said: list[Any] = []
    examine(shot_of(*THREE), FAST, Context(MIDI, 0, said.append))
    assert said == []


@pytest.mark.parametrize("pixels", [0, 1])
def test_nothing_to_see_is_a_sentence(pixels: int) -> None:
    shot = shot_of(*THREE[:1])
    labels = np.zeros_like(shot.instances.labels)
    labels[50, 50 : 50 + pixels] = 3
    with pytest.raises(Problem, match="instances-empty") as caught:
        made(replace(shot, instances=InstanceMap(labels, {3: "dot"} if pixels else {})))
    assert caught.value.hint


def test_cancelling_ends_it_within_a_step() -> None:
    steps: list[str] = []

    def report(said: Any) -> None:
        if isinstance(said, Progress) and said.stage == "denoise":
            steps.append(said.message)

    with pytest.raises(Cancelled):
        made(
            shot_of(*THREE[:1]), FAST.model_copy(update={"steps": 50}), report=report, cancelled=lambda: len(steps) > 2
        )
    assert len(steps) <= 4
    assert residency.held_by("midi") is None


def broken(folder: Path, what: str) -> None:
    part = folder / "VAST-AI" / "MIDI-3D"
    shards = sorted((part / "transformer").glob("*.safetensors"))
    match what:
        case "no folder":
            part.rename(folder / "elsewhere")
        case "no vae":
            for file in (part / "vae").glob("*.safetensors*"):
                file.unlink()
        case "no shard":
            shards[1].unlink()
        case "half a shard":
            shards[1].write_bytes(shards[1].read_bytes()[: shards[1].stat().st_size // 2])
        case "truncated":
            file = sorted((part / "vae").glob("*.safetensors"))[0]
            file.write_bytes(file.read_bytes()[:-100])
        case "foreign":
            for file in (part / "vae").glob("*.safetensors*"):
                file.unlink()
            for file in (part / "transformer").glob("*.safetensors*"):
                (part / "vae" / file.name).write_bytes(file.read_bytes())
        case "no json":
            (part / "transformer" / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("what", "code", "named"),
    [
        ("no folder", "weights-missing", "VAST-AI/MIDI-3D"),
        ("no vae", "weights-missing", "vae"),
        ("no shard", "weights-missing", "transformer"),
        ("half a shard", "weights-damaged", "transformer"),
        ("truncated", "weights-damaged", "vae"),
        ("foreign", "weights-foreign", "vae"),
        ("no json", "weights-damaged", "config.json"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_told_before_anything_is_loaded(
    what: str, code: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_checkpoint(tmp_path / "VAST-AI" / "MIDI-3D", shard_bytes=200_000)
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "nothing"))
    broken(tmp_path, what)
    loads = []
    monkeypatch.setattr("models.loading.read_tensors", lambda *args: loads.append(args))
    with pytest.raises(Problem) as caught:
        made(shot_of(*THREE[:1]))
    assert caught.value.code == code, caught.value
    assert named in caught.value.detail and caught.value.hint
    assert loads == []


SOLIDS = {
    3: Solid("box", (0.8, 0.5, 0.6), (-0.8, 0.3, 0.3), 0.4),
    4: Solid("cylinder", (0.3, 0.3, 1.2), (1.0, 0.4, 0.6)),
    9: Solid("box", (0.4, 0.9, 0.5), (0.2, -0.1, 0.25), -0.3),
}


def captured() -> Shot:
    camera = look((0.4, -3.5, 1.4), math.radians(15), 0.1, 35, 320)
    labels, depth = cast(list(SOLIDS.values()), camera)
    ids = np.array([0, *SOLIDS], np.uint16)[labels]
    picture = np.full((*labels.shape, 4), 255, np.uint8)
    for number, colour in zip(SOLIDS, ((200, 40, 30), (40, 180, 60), (40, 60, 200)), strict=True):
        picture[ids == number, :3] = colour
    return Shot((picture,), InstanceMap(ids, {3: "crate", 4: "post", 9: "chest"}), camera, depth=depth)


def distance(solid: Solid, points: torch.Tensor) -> torch.Tensor:
    """To the solid, negative inside."""
    local = (points - torch.tensor(solid.centre)) @ torch.tensor(solid.turn, dtype=torch.float32)
    half = torch.tensor(solid.size) / 2
    if solid.kind == "box":
        beyond = local.abs() - half
    else:
        beyond = torch.stack([local[:, :2].norm(dim=1) - half[0], local[:, 2].abs() - half[2]], dim=1)
    return beyond.clamp(min=0).norm(dim=1) + beyond.amax(dim=1).clamp(max=0)


def test_shapes_in_a_frame_of_their_own_come_to_stand_where_the_camera_sees_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the networks had understood the picture: the right shapes, y up, turned by any angle, of any scale."""
    angle, scale, shift = 2.1, 0.55, torch.tensor([0.1, -0.25, 0.05])
    turn = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    remaining = iter(SOLIDS.values())

    def understood(vae: Any, latents: torch.Tensor, resolution: int, **options: Any) -> Any:
        solid = next(remaining)

        def field(points: torch.Tensor) -> torch.Tensor:
            upright = torch.stack([points[:, 0], -points[:, 2], points[:, 1]], dim=1)
            return distance(solid, (upright - shift) / scale @ turn) * scale

        return field_surface(field, resolution)

    monkeypatch.setattr("backend.pipelines.midi.run.decode", understood)
    shot = captured()
    scene, said = made(shot, FAST.model_copy(update={"faces": 3000, "texture_size": 256}))
    assert [(prop.instance, prop.name) for prop in scene.props] == [(3, "crate"), (4, "post"), (9, "chest")]
    for prop, solid in zip(scene.props, SOLIDS.values(), strict=True):
        vertices = torch.tensor(prop.world_vertices(), dtype=torch.float32)
        size = float(np.linalg.norm(solid.size))
        assert distance(solid, vertices).abs().max() < 0.04 * size, prop.name
        seen = silhouette(prop.world_vertices(), prop.mesh.faces, shot.camera)
        assert mask_iou(seen & (shot.instances.labels == prop.instance), shot.instances.mask(prop.instance)) > 0.95
        colour = shot.image[shot.instances.mask(prop.instance)][0, :3]
        assert np.abs(prop.mesh.texture.reshape(-1, 3).astype(int) - colour).max() < 60, "its own colour all round"
    assert scene.record["registration"]["confidence"] > 0.8
    assert warnings(said) == []
