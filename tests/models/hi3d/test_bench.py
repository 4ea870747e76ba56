"""The benchmark of Hi3D counts what it says, holds its bars, and runs where there is a device to run on."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from backend.devices import choose  # noqa: E402
from bench import hi3d, hi3d_networks, hi3d_sizes  # noqa: E402
from models.hi3d.files import REFINE  # noqa: E402
from models.hi3d.memory import ways  # noqa: E402

REFERENCE = {1: (40.6e12, 1.12e12, 2.51e12), 2: (209.5e12, 4.88e12, 10.47e12)}
"""Operations of a step, a frame encoded and a frame decoded, counted on the reference itself."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Any, str]:
    import contextlib
    import io

    file, out = tmp_path_factory.mktemp("bench") / "hi3d.json", io.StringIO()
    with contextlib.redirect_stdout(out):
        hi3d.main(["--device", "cpu", "--steps", "3", "--json", str(file)])
    return json.loads(file.read_text(encoding="utf-8")), out.getvalue()


def test_the_reference_s_arithmetic_is_the_reference_s(shown: Any) -> None:
    for number, expected in REFERENCE.items():
        parts = shown[0]["operations"][str(number)]["parts"]
        found = [parts[name] for name in ("reference step", "encode a frame", "decode a frame")]
        assert found == pytest.approx(expected, rel=0.005)


def test_the_bars_are_held(shown: Any) -> None:
    for each in shown[0]["operations"].values():
        assert each["ours"] <= hi3d.SAME_BAR * each["reference"]
        assert each["interval"] <= hi3d.OTHER_BAR * each["reference"]
    assert "NOT held" not in shown[1] and shown[1].count("is held") == 3


def test_nothing_is_claimed_that_was_not_run(shown: Any) -> None:
    assert shown[0]["run"] == {"1": None, "2": None}
    assert shown[1].count("not run") == sum(len(ways(stage)) for stage in hi3d.STAGES)


def test_what_the_interval_changes_is_shown(shown: Any) -> None:
    for each in shown[0]["differences"].values():
        assert 0.0 < each["guided in the interval only"] < each["not guided"]


def test_steps_are_run_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    small = dataclasses.replace(REFINE, size=64)
    usual = hi3d_sizes.configs(REFINE)
    usual["unet"] = usual["unet"] | {
        "block_out_channels": [32, 32, 32, 32],
        "cross_attention_dim": 16,
        "num_attention_heads": 2,
    }
    usual["vae"] = usual["vae"] | {"block_out_channels": [32, 32, 32, 32], "layers_per_block": 1}
    monkeypatch.setattr(hi3d_sizes, "configs", lambda stage: usual)
    monkeypatch.setattr(hi3d_sizes, "TOKEN", 16)
    ran = hi3d_networks.run(small, choose("cpu"), torch.float32)
    assert set(ran.seconds) == {*(f"a step, {way.name}" for way in ways(REFINE)), "encode a frame", "decode a frame"}
    assert all(seconds is not None and seconds > 0 for seconds in ran.seconds.values())
    assert "0." in hi3d.memory_table(REFINE, ran)


def test_a_device_that_is_too_small_leaves_its_rows_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def exhausted(*_: Any) -> Any:
        raise RuntimeError("CUDA out of memory")

    ran = hi3d_networks.Ran()
    hi3d_networks._measure(ran, hi3d_networks.Meter(choose("cpu")), "a step, full", exhausted)
    assert ran.seconds == {"a step, full": None}
    assert "out of memory" in hi3d.memory_table(REFINE, ran)
