"""The table of ablations has a row for each variant, and what it measures is what a camera sees."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from backend.contract import GenerateRequest  # noqa: E402
from backend.imaging.intake import make_shot  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.inflate import INFLATE  # noqa: E402
from backend.pipelines.magic123 import MAGIC123  # noqa: E402
from bench import magic123, magic123_ablations  # noqa: E402
from bench.magic123_oracle import noise_ratio  # noqa: E402
from tests import documented  # noqa: E402
from tests.backend.instantmesh_shots import photo, png  # noqa: E402
from tests.backend.magic123_shots import FAST  # noqa: E402

CPU = torch.device("cpu")


@pytest.mark.usefixtures("magic123_models")
def test_every_variant_is_a_row_and_what_cannot_be_measured_is_told(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "green_vase.png").write_bytes(png(photo()))
    (tmp_path / "notes.txt").write_text("no picture")
    chosen = {**FAST.model_dump(exclude_unset=True), "steps": 1, "refine": "off"}
    names = ["both priors", "3D only", "without inversion"]
    arguments = ["--ablations", str(tmp_path), "--parameters", json.dumps(chosen), "--variants", *names]
    magic123.main([*arguments, "--json", str(tmp_path / "figures.json")])
    said = capsys.readouterr().out
    rows = documented.table(said)
    assert [row[0] for row in rows] == names[:2], "without inversion there is nothing to leave it out of"
    assert all(5 < float(row[1]) < 60 and row[2] == "–" and -1 <= float(row[3]) <= 1 and row[4] == "1" for row in rows)
    assert "LPIPS is left out" in said
    figures = json.loads((tmp_path / "figures.json").read_text())["ablations"]
    assert [each["picture"] for each in figures] == ["green_vase.png"] * 2
    with pytest.raises(SystemExit, match="There is no row 'nothing'"):
        magic123.main(["--ablations", str(tmp_path), "--variants", "nothing"])


def test_every_parameter_that_a_row_changes_is_one() -> None:
    for changed in magic123_ablations.VARIANTS.values():
        MAGIC123.check(dict(changed))
    changed_ones = {name for changed in magic123_ablations.VARIANTS.values() for name in changed}
    losses = {name for name in MAGIC123.parameters.model_fields if name.startswith("lambda_")}
    assert losses - changed_ones == {"lambda_rgb", "lambda_mask"}, "without these there would be no picture at all"


def test_a_prop_with_the_picture_on_it_is_seen_as_the_picture_and_not_as_its_mirror_image() -> None:
    picture = photo()
    picture[:90, :100, :3], picture[120:, 100:, :3] = (250, 240, 60), (20, 20, 160)
    shot = make_shot(GenerateRequest(pipeline="inflate", name="Vase"), [png(picture)], None, None)
    context = Context(INFLATE, 1, lambda said: None, save=lambda name, data: None)
    prop = INFLATE.load()(shot, INFLATE.check({"resolution": 64, "texture_size": 512}), context).props[0]
    first, *others = magic123_ablations.cameras(shot.camera, prop.world_vertices().mean(axis=0))
    wanted = magic123_ablations.picture_of(shot)
    seen = magic123_ablations.seen(prop, first, wanted.shape[2], wanted.shape[1], CPU)
    assert noise_ratio(seen, wanted) > 20 > noise_ratio(seen.flip(2), wanted) + 8
    assert len(others) == magic123_ablations.VIEWS - 1
    middle = prop.world_vertices().mean(axis=0)
    apart = [np.linalg.norm(camera.pose[:3, 3].numpy() - middle) for camera in (first, *others)]
    assert np.ptp(apart) < 1e-6
    behind = magic123_ablations.seen(prop, others[3], 64, 64, CPU)
    assert (behind < 0.95).any(), "it stays in the middle of every view"
    assert magic123_ablations.texture_of(replace(prop.mesh, texture=None), CPU) is None
