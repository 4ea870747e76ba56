"""`python -m training.mira` from a file to a checkpoint, and what it says where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from models.lrm.single_view_files import claims, open_single_view  # noqa: E402
from tests.training.mira.run_small import small  # noqa: E402
from tests.training.programs import toml  # noqa: E402
from training.mira.__main__ import main  # noqa: E402


def written(tmp_path: Path, data: Path, **changed: object) -> Path:
    """A file of the tiny run, one step long."""
    config = small(tmp_path / "run", data, **{"run.steps": 1, **changed})
    tables = {name: getattr(config, name).model_dump(exclude_none=True) for name in type(config).model_fields}
    lines = [
        f"[{table}]\n" + "".join(f"{name} = {toml(value)}\n" for name, value in part.items())
        for table, part in tables.items()
    ]
    file = tmp_path / "config.toml"
    file.write_text("\n".join(lines))
    return file


def test_from_a_file_and_rendered_objects_to_a_checkpoint_and_on(tmp_path: Path, data: Path) -> None:
    file = written(tmp_path, data)
    assert main(["--config", str(file)]) == 0
    first = open_single_view(tmp_path / "run" / "models").state_dict()
    assert claims(tmp_path / "run" / "models").generation == "mira"

    # Fine-tuning a checkpoint is one flag; of no length to speak of it gives the same weights.
    tuned = tmp_path / "tuned"
    quiet = written(tmp_path, data, **{"optimiser.rate": 1e-9})
    start = str(tmp_path / "run" / "models")
    assert main(["--config", str(quiet), "--start", start, "--folder", str(tuned)]) == 0
    again = open_single_view(tuned / "models").state_dict()
    assert all(torch.allclose(again[name], each, atol=1e-6) for name, each in first.items())


def test_openlrm_is_trained_too(tmp_path: Path, data: Path) -> None:
    changes = {"model.generation": "openlrm-1.1", "model.patch_size": 8}
    assert main(["--config", str(written(tmp_path, data, **changes))]) == 0
    found = claims(tmp_path / "run" / "models")
    assert (found.generation, found.source_size, found.config.camera_numbers) == ("openlrm-1.1", 32, 16)
    assert {each.name for each in (tmp_path / "run" / "models").iterdir()} == {"config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({}, ["--data", "empty"], "There is no object in"),
        ({}, ["--data", "nowhere"], "is not a folder"),
        ({}, ["--start", "nowhere.pt"], "nowhere.pt"),
        ({"data.elevations": (80.0, 90.0)}, [], "no view shows an object from an elevation that is allowed"),
        ({"data.held_out": 1.0}, [], "is to be trained on"),
        ({"model.samples_per_ray": 5000}, [], "5000 samples along a ray"),
        ({"model.render_size": 9999}, [], "render_size is 9999"),
        ({}, ["--folder", "config.toml/run"], "config.toml/run: Not a directory"),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(
    tmp_path: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    options: list[str],
    sentence: str,
) -> None:
    (tmp_path / "empty").mkdir()
    places = [each if each.startswith("--") else str(tmp_path / each) for each in options]
    assert main(["--config", str(written(tmp_path, data, **changes)), *places]) == 2
    assert sentence in capsys.readouterr().err


def test_other_settings_leave_a_run_as_it_was(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["--config", str(written(tmp_path, data, **{"run.checkpoint_every": 1}))]) == 0
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    assert main(["--config", str(written(tmp_path, data, **{"run.seed": 99}))]) == 2
    assert "was begun with, or choose another folder" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_file_with_a_slip_gets_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text("[data]\nfoldr = 'x'\n")
    assert main(["--config", str(tmp_path / "config.toml")]) == 2
    said = capsys.readouterr().err
    assert "data.foldr is no field" in said and "run is missing" in said and "Traceback" not in said


def test_the_small_configuration_is_one() -> None:
    from training.mira.config import read_config
    from training.mira.starting import network_of

    config = read_config(Path("training/mira/mira_small.toml").resolve())
    network, *_ = network_of(config.model, 0)
    assert sum(each.numel() for each in network.parameters()) < 8_000_000, "16 MB in 16 bits"
