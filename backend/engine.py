"""Whether the libraries of the learned methods are installed: looked for by name, nothing is imported."""

from __future__ import annotations

from importlib.util import find_spec

from backend.errors import Problem

PACKAGES = (
    "torch",
    "transformers",
    "diffusers",
    "safetensors",
    "huggingface_hub",
    "fast_simplification",
    "imageio_ffmpeg",
    "psutil",
    "uvunwrap",
)
"""What requirements/learned.in and requirements/torch.txt bring."""


def missing() -> list[str]:
    """Those of `PACKAGES` that this Python does not have."""
    return [name for name in PACKAGES if find_spec(name) is None]


def check(title: str) -> None:
    """Raises Problem("engine-missing") unless a learned method, called `title`, can be imported."""
    if absent := missing():
        raise Problem("engine-missing", f"{title} needs {', '.join(absent)}, which this Python does not have.")
