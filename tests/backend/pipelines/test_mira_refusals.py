"""What MIRA cannot use gets a sentence before any tensor is read; so does what comes out as nothing or no numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from backend import weights  # noqa: E402
from backend.contract import Warning  # noqa: E402
from backend.errors import Problem  # noqa: E402
from backend.pipelines import ending  # noqa: E402
from backend.pipelines.mira import MIRA  # noqa: E402
from backend.pipelines.mira.tiny import folder_of  # noqa: E402
from models.lrm.single_view import SingleViewModel  # noqa: E402
from models.lrm.single_view_files import write_openlrm  # noqa: E402
from models.lrm.single_view_tiny import RENDER_SIZE, SOURCE_SIZES, tiny_single_view  # noqa: E402
from tests.backend.instantmesh_shots import ONE  # noqa: E402
from tests.backend.mira_shots import FAST, PLAIN, made  # noqa: E402
from tests.backend.pipelines.test_mira import FIVE  # noqa: E402

BAD, OTHERS = 5, [3, 4, 6, 7]
OWN = {"model": "own"}

pytestmark = pytest.mark.usefixtures("mira_models")


def refused(*arguments: Any, **options: Any) -> Problem:
    """The problem of a run; every problem comes with something to do."""
    with pytest.raises(Problem) as caught:
        made(*arguments, **options)
    assert caught.value.detail.strip() and caught.value.hint.strip()
    return caught.value


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "huge"},
        {"model": "own"},
        {"distance": 0.5},
        {"distance": 4.0},
        {"level": 0.0},
        {"resolution": 513},
        {"video": "always"},
        {"checkpoint": "../elsewhere"},
        {"checkpoint": "a/b"},
        {"checkpoint": "a\\b"},
        {"checkpoint": "C:"},
        {"checkpoint": ".hidden"},
        {"checkpoint": "a" * 81},
        {"checkpoint": "line\nbreak"},
    ],
)
def test_parameters_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem, match="parameters-invalid") as caught:
        MIRA.check(wrong)
    assert next(iter(wrong)) in caught.value.detail


def test_a_model_of_ones_own_that_is_not_named_is_answered_with_those_there_are() -> None:
    with pytest.raises(Problem, match="mine, stand"):
        MIRA.check({"model": "own"})
    problem = refused(ONE, PLAIN.model_copy(update={**OWN, "checkpoint": "yours"}))
    assert problem.code == "weights-missing" and "'yours'" in problem.detail and "mine, stand" in problem.hint
    assert "hf download" not in problem.hint


def test_a_folder_without_a_checkpoint_is_not_offered(copied: Path) -> None:
    (copied / "own" / "empty").mkdir()
    with pytest.raises(Problem, match="mine, stand") as caught:
        MIRA.check({"model": "own"})
    assert "empty" not in caught.value.detail and "Value error" not in caught.value.detail
    problem = refused(ONE, PLAIN.model_copy(update={**OWN, "checkpoint": "empty"}))
    assert problem.code == "weights-missing" and "Its folder is there" in problem.hint


@pytest.fixture
def copied(mira_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models to break."""
    folder = tmp_path / "models"
    shutil.copytree(mira_checkpoints, folder)
    monkeypatch.setenv("SET_DRESSER_MODELS", str(folder))
    return folder


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def pointer(file: Path) -> None:
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def removed(file: Path) -> None:
    file.unlink()


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def without(name: str) -> Callable[[Path], None]:
    """A configuration that lacks a field."""

    def spoil(file: Path) -> None:
        content = json.loads(file.read_text())
        del content[name]
        file.write_text(json.dumps(content))

    return spoil


def with_other(name: str, value: Any) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))

    return spoil


def of_another_version(file: Path) -> None:
    """Tensors of MIRA under the name and beside the configuration of OpenLRM 1.1."""
    from safetensors.torch import save_file

    content = torch.load(file.parents[2] / "own" / "mine" / "checkpoint_1.pt", weights_only=True)
    save_file(content["model_state_dict"], file)


def of_something_else(file: Path) -> None:
    torch.save({"some.weight": torch.zeros(3)}, file)


PUBLISHED, OLD, MINE = "mix-base", "obj-small-1.0", "mine"

CASES: list[tuple[str, str, Callable[[Path], None], str, str]] = [
    (PUBLISHED, "model.safetensors", removed, "weights-missing", "hf download"),
    (PUBLISHED, "model.safetensors", cut, "weights-damaged", "hf download"),
    (PUBLISHED, "model.safetensors", pointer, "weights-damaged", "hf download"),
    (PUBLISHED, "model.safetensors", of_another_version, "weights-foreign", "hf download"),
    (PUBLISHED, "config.json", removed, "weights-missing", "hf download"),
    (PUBLISHED, "config.json", cut, "weights-damaged", "hf download"),
    (PUBLISHED, "config.json", without("transformer_heads"), "weights-foreign", "hf download"),
    (PUBLISHED, "config.json", with_other("transformer_dim", 64), "weights-foreign", "hf download"),
    (OLD, "model.pth", removed, "weights-missing", "hf download"),
    (OLD, "model.pth", cut, "weights-damaged", "hf download"),
    (OLD, "model.pth", emptied, "weights-damaged", "hf download"),
    (OLD, "model.pth", of_something_else, "weights-foreign", "hf download"),
    (MINE, "checkpoint_1.pt", removed, "weights-missing", "It holds config.json and model.safetensors"),
    (MINE, "checkpoint_1.pt", cut, "weights-damaged", "Put a whole copy"),
    (MINE, "checkpoint_1.pt", of_something_else, "weights-foreign", "It holds config.json and model.safetensors"),
    (MINE, "config.json", removed, "weights-missing", "It holds config.json and model.safetensors"),
    (MINE, "config.json", a_folder, "weights-missing", "It holds config.json and model.safetensors"),
    (MINE, "config.json", without("num_heads"), "weights-foreign", "It holds config.json and model.safetensors"),
    (MINE, "config.json", with_other("surprise", 1), "weights-foreign", "It holds config.json and model.safetensors"),
]


@pytest.mark.parametrize(("model", "name", "spoil", "code", "hint"), CASES)
def test_a_checkpoint_that_cannot_be_used_is_told_before_any_tensor_is_read(
    model: str, name: str, spoil: Callable[[Path], None], code: str, hint: str, copied: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    chosen = {**OWN, "checkpoint": MINE} if model == MINE else {"model": model}
    spoil((copied / "own" / MINE if model == MINE else folder_of(copied, model)) / name)
    opened: list[Any] = []
    monkeypatch.setattr("backend.pipelines.mira.run.open_model", lambda *arguments: opened.append(arguments))
    problem = refused(ONE, PLAIN.model_copy(update=chosen))
    assert problem.code == code, problem
    assert name.partition("_")[0] in problem.detail + problem.hint and hint in problem.hint
    assert opened == []


def test_of_several_checkpoints_of_a_training_run_the_newest_counts(copied: Path) -> None:
    folder = copied / "own" / MINE
    for number in (9, 10):
        shutil.copy(folder / "checkpoint_1.pt", folder / f"checkpoint_{number}.pt")
    assert weights.row_of("own/mine").required == ("config.json", "checkpoint_10.pt")
    assert weights.locate("own/mine") == folder
    cut(folder / "checkpoint_10.pt")
    assert "checkpoint_10.pt" in refused(ONE, PLAIN.model_copy(update={**OWN, "checkpoint": MINE})).detail


@pytest.mark.parametrize("name", ["own/../midi", "own/", "own/a/b", "own/.x", "elsewhere"])
def test_an_id_that_is_no_name_is_nobody(name: str) -> None:
    with pytest.raises(KeyError):
        weights.row_of(name)


def test_an_object_that_is_transparent_is_left_out_and_alone_it_is_a_sentence() -> None:
    picture = FIVE.image.copy()
    picture[FIVE.instances.mask(BAD), 3] = 0
    scene, said = made(replace(FIVE, images=(picture,)), PLAIN)
    check(scene, said, "image-empty")
    nothing = ONE.image.copy()
    nothing[..., 3] = 0
    assert refused(replace(ONE, images=(nothing,)), PLAIN).code == "image-empty"


def check(scene: Any, said: list[Any], code: str) -> None:
    """Four whole props, and one sentence about the fifth object."""
    assert [prop.instance for prop in scene.props] == OTHERS
    assert all(np.isfinite(prop.world_vertices()).all() for prop in scene.props)
    told = [each for each in said if isinstance(each, Warning) and "left out" in each.message]
    assert [(each.code, each.instance) for each in told] == [(code, BAD)] and told[0].hint
    assert "'Thing 5'" in told[0].message


def planes_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SingleViewModel.planes

    def spoiled(self: SingleViewModel, *arguments: Any) -> Any:
        made = real(self, *arguments).clone()
        made[2, 1, 0, 5, 5] = float("nan")
        return made

    monkeypatch.setattr(SingleViewModel, "planes", spoiled)


def planes_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SingleViewModel.planes

    def spoiled(self: SingleViewModel, *arguments: Any) -> Any:
        made = real(self, *arguments).clone()
        made[2] = 0
        return made

    monkeypatch.setattr(SingleViewModel, "planes", spoiled)


def no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = ending.stand

    def failing(number: int, *arguments: Any, **options: Any) -> Any:
        if number == BAD:
            raise np.linalg.LinAlgError("Singular matrix")
        return stand(number, *arguments, **options)

    monkeypatch.setattr(ending, "stand", failing)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (planes_without_numbers, "geometry-failed"),
        (planes_of_nothing, "instance-empty"),
        (no_place, "geometry-failed"),
    ],
)
def test_of_five_objects_the_bad_one_is_told_and_left_out(
    spoil: Callable[[pytest.MonkeyPatch], None], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch)
    check(*made(FIVE, PLAIN), code)


@pytest.mark.parametrize(
    ("part", "number"),
    [("encoder", "nan"), ("transformer", "inf"), ("synthesizer.decoder.net.0", "-inf")],
)
def test_weights_that_are_no_numbers_are_a_damaged_checkpoint_and_not_a_bad_picture(
    part: str, number: str, copied: Path
) -> None:
    network = tiny_single_view()
    name, weight = next(network.get_submodule(part).named_parameters())
    with torch.no_grad():
        weight.view(-1)[0] = float(number)
    file = write_openlrm(network, copied / "own" / "bad", SOURCE_SIZES["openlrm-1.1"], RENDER_SIZE)
    problem = refused(ONE, PLAIN.model_copy(update={**OWN, "checkpoint": "bad"}))
    assert problem.code == "weights-damaged" and "picture" not in problem.hint
    assert file.name in problem.detail and f"{part}.{name} has 1 of" in problem.detail


HUGE = 3e38
"""A number in 32 bits, of which two are none."""


@pytest.mark.parametrize(
    ("part", "changes", "says"),
    [
        ("upsampler", {}, "not finite numbers"),
        ("upsampler", {"distance": 0.0}, "not finite numbers"),
        ("synthesizer.decoder.net.0", {}, "not a finite number"),
        ("colours", {"colour": "vertices"}, "not a finite number"),
        ("colours", {"colour": "texture"}, "not a finite number"),
        ("nothing", {}, "came out empty"),
    ],
)
def test_numbers_that_grow_beyond_all_bounds_or_make_nothing_are_a_sentence(
    part: str, changes: dict[str, Any], says: str, copied: Path
) -> None:
    network = tiny_single_view()
    with torch.no_grad():
        last = network.synthesizer.decoder.net[-1]
        if part == "colours":
            last.weight[1:], last.weight[1:, ::2] = -HUGE, HUGE
        elif part == "nothing":
            last.bias[0] -= 1000.0
        else:
            weight = next(network.get_submodule(part).parameters())
            weight.copy_(torch.where(torch.rand_like(weight) > 0.5, HUGE, -HUGE))
    write_openlrm(network, copied / "own" / "bad", SOURCE_SIZES["openlrm-1.1"], RENDER_SIZE)
    start = PLAIN if "colour" not in changes else FAST
    problem = refused(ONE, start.model_copy(update={**OWN, "checkpoint": "bad", **changes}))
    assert problem.code == "geometry-failed" and says in problem.detail and "'Vase'" in problem.detail
