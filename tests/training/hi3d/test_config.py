"""A configuration is understood, or refused with a sentence that says where and why; so is what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.hi3d.run_small import small
from tests.training.programs import toml
from training.config import ConfigError, tables
from training.hi3d.__main__ import main
from training.hi3d.config import Config, read_config

LEAST = '[data]\nfolder = "objects"\n[run]\nfolder = "out"\nsteps = 10\n[model]\nstage = "refine"\nstart = "a.pt"\n'
SHIPPED = sorted((Path(__file__).parents[3] / "training" / "hi3d").glob("*.toml"))


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def test_the_least_has_the_published_defaults(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, LEAST))
    assert (config.optimiser.rate, config.noise.level, config.noise.spread) == (1e-5, 1.0, 1.6)
    assert (config.noise.told, config.noise.told_spread) == (-3.0, 0.5)
    assert (config.noise.without_picture, config.noise.without_latents, config.noise.without_depth) == (0.1, 0.1, 0.0)
    assert config.degradation.resize == (0.15, 1.5) and config.degradation.quality == (30, 95)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LEAST + "[noise]\nlevle = 1\n", "noise.levle is no field"),
        (LEAST.replace('stage = "refine"\n', ""), "model.stage is missing"),
        (LEAST.replace('"refine"', '"third"'), "model.stage: Input should be 'orbit' or 'refine', not 'third'"),
        (LEAST + "[degradation]\nresize = [1.5, 0.15]\n", "resize 1.5 to 0.15 must ascend"),
        (LEAST + "[degradation]\nquality = [30, 101]\n", "quality 101 is above 100"),
        (LEAST.replace('"refine"', '"orbit"') + "[degradation]\n", "[degradation] is of the stage refine"),
        (LEAST + "[noise]\nwithout_depth = 2.0\n", "noise.without_depth"),
        (LEAST.replace("steps = 10", "steps = 10\nbatch = 3\naccumulation = 2"), "3 cannot be shared by 2 parts"),
        ("[run\n", "is not TOML"),
    ],
)
def test_what_is_wrong_gets_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml") as raised:
        read_config(written(tmp_path, text))
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data.folder": "nowhere"}, "nowhere is not a folder"),
        ({"model.start": "nowhere.pt"}, "nowhere.pt is missing"),
        ({"model.start": "weights/second_stage.pt"}, "is the checkpoint of stage 2"),
        ({"model.start": "weights"}, "has to be a file like first_stage.pt"),
        ({"model.video": "nowhere"}, "nowhere is missing"),
        ({"data.held_out": 1.0}, "none of 3 objects is to be trained on"),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], sentence: str
) -> None:
    moved = {name: place / value if isinstance(value, str) else value for name, value in changes.items()}
    config = small(place / "refused", **moved)
    lines = [
        f"[{table}]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in part.items())
        for table, part in config.model_dump(exclude_none=True, exclude={"degradation"}).items()
    ]
    assert main(["--config", str(written(tmp_path, "\n".join(lines)))]) == 2
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said
    assert not list((place / "refused").glob("*.json*")), "nothing was begun"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_shipped_configurations_are_ones(file: Path) -> None:
    assert read_config(file).model.stage in file.stem


def test_there_is_a_shipped_configuration_for_each_stage() -> None:
    assert [file.stem for file in SHIPPED] == ["hi3d_orbit", "hi3d_refine"]


def test_every_field_says_what_it_is() -> None:
    for field in Config.model_fields.values():
        part = field.annotation
        assert part is not None and part.__doc__
        for name, inner in part.model_fields.items():
            assert inner.description and len(inner.description) > 10, f"{part.__name__}.{name}"


def test_the_page_shows_every_field() -> None:
    page = Path(__file__).parents[3].joinpath("docs", "training.md").read_text(encoding="utf-8")
    assert tables(Config) in page, "python -m training.hi3d --fields"
