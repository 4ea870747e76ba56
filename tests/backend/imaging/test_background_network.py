"""Background removal by a network, with nothing downloaded: photographs, whatever is behind the object."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

pytest.importorskip("onnxruntime", reason="requirements/server.txt is not installed as it is")

from backend.errors import Problem
from backend.imaging.background import Remover
from backend.imaging.background.network import NETWORKS, THREADS, Cutter, best_network
from backend.weights import VARIABLE, WEIGHTS, State, locate, present
from tests.backend.imaging.pictures import DATA
from tests.backend.imaging.test_background import OBJECTS, nothing, overlap, scene
from tests.backend.imaging.tiny_onnx import channel_sum

Picture = NDArray[np.uint8]
SIDE = 480
needs_objects = pytest.mark.skipif(not OBJECTS.is_dir(), reason="the object pictures are not there")


@pytest.fixture(autouse=True)
def nothing_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder of models."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@cache
def cut_out(name: str) -> Image.Image:
    """An object of the shared pictures with alpha: its own, or where its plain ground was removed."""
    picture = np.asarray(Image.open(next(OBJECTS.glob(f"{name}.*"))).convert("RGBA")).copy()
    if picture[..., 3].all():
        picture[..., 3] = Remover("plain").find(picture).cover
    return Image.fromarray(picture)


def before(name: str, ground: Image.Image) -> tuple[Picture, NDArray[np.bool_]]:
    """An object that fills four fifths of a square picture, before a ground; and its true mask."""
    thing = cut_out(name)
    scale = 0.8 * SIDE / max(thing.size)
    thing = thing.resize((round(thing.width * scale), round(thing.height * scale)), Image.Resampling.LANCZOS)
    layer = Image.new("RGBA", (SIDE, SIDE))
    layer.paste(thing, ((SIDE - thing.width) // 2, (SIDE - thing.height) // 2))
    whole = ground.resize((SIDE, SIDE)).convert("RGBA")
    whole.alpha_composite(layer)
    return np.asarray(whole), np.asarray(layer)[..., 3] > 127


def room(name: str, blur: float) -> Image.Image:
    picture = Image.open(DATA / "scenes" / f"{name}_rgb.png").convert("RGB").resize((SIDE, SIDE))
    return picture.filter(ImageFilter.GaussianBlur(blur)) if blur else picture


def test_the_network_that_comes_along_is_the_published_one_with_licence_and_origin() -> None:
    assert present("u2netp") is State.ready
    folder, row = locate("u2netp"), WEIGHTS["u2netp"]
    data = (folder / "u2netp.onnx").read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (row.bytes, row.digests["u2netp.onnx"])
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert row.digests["u2netp.onnx"] in (folder / "ORIGIN.md").read_text(encoding="utf-8")


def test_before_a_room_of_many_colours_the_network_finds_what_the_border_cannot_tell() -> None:
    image, truth = scene()
    generator = np.random.default_rng(5)
    patches = Image.fromarray(generator.integers(40, 220, (6, 8, 3), dtype=np.uint8))
    ground = np.asarray(patches.resize((480, 360), Image.Resampling.NEAREST).filter(ImageFilter.GaussianBlur(10)))
    image = np.where(truth[..., None], image[..., :3], ground)
    found = Remover("auto").find(image)
    assert found.record == {"way": "network", "network": "u2netp"}
    assert overlap(found.mask, truth) >= 0.95


@needs_objects
@pytest.mark.parametrize("name", ["bird", "cake", "fox"])
def test_objects_before_a_blurred_room_are_cut_out(name: str) -> None:
    image, truth = before(name, room("kids_room", blur=12))
    found = Remover("auto").find(image)
    assert found.way == "network" and overlap(found.mask, truth) >= 0.95


@needs_objects
def test_objects_before_a_sharp_room_are_mostly_cut_out() -> None:
    """One by one they vary: where furniture stands behind them, some of it may count as theirs."""
    pictures = [before(name, room("breakfast_room", blur=0)) for name in ("bird", "cake", "fox")]
    shares = [overlap(Remover("auto").find(image).mask, truth) for image, truth in pictures]
    assert np.mean(shares) >= 0.80 and min(shares) >= 0.6, shares


@needs_objects
def test_on_a_plain_ground_on_which_both_agree_the_finer_outline_is_taken() -> None:
    image, truth = before("fox", Image.new("RGB", (1, 1), (150, 160, 140)))
    found = Remover("auto").find(image)
    assert found.way == "plain" and found.record["network"] == "u2netp" and found.record["agreement"] > 0.9
    assert overlap(found.mask, truth) >= 0.95


@pytest.mark.parametrize(("missed", "way"), [("legs", "plain"), ("half of the seat", "network")])
def test_thin_parts_that_the_network_misses_are_no_disagreement(
    missed: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.full((240, 320, 3), 220, np.uint8)
    seat, leg = (slice(60, 120), slice(80, 240)), (slice(120, 220), slice(90, 94))
    image[seat] = image[leg] = 60
    seen = np.zeros(image.shape[:2])
    seen[seat] = 1
    if missed != "legs":
        seen[leg], seen[60:120, 160:240] = 1, 0
    monkeypatch.setattr("backend.imaging.background.network.Cutter.cover", lambda cutter, colours: seen)
    assert Remover("auto").find(image).way == way


def test_rims_are_soft_and_the_mask_is_where_more_than_half_is_covered() -> None:
    image, _ = scene()
    found = Remover("network").find(image)
    assert ((found.cover > 20) & (found.cover < 235)).mean() > 0.005
    assert (found.mask == (found.cover > 127)).all()


@pytest.mark.parametrize("kind", ["gradient", "tiny"])
def test_where_nothing_stands_out_there_is_no_object(kind: str) -> None:
    with pytest.raises(Problem, match="background-unclear"):
        Remover("auto").find(nothing(kind))


def test_the_same_picture_gives_the_same_bytes_in_another_process() -> None:
    script = (
        "import hashlib, os; from backend.imaging.background import Remover\n"
        "from tests.backend.imaging.test_background import scene\n"
        "before = dict(os.environ); cover = Remover('network').find(scene()[0]).cover\n"
        "assert dict(os.environ) == before, 'the environment is left as it was'\n"
        "print(hashlib.sha256(cover.tobytes()).hexdigest())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    ours = Remover("network").find(scene()[0]).cover
    assert run.stdout.strip() == hashlib.sha256(ours.tobytes()).hexdigest()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_the_threads_of_the_network_are_few_and_end_with_it() -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    cutter: Any = Cutter("u2netp")
    cutter.cover(scene()[0][..., :3])
    during = threads()
    del cutter
    assert 0 < during - threads() <= THREADS


@pytest.mark.parametrize(
    ("identifier", "grey"),
    [
        ("isnet-general-use", 3 * (150 / 255 - 0.5)),
        ("birefnet-general", 1 / (1 + np.exp(-(0.103 / 0.229 + 0.132 / 0.224 + 0.182 / 0.225)))),
    ],
)
def test_a_better_network_that_is_there_is_taken_and_sees_what_it_was_trained_on(
    identifier: str, grey: float, nothing_downloaded: Path
) -> None:
    """The stand-in answers with the sum of the three normalised colours, of BiRefNet as a logit."""
    assert best_network() == "u2netp"
    row = WEIGHTS[identifier]
    file = nothing_downloaded / row.home / row.required[0]
    file.parent.mkdir(parents=True)
    file.write_bytes(channel_sum(NETWORKS[identifier].size))
    image = np.zeros((90, 120, 4), np.uint8)
    image[20:70, 30:90] = 255
    image[35:55, 45:75] = 150
    found = Remover("network").find(image)
    assert found.record["network"] == best_network() == identifier
    assert found.cover[25, 60] > 253 and found.cover[5, 5] < 2
    assert found.cover[45, 60] == pytest.approx(255 * grey, abs=2)


def test_a_damaged_network_is_named_and_not_passed_over(nothing_downloaded: Path) -> None:
    file = nothing_downloaded / WEIGHTS["u2net"].home / "u2net.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"<html>not a network</html>")
    with pytest.raises(Problem, match="weights-damaged") as caught:
        Remover("auto").find(scene()[0])
    assert "u2net" in caught.value.detail and caught.value.hint


def test_without_the_runtime_the_plain_way_is_left_and_the_other_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    image, truth = scene()
    found = Remover("auto").find(image)
    assert found.record == {"way": "plain"} and overlap(found.mask, truth) > 0.97
    with pytest.raises(Problem, match="engine-missing") as caught:
        Remover("network").find(image)
    assert "onnxruntime" in caught.value.detail and "server.txt" in caught.value.hint
