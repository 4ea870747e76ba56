"""The whole way from a picture to the values of the field gives the reference's numbers."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

EMBEDDINGS, LATENTS, VALUES = 2e-5, 1e-4, 2e-5
BOUND = 1.005


@pytest.fixture(scope="module")
def numbers(golden: Any) -> Any:
    return golden("end_to_end")


@pytest.fixture(scope="module")
def latents(numbers: Any, pipeline: Any, picture: Any, close: Any) -> Any:
    from models.midi.denoising import Guidance
    from models.midi.pictures import framed

    conditions = pipeline.encode(framed(*picture("inner"), "none"), reference=True)
    close(conditions.clip, numbers["out.image_embeds_1"], EMBEDDINGS)
    close(conditions.dino, numbers["out.image_embeds_2"], EMBEDDINGS)
    return pipeline.denoise(
        conditions,
        numbers["in.latents"],
        steps=int(numbers.metadata["steps"]),
        guidance=Guidance(float(numbers.metadata["guidance"])),
    )


def grid(low: Any, high: Any, count: int) -> Any:
    """Points of a dense grid, x slowest."""
    axes = [np.linspace(a, b, count, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    return torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3))


def test_latents(latents: Any, numbers: Any, close: Any) -> None:
    close(latents, numbers["out.latents"], LATENTS)


def test_values_at_points(latents: Any, numbers: Any, pipeline: Any, close: Any) -> None:
    with torch.inference_mode():
        values = pipeline.vae.query(pipeline.vae.context(latents), numbers["in.points"])
    close(values, numbers["out.values"].squeeze(-1), VALUES)


def test_values_on_both_grids(latents: Any, numbers: Any, pipeline: Any, close: Any) -> None:
    first, second = numbers["out.grid_first_pass"], numbers["out.grid_second_pass"]
    count = round(first.shape[1] ** (1 / 3))
    for row, one in enumerate(latents):
        field = pipeline.vae.field(one)
        close(field(grid([-BOUND] * 3, [BOUND] * 3, count)), first[row, :, 0], VALUES)
        box = grid(numbers["out.bbox_min"][row].tolist(), numbers["out.bbox_max"][row].tolist(), count)
        close(field(box), second[row, :, 0], VALUES)
