"""The benchmark of MIDI compares what it says it compares, and reports every stage; at the tiny size."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from bench import midi, midi_baseline  # noqa: E402
from bench.midi_sizes import OFFICIAL  # noqa: E402
from bench.midi_stages import conditions, encoders, made  # noqa: E402
from models.midi.conditioning import EncoderInputs, encode  # noqa: E402
from models.midi.transformer import MidiTransformer  # noqa: E402
from models.midi.vae import MidiVae  # noqa: E402

INSTANCES = (1, 3)
ARGUMENTS = ["--config", "tiny", "--device", "cpu", "--instances", *map(str, INSTANCES), "--steps", "2", "50"]


def cells(output: str) -> dict[tuple[str, str], dict[str, str]]:
    """The table by number of instances and way."""
    head, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in output.splitlines() if line.startswith("|")
    ]
    return {(line[0], line[1]): dict(zip(head, line, strict=True)) for line in lines}


def test_it_reports_every_stage_of_both_ways(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "figures.json"
    midi.main([*ARGUMENTS, "--timed-steps", "2", "--json", str(file)])
    output = capsys.readouterr().out
    assert "TINY" in output and "NOT the times of the published networks" in output
    assert "2 × 2 steps timed" in output, "it says what was not run but reckoned"
    found = cells(output)
    assert set(found) == {(str(n), way) for n in INSTANCES for way in ("fast", "published", "share")}
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert max(figures["differences"].values()) < midi.AGREES
    for way, rows in figures["ways"].items():
        for count, row in rows.items():
            line = found[count, way]
            assert min(row[stage] for stage in ("encode", "contexts", "step", "stack", "decode")) > 0
            assert set(row["peak"]) == {"encode", "denoise", "decode"}
            run = row["contexts"] + 50 * row["step"]
            assert line["50 steps"] == midi._seconds(run)
            assert line["all, 50 steps"] == midi._seconds(row["encode"] + run + row["stack"] + row["decode"])
        assert all((row["clean"] is None) is (way == "published") for row in rows.values())
    dense = figures["ways"]["published"]
    assert [dense[str(n)]["queries"] for n in INSTANCES] == [2 * 33**3 * n for n in INSTANCES]


def test_it_refuses_to_compare_different_things(monkeypatch: Any) -> None:
    """The agreement of the two ways is looked at, and it sees a baseline whose instances do not know of each other."""
    assert max(midi.agreement().values()) < midi.AGREES
    alone = midi_baseline.self_attention
    monkeypatch.setattr(midi_baseline, "self_attention", lambda attention, hidden, joint: alone(attention, hidden, 1))
    assert midi.agreement()["latents"] > midi.AGREES
    with pytest.raises(SystemExit, match="disagree"):
        midi.main(ARGUMENTS)


def test_a_way_that_does_not_fit_into_memory_leaves_the_others_their_figures(monkeypatch: Any, capsys: Any) -> None:
    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(midi_baseline, "chunk_values", full)
    monkeypatch.setattr(midi, "agreement", lambda: {"latents": 0.0})
    midi.main([*ARGUMENTS, "--timed-steps", "1"])
    found = cells(capsys.readouterr().out)
    for count in map(str, INSTANCES):
        assert found[count, "published"]["decode + surface"] == "out of memory"
        assert found[count, "published"]["all, 50 steps"] == "out of memory"
        assert found[count, "published"]["a step"].endswith(" s")
        assert found[count, "fast"]["all, 50 steps"].endswith(" s")


@pytest.mark.parametrize(
    "wrong", [["--instances", "9"], ["--instances", "0"], ["--steps", "0"], ["--timed-steps", "0"]]
)
def test_options_out_of_range_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        midi.main(["--config", "tiny", "--device", "cpu", *wrong])


def test_the_official_configuration_has_the_published_sizes() -> None:
    """Millions of parameters as published, and conditions of the shapes that the encoders give."""
    meta = torch.device("meta")
    networks = [
        *encoders(OFFICIAL, meta, torch.bfloat16),
        made(lambda: MidiTransformer(OFFICIAL.transformer), meta, torch.bfloat16),
        made(lambda: MidiVae(OFFICIAL.vae), meta, torch.bfloat16),
    ]
    counts = [sum(each.numel() for each in network.parameters()) / 1e6 for network in networks]
    assert counts == pytest.approx([304.0, 305.2, 1681.9, 242.7], abs=0.1)
    assert {each.dtype for network in networks for each in network.parameters()} == {torch.bfloat16}
    inputs = EncoderInputs(torch.empty(2, 3, 224, 224, device=meta), torch.empty(2, 7, 512, 512, device=meta))
    given, assumed = encode(inputs, *networks[:2]), conditions(OFFICIAL, 2)
    assert [each.shape for each in given] == [each.shape for each in assumed]
    assert OFFICIAL.tokens == OFFICIAL.transformer.width
