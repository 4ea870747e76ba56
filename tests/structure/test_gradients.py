"""Networks can be trained: nothing inside `models` switches gradients off; whoever only wants a result does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.structure.source import ROOT, gradient_stops, sources

REASONS = {
    "models/guidance/distillation.py": (
        {"detach"},
        "score distillation has a gradient of its own, not that of the network",
    ),
    "models/guidance/encoding.py": ({"detach"}, "the straight way back is a map that counts as given"),
    "models/hi3d/autoencoding.py": ({"detach"}, "a glimpse is looked at, and no more"),
    "models/hi3d/denoising.py": ({"detach"}, "a checkpoint has no gradients"),
    "models/hi3d/pictures.py": ({"detach"}, "numpy has no gradients"),
    "models/hi3d/tiny.py": ({"requires_grad_"}, "writes the values that parameters begin with"),
    "models/isosurface/sampling.py": ({"detach"}, "marching cubes works on numbers; FlexiCubes has the gradients"),
    "models/loading.py": ({"requires_grad_"}, "a loaded network is for inference until it is told to learn"),
    "models/lrm/single_view_tiny.py": ({"no_grad"}, "writes the values that parameters begin with"),
    "models/lrm/tiny.py": ({"no_grad"}, "writes the values that parameters begin with"),
    "models/lrm/triplane.py": ({"detach"}, "the folded way is for inference; the plain one is beside it"),
    "models/lrm/volume.py": ({"detach"}, "where a ray is looked at again is no function to be learned"),
    "models/optimisation/loop.py": ({"detach"}, "averages, copies and figures are no part of what is learned"),
    "models/magic123/coarse.py": ({"detach", "no_grad"}, "priors look at pictures; space is remembered as numbers"),
    "models/magic123/drawing.py": ({"detach", "no_grad"}, "which samples are hidden is a choice; normals hide nothing"),
    "models/magic123/losses.py": ({"detach"}, "a sample that faces away is not to be hidden"),
    "models/magic123/fine.py": ({"detach", "no_grad"}, "a prior looks at pictures; what is exported has no gradients"),
    "models/magic123/fine_start.py": ({"no_grad"}, "where a surface begins is no function to be learned"),
    "models/midi/tiny.py": ({"no_grad"}, "writes the values that parameters begin with"),
    "models/rendering/drawing.py": ({"detach"}, "which triangle covers a pixel is a choice"),
    "models/rendering/silhouettes.py": ({"detach"}, "which edges are silhouettes is a choice; where they run is not"),
    "models/rendering/unwrapping.py": ({"detach"}, "the unwrapping is not torch's"),
    "models/writing.py": ({"detach"}, "a file has no gradients"),
    "models/zero123plus/conditioning.py": ({"detach"}, "numpy has no gradients"),
    "models/zero123plus/tiny.py": ({"detach"}, "a file has no gradients"),
}
"""Where a gradient may end all the same, in which way, and why."""


@pytest.mark.parametrize("path", sources("models"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_networks_never_switch_gradients_off(path: Path) -> None:
    allowed, _ = REASONS.get(path.relative_to(ROOT).as_posix(), (set(), ""))
    found = gradient_stops(path.read_text(encoding="utf-8"))
    assert {name for name, _ in found} == allowed, f"{found}: leave it to the caller, or give a reason here"


def test_the_search_sees_every_kind() -> None:
    source = """
@torch.no_grad()
def f(x):
    with torch.inference_mode(), no_grad:
        return x.detach()
@torch.inference_mode(False)
def g(x):
    network.requires_grad_(True).requires_grad_(requires_grad=False)
    torch.set_grad_enabled(x)
"""
    expected = [("detach", 5), ("inference_mode", 4), ("no_grad", 2), ("no_grad", 4)]
    assert gradient_stops(source) == [*expected, ("requires_grad_", 8), ("set_grad_enabled", 9)]
