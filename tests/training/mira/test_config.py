"""A configuration is understood, or refused with a sentence that says where and why."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from training.config import ConfigError, tables
from training.mira.config import Config, read_config

LEAST = '[data]\nfolder = "objects"\n[run]\nfolder = "out"\nsteps = 10\n'


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def test_the_least_has_the_published_defaults(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, LEAST), **{"model.start": "some.pt"})
    assert (config.optimiser.rate, config.optimiser.betas, config.losses.occupancy) == (4e-4, (0.9, 0.95), 0.0)
    assert config.model.start == Path("some.pt") and config.run.folder == Path("out")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LEAST + "[losses]\nocupancy = 1\n", "losses.ocupancy is no field"),
        (LEAST + "[extra]\n", "extra is no field"),
        (LEAST.replace("steps = 10\n", ""), "run.steps is missing"),
        (LEAST.replace("10", "0"), "run.steps: Input should be greater than or equal to 1, not 0"),
        (LEAST + "[run.deep]\n", "run.deep is no field"),
        (LEAST + "[model]\nwidth = 100\nheads = 3\n", "width 100 cannot be shared by 3 heads"),
        (LEAST + "[model]\nsource_size = 100\n", "source_size 100 is no multiple of patch_size 16"),
        (LEAST + "[rays]\nsamples = 33\n", "samples 33 is odd"),
        (LEAST + "[rays]\nresolution = [32, 64]\n", "must ascend and hold a patch of 64"),
        (LEAST + "[rays]\npatch = 8\nresolution = [32, 64]\n", "losses.perceptual needs squares of 32"),
        (LEAST + "[losses]\noverlap = 1\n", "losses.overlap needs losses.occupancy"),
        (LEAST + "[losses]\ncolour = 0\n", "nothing would be learned"),
        (LEAST + "[crops]\nfill = [0.9, 0.5]\n", "fill 0.9 to 0.5 must ascend and begin above 0"),
        (LEAST.replace("10", "true"), "run.steps: Input should be a valid integer, not True"),
        (LEAST.replace("10", '"10"'), "run.steps: Input should be a valid integer, not '10'"),
        (LEAST + "[optimiser]\nrate = inf\n", "optimiser.rate: Input should be a finite number"),
        (LEAST + "[optimiser]\nbetas = [0.9, 1.0]\n", "optimiser.betas.1: Input should be less than 1"),
        (LEAST.replace("[run]", "held_out = -0.5\n[run]"), "data.held_out: the name of a file, or a share from 0 to 1"),
        ("[data\n", "is not TOML"),
        ("run = 3\n", "run"),
    ],
)
def test_what_is_wrong_gets_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml") as raised:
        read_config(written(tmp_path, text))
    assert sentence in str(raised.value)


def test_a_file_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_every_field_says_what_it_is() -> None:
    for part in [Config, *(field.annotation for field in Config.model_fields.values())]:
        assert part is not None and part.__doc__
        if part is not Config:
            for name, field in part.model_fields.items():  # type: ignore[attr-defined]
                assert field.description and len(field.description) > 10, f"{part.__name__}.{name}"


def test_the_page_shows_every_field() -> None:
    page = Path(__file__).parents[3].joinpath("docs", "training.md").read_text(encoding="utf-8")
    assert tables(Config) in page, "python -m training.mira --fields"
