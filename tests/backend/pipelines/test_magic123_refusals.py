"""What Magic123 cannot use gets a sentence, before anything is computed where that can be known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend import devices  # noqa: E402
from backend.contract import GenerateRequest  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.imaging.intake import make_shot  # noqa: E402
from backend.pipelines.magic123 import MAGIC123, NAME, Magic123Parameters, shaping  # noqa: E402
from backend.weights import row_of  # noqa: E402
from tests.backend.instantmesh_shots import ONE, png  # noqa: E402
from tests.backend.magic123_shots import FAST, made  # noqa: E402
from tests.backend.pipelines.test_midi import shot_of as discs  # noqa: E402
from tests.models.magic123.test_published_runs import content, network, written  # noqa: E402
from tests.models.magic123.test_published_runs import fine as fine_run  # noqa: E402


def refused(wrong: dict[str, Any]) -> Problem:
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        MAGIC123.check(wrong)
    return caught.value


@pytest.mark.parametrize(
    "wrong",
    [{"elevation": 81}, {"elevation": "high"}, {"likeness": 1.1}, {"side": 8}, {"fine_side": 31}, {"resolution": 16},
     {"levels": 17}, {"table": 4}, {"resolution": 257}, {"lambda_rgb": -1}, {"lambda_mask": float("nan")},
     {"t_range": [0.2]}, {"t_range": [0.2, 1.2]}, {"fine_t_range": "much"}, {"steps": 20001},
     {"known_view_interval": 0}, {"text_prior": "sdxl"}, {"checkpoint": "../run"}, {"token": "a/b"},
     {"prompt": "x" * 1001}],
)  # fmt: skip
def test_parameters_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    assert next(iter(wrong)) in refused(wrong).detail


@pytest.mark.parametrize("name", ["t_range", "fine_t_range"])
@pytest.mark.parametrize(("given", "says"), [([0.6, 0.2], "from 0.6 to 0.2"), ([0.3, 0.3], "from 0.3 to 0.3")])
def test_a_range_that_is_reversed_is_told_how_it_goes(name: str, given: list[float], says: str) -> None:
    detail = refused({name: given}).detail
    assert f"{name}: it goes {says}; give the smaller one first" in detail


@pytest.mark.parametrize("text", ["", "  \n"])
def test_the_2d_prior_wants_a_text_or_a_token(text: str) -> None:
    assert "no text and no token; write what the object is" in refused({"prompt": text}).detail
    MAGIC123.check({"prompt": text, "token": "my-vase"})
    MAGIC123.check({"prompt": text, "text_prior": "none"})


def test_one_prior_at_least_is_wanted() -> None:
    assert "choose one at least" in refused({"text_prior": "none", "view_prior": "none"}).detail


def test_an_elevation_along_the_vertical_is_told_with_those_that_can_be() -> None:
    assert "-80 to 80 degrees, or -90 for that of the camera" in refused({"elevation": -85}).detail


def test_what_is_needed_follows_from_the_priors() -> None:
    def needed(**chosen: Any) -> tuple[str, ...]:
        return Magic123Parameters.model_validate(chosen).needed_weights()

    assert needed() == ("sd15", "zero123-105000")
    assert needed(view_prior="xl") == ("sd15", "zero123-xl")
    assert needed(text_prior="none") == ("zero123-105000",) and needed(view_prior="none") == ("sd15",)
    assert needed(token="vase", checkpoint="run")[2:] == ("own/vase", "own/run")
    assert needed(token="vase", text_prior="none") == ("zero123-105000",), "nothing would be told the word"


def test_stages_follow_the_parameters() -> None:
    def stages(**chosen: Any) -> list[str]:
        return [stage.name for stage in MAGIC123.stages_of(MAGIC123.check(chosen))]

    assert stages() == ["preprocess", "coarse", "fine", "clean", "texture", "place", "export"]
    assert stages(refine="off", colour="none") == ["preprocess", "coarse", "clean", "place", "export"]
    assert stages(checkpoint="run") == ["preprocess", "fine", "clean", "texture", "place", "export"]


def test_a_draft_is_a_tenth_of_the_published_steps_and_a_number_of_ones_own_counts_more() -> None:
    steps = [
        Magic123Parameters.model_validate({"quality": each}).chosen_steps for each in ("draft", "standard", "final")
    ]
    assert steps[0] * 10 == steps[2] == 5000 and steps == sorted(steps)
    assert Magic123Parameters(quality="final", steps=7).chosen_steps == 7
    assert NAME in Magic123Parameters().prompt


def no_step(*given: Any, **named: Any) -> Any:
    raise AssertionError("nothing is to be optimised")


@pytest.fixture
def copied(magic123_checkpoints: Path, magic123_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models to break; no step is to be taken."""
    folder = tmp_path / "models"
    shutil.copytree(magic123_checkpoints, folder, ignore=shutil.ignore_patterns("converted"))
    monkeypatch.setenv("SET_DRESSER_MODELS", str(folder))
    monkeypatch.setenv("SET_DRESSER_CONVERTED", str(folder / "converted"))
    monkeypatch.setattr(shaping, "optimise", no_step)
    return folder


def failed(shot: Any = ONE, **chosen: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        made(shot, FAST.model_copy(update=chosen))
    assert caught.value.hint
    return caught.value


def unet(folder: Path, identifier: str) -> Path:
    row = row_of(identifier)
    name = next(name for name in row.required if name.startswith("unet/") and name.endswith("safetensors"))
    return folder / row.home / name.replace("[.fp16]", "")


def cut(folder: Path) -> None:
    file = unet(folder, "zero123-105000")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def removed(folder: Path) -> None:
    unet(folder, "sd15").unlink()


def exchanged(folder: Path) -> None:
    """Stable Diffusion's network in the place of Zero123's."""
    first, second = unet(folder, "sd15"), unet(folder, "zero123-105000")
    shutil.copy(first, second)
    shutil.copy(first.parent / "config.json", second.parent / "config.json")


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (cut, "weights-damaged", "unet"),
        (removed, "weights-missing", "stable-diffusion-v1-5"),
        (exchanged, "weights-foreign", "4 channels"),
    ],
)
def test_a_prior_that_cannot_be_used_is_told_before_the_first_step(
    spoil: Callable[[Path], None], code: str, says: str, copied: Path
) -> None:
    spoil(copied)
    problem = failed()
    assert problem.code == code and says in problem.detail and "hf download" in problem.hint


def a_run(folder: Path, **more: Any) -> Path:
    """Somebody's, as a folder of one's own with the name "run"."""
    (folder / "own" / "run").mkdir(parents=True)
    return written(folder / "own" / "run", content(network(), **more)).rename(folder / "own" / "run" / "model.pth")


def test_a_foreign_run_a_damaged_one_and_none_are_told(copied: Path) -> None:
    assert failed(checkpoint="run").code == "weights-missing"
    file = a_run(copied)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert failed(checkpoint="run").code == "weights-damaged"
    torch.save({"model": {"some.weight": torch.zeros(3)}}, file)
    problem = failed(checkpoint="run")
    assert problem.code == "weights-foreign" and "no checkpoint of Magic123" in problem.detail
    assert "a run of Magic123" in problem.hint and str(file) in problem.detail
    file.write_bytes(whole)
    several = discs((40, 60, 30), (110, 60, 30))
    problem = failed(
        replace(several, instances=replace(several.instances, names={3: "Vase", 4: "Lamp"})), checkpoint="run"
    )
    assert problem.code == "parameters-invalid" and "there are 2 here" in problem.detail


def test_a_run_in_its_second_stage_wants_its_tetrahedra(copied: Path) -> None:
    file, _, _ = fine_run(copied / "own")
    (copied / "own" / "run").mkdir()
    file.rename(copied / "own" / "run" / "model.pth")
    problem = failed(checkpoint="run")
    assert problem.code == "weights-missing" and "256_tets.npz" in problem.detail


def test_a_token_without_its_file_or_of_another_width_is_told(copied: Path) -> None:
    a_run(copied)
    problem = failed(token="run")
    assert problem.code == "weights-missing" and "holds no learned word" in problem.detail
    assert "learned_embeds" in problem.hint
    torch.save({"<prop>": torch.zeros(2, 2)}, copied / "own" / "mine" / "learned_embeds.bin")
    (copied / "own" / "mine" / "learned_embeds.safetensors").unlink()
    assert failed(token="mine").code == "weights-foreign"


@pytest.mark.usefixtures("copied")
def test_a_name_that_says_nothing_and_a_picture_without_an_object_are_sentences() -> None:
    nameless = replace(ONE, instances=replace(ONE.instances, names={1: "Cube.003"}))
    problem = failed(nameless)
    assert problem.code == "parameters-invalid" and "'Cube.003' says nothing" in problem.detail
    nothing = ONE.image.copy()
    nothing[..., 3] = 0
    assert failed(replace(ONE, images=(nothing,))).code == "image-empty"
    faint = ONE.image.copy()
    faint[..., 3] = np.minimum(faint[..., 3], 90)
    assert "too faint" in failed(replace(ONE, images=(faint,))).detail
    grey = np.full((120, 90, 3), 128, np.uint8)
    with pytest.raises(Problem) as caught:
        make_shot(GenerateRequest(pipeline="magic123"), [png(grey)], None, None, background="plain")
    assert caught.value.code == "background-unclear"


@pytest.mark.usefixtures("copied")
def test_too_little_memory_is_told_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = devices.choose

    def scarce(wanted: str = "auto") -> devices.Device:
        return replace(measured(wanted), free_bytes=10**7, total_bytes=2 * 10**7)

    monkeypatch.setattr(devices, "choose", scarce)
    monkeypatch.setattr(shaping.PriorNetworks, "told", no_step)
    problem = failed()
    assert problem.code == "out-of-memory" and "0.0 GB free" in problem.detail and "needs about" in problem.detail
