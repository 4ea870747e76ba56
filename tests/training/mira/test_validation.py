"""Validation gives full marks to the truth, and measures what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from models.lrm.fields import DensityField  # noqa: E402
from tests.training.mira.run_small import small  # noqa: E402
from training.mira.bank import Shown  # noqa: E402
from training.mira.config import Config  # noqa: E402
from training.mira.starting import network_of  # noqa: E402
from training.mira.validation import cases_of, frame_for, solid_figures, validate  # noqa: E402


class Truth(DensityField):
    """The field of the solid itself, in the frame of one of its views."""

    def __init__(self, shown: Shown, view: int, config: Config) -> None:
        self.shown, self.frame = shown, frame_for(shown, view, config)
        self.chunk, self.planes = 65536, torch.zeros(1)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return 10.0 * torch.from_numpy(self.shown.inside(self.frame.back(points.double().numpy()))).float()


def test_the_truth_gets_full_marks_from_whatever_view(shown: Shown, config: Config) -> None:
    scaled = small(config.run.folder, config.data.folder, **{"data.scale": 0.8})
    for view in range(shown.count):
        field = Truth(shown, view, scaled)
        figures = solid_figures(field, field.frame, shown, 49, 3.0)
        assert figures["iou"] > 0.97 and figures["f_score"] > 0.99
    wrong = Truth(shown, 0, scaled)
    figures = solid_figures(wrong, frame_for(shown, 2, scaled), shown, 49, 3.0)
    assert figures["iou"] < 0.7 and figures["f_score"] < 0.9


def test_an_empty_field_gets_none(shown: Shown, config: Config) -> None:
    field = Truth(shown, 0, config)
    assert solid_figures(field, field.frame, shown, 17, 20.0) == {"iou": 0.0, "f_score": 0.0}


def test_figures_and_pictures_are_of_the_same_views_every_time(shown: Shown, config: Config, tmp_path: Path) -> None:
    network, *_ = network_of(config.model, seed=0)
    network.train()
    cases = {"hard": cases_of([shown], config, 3), "trained": []}
    assert cases == {"hard": cases_of([shown], config, 3), "trained": []} and len(cases["hard"]) == 1

    def perceptual(pictures: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return (pictures - wanted).abs().mean((1, 2, 3))

    figures = validate(network, cases, config, 32, perceptual, tmp_path / "rows.png")
    assert figures.keys() == {f"hard/{name}" for name in ("psnr", "ssim", "lpips", "iou", "f_score")}
    assert figures == validate(network, cases, config, 32, perceptual, None)
    assert network.training, "it is as it was"
    assert Image.open(tmp_path / "rows.png").size == (16 * 5, 16), "the source, and two views with their truths"
