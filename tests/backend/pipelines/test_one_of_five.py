"""Of five objects one is degenerate: four props come, and a sentence about the fifth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

torch = pytest.importorskip("torch")

from backend.contract import Photo, Warning  # noqa: E402
from backend.pipelines import ending  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.instantmesh import INSTANTMESH, reconstruct, sheets  # noqa: E402
from backend.pipelines.midi import MIDI, MidiParameters  # noqa: E402
from backend.pipelines.midi import run as midi  # noqa: E402
from backend.residency import residency  # noqa: E402
from backend.scene import Scene  # noqa: E402
from models.isosurface import Triangles  # noqa: E402
from models.lrm.model import InstantMeshModel  # noqa: E402
from models.midi.decoding import BOUNDS  # noqa: E402
from models.midi.pipeline import MidiPipeline  # noqa: E402
from models.midi.tiny import write_tiny_checkpoint  # noqa: E402
from models.zero123plus.pipeline import Zero123Plus  # noqa: E402
from tests.backend.instantmesh_shots import PLAIN, Kept  # noqa: E402
from tests.backend.pipelines.test_midi import shot_of  # noqa: E402

DISCS = ((30, 40, 20), (80, 40, 18), (130, 40, 20), (45, 110, 24), (110, 110, 22))
FIVE = replace(shot_of(*DISCS), photos=(Photo(),))
BAD, OTHERS = 5, [3, 4, 6, 7]
TINY = MidiParameters(steps=1, faces=500, texture_size=64).model_copy(update={"resolution": 32})

Spoil = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def midi_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_checkpoint(folder / "VAST-AI" / "MIDI-3D")
    return folder


@pytest.fixture
def _midi(midi_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(midi_models))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    residency.clear()


def check(scene: Scene, said: list[Any], code: str) -> None:
    """Four whole props, and one sentence about the fifth object."""
    assert [prop.instance for prop in scene.props] == OTHERS
    for prop in scene.props:
        assert len(prop.mesh.faces) > 50 and np.isfinite(prop.world_vertices()).all()
    told = [each for each in said if isinstance(each, Warning) and "left out" in each.message]
    assert [(each.code, each.instance) for each in told] == [(code, BAD)]
    assert "'Thing 5'" in told[0].message and told[0].hint
    others = {each.code for each in said if isinstance(each, Warning)} - {code}
    assert others <= {"instance-small"}, "nothing else is said of it"


def placed_badly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registration finds no place for it."""
    stand = ending.stand

    def failing(number: int, *arguments: Any, **options: Any) -> Any:
        if number == BAD:
            raise np.linalg.LinAlgError("Singular matrix")
        return stand(number, *arguments, **options)

    monkeypatch.setattr(ending, "stand", failing)


def painted_badly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the camera sees of it cannot be painted."""
    paint_scene = ending.paint_scene

    def failing(meshes: Any, *arguments: Any) -> Any:
        *rest, one_by_one = arguments

        def guarded(numbers: list[int], paint: Callable[[int], Any]) -> Any:
            return one_by_one(numbers, lambda number: paint(number) if number != BAD else 1 // 0)

        return paint_scene(meshes, *rest, guarded)

    monkeypatch.setattr(ending, "paint_scene", failing)


def drawn(vertices: np.ndarray, faces: np.ndarray) -> Triangles:
    """As a decoder gives them, but not rounded to 32 bit: a shape may be smaller than those have numbers for."""
    return Triangles(vertices, np.array(faces), BOUNDS, 33, 100)


def decoded(spoiled: Callable[[Any, Any], Any] | None) -> Spoil:
    """Every object is a ball, except that of one row. `spoiled` takes the decoder and the latents."""

    def spoil(monkeypatch: pytest.MonkeyPatch) -> None:
        real, calls = midi.decode, []
        ball = trimesh.creation.icosphere(3, radius=0.3)

        def decode(vae: Any, latents: Any, *arguments: Any, **options: Any) -> Any:
            calls.append(1)
            if len(calls) == 3 and spoiled is not None:
                answer = spoiled(vae, latents)
                return answer if isinstance(answer, Triangles) else real(answer, latents, *arguments, **options)
            shift = np.array([len(calls) * 0.3 - 0.9, 0.0, 0.1])
            return drawn(np.array(ball.vertices) + shift, ball.faces)

        monkeypatch.setattr(midi, "decode", decode)

    return spoil


class Answers:
    """A decoder whose every answer is one number."""

    def __init__(self, vae: Any, value: float) -> None:
        self.post_quant, self.value = vae.post_quant, value

    def field(self, latents: Any, chunk: int) -> Callable[[Any], Any]:
        return lambda points: torch.full((len(points),), self.value)


def triangles(scale: float) -> Callable[[Any, Any], Triangles]:
    """A ball of a size at which no triangle has an area."""
    ball = trimesh.creation.icosphere(2)
    return lambda vae, latents: drawn(np.array(ball.vertices) * scale, ball.faces)


def no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks themselves give no numbers for one object; nothing else is stood in for."""
    denoise = MidiPipeline.denoise

    def spoiled(self: MidiPipeline, *arguments: Any, **options: Any) -> Any:
        latents = denoise(self, *arguments, **options).clone()
        latents[2] = float("nan")
        return latents

    monkeypatch.setattr(MidiPipeline, "denoise", spoiled)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param([decoded(lambda vae, latents: Answers(vae, 1.0))], "instance-empty", id="nothing inside"),
        pytest.param([decoded(lambda vae, latents: Answers(vae, -1.0))], "instance-empty", id="nothing outside"),
        pytest.param([decoded(triangles(0.0))], "geometry-failed", id="no triangle"),
        pytest.param([decoded(triangles(1e-170))], "geometry-failed", id="no area"),
        pytest.param([decoded(triangles(float("inf")))], "geometry-failed", id="infinite"),
        pytest.param([decoded(None), placed_badly], "geometry-failed", id="no place"),
        pytest.param([decoded(None), painted_badly], "geometry-failed", id="no colours"),
        pytest.param([no_numbers], "geometry-failed", id="no numbers"),
    ],
)
@pytest.mark.usefixtures("_midi")
def test_midi_makes_the_other_four(spoil: list[Spoil], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in spoil:
        each(monkeypatch)
    said: list[Any] = []
    check(midi.run(FIVE, TINY, Context(MIDI, 7, said.append)), said, code)


_views: Kept = {}


def views_drawn(change: Callable[[Callable[[Any], Any], Any], Any]) -> Spoil:
    """The views of one object come out of the networks otherwise. `change` takes the decoder and the latents."""

    def spoil(monkeypatch: pytest.MonkeyPatch) -> None:
        decode, recalled = Zero123Plus.decode, sheets.recalled
        for name in [name for name in _views if name.startswith(f"view-{BAD}-")]:
            del _views[name]
        made_anew: list[int] = []

        def spoiled(self: Zero123Plus, latents: Any) -> Any:
            if made_anew.pop(0) == BAD:
                return change(lambda given: decode(self, given), latents)
            return decode(self, latents)

        def asked(wanted: Any, context: Context) -> Any:
            found = recalled(wanted, context)
            made_anew.extend([wanted.subject.instance] * (found is None))
            return found

        monkeypatch.setattr(sheets, "recalled", asked)
        monkeypatch.setattr(Zero123Plus, "decode", spoiled)

    return spoil


def planes_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    encode, calls = InstantMeshModel.encode, []

    def spoiled(self: InstantMeshModel, *arguments: Any) -> Any:
        calls.append(1)
        planes = encode(self, *arguments)
        return planes * float("nan") if len(calls) == 3 else planes

    monkeypatch.setattr(InstantMeshModel, "encode", spoiled)


def surface(change: Callable[[Any], Any]) -> Spoil:
    def spoil(monkeypatch: pytest.MonkeyPatch) -> None:
        extract, calls = reconstruct.extract_surface, []

        def spoiled(*arguments: Any, **options: Any) -> Any:
            calls.append(1)
            found = extract(*arguments, **options)
            return change(found) if len(calls) == 3 else found

        monkeypatch.setattr(reconstruct, "extract_surface", spoiled)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        pytest.param(
            views_drawn(lambda decode, latents: decode(latents * float("nan"))),
            "geometry-failed",
            id="views of no numbers",
        ),
        pytest.param(
            views_drawn(lambda decode, latents: np.full_like(decode(latents), 0.5)),
            "geometry-failed",
            id="views of one colour",
        ),
        pytest.param(planes_without_numbers, "geometry-failed", id="no numbers"),
        pytest.param(surface(lambda found: replace(found, empty=True)), "instance-empty", id="nothing inside"),
        pytest.param(
            surface(lambda found: replace(found, vertices=found.vertices * 0)), "geometry-failed", id="no triangle"
        ),
        pytest.param(placed_badly, "geometry-failed", id="no place"),
    ],
)
@pytest.mark.usefixtures("instantmesh_models")
def test_instantmesh_makes_the_other_four(spoil: Spoil, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch)
    said: list[Any] = []
    context = Context(INSTANTMESH, 7, said.append, save=_views.__setitem__, restore=_views.get)
    parameters = PLAIN.model_copy(update={"resolution": 32, "faces": 500})
    check(INSTANTMESH.load()(FIVE, parameters, context), said, code)
