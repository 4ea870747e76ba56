"""What the pipeline `mira` runs: a small model that comes along, and the nine that OpenLRM has published. MIRA itself
has published none.

Sizes: those of `mix-base` 1.1 and of `large` 1.0 were read on their pages, as were the digests; those of `small` 1.0
and of the other 1.1 as their pages round them, else they follow from the numbers of parameters at 32 bit.
That of `base` 1.0 is reckoned and was seen nowhere. Where no commit is known the main branch is taken.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.weights.row import Weights

NOTE = (
    "The weights are CC-BY-NC-4.0: they may be used, shared and changed with credit to OpenLRM, but not for commercial "
    "purposes. That holds for this model and for every model that is trained on from it. What the licence means for "
    "the meshes that it makes is not said on its page; ask before you sell them."
)

SAFETENSORS, PICKLE = "model.safetensors", "model.pth"


def _openlrm(
    name: str, size: int, revision: str | None = None, digest: str | None = None, *, required: tuple[str, ...]
) -> Weights:
    """One of the authors' repositories."""
    digests: Mapping[str, str] = {} if digest is None else {required[-1]: digest}
    return Weights(
        id=name,
        repository=f"zxhezexin/{name}",
        revision=revision,
        files=required,
        required=required,
        bytes=size,
        licence="CC-BY-NC-4.0",
        licence_note=NOTE,
        memory_bytes=size,
        digests=digests,
    )


def _new(name: str, size: int, revision: str | None = None, digest: str | None = None) -> Weights:
    """Of version 1.1: the networks' sizes beside their weights."""
    return _openlrm(f"openlrm-{name}-1.1", size, revision, digest, required=("config.json", SAFETENSORS))


def _old(name: str, size: int, revision: str | None = None, digest: str | None = None) -> Weights:
    """Of version 1.0: both in one file of torch's. The config.json beside it says nothing, and is no JSON."""
    return _openlrm(f"openlrm-{name}-1.0", size, revision, digest, required=(PICKLE,))


ROWS = (
    Weights(
        id="mira-small",
        repository="set-dresser/mira-small",
        revision=None,
        files=("config.json", "checkpoint_5300.pt"),
        required=("config.json", "checkpoint_5300.pt"),
        bytes=9_790_870,
        licence="GPL-3.0-or-later",
        licence_note=(
            "It has the licence of this program. It was trained on models of furniture that are in the public domain "
            "or CC BY 3.0; ATTRIBUTION.md beside it names their authors. What it makes is yours."
        ),
        memory_bytes=19_480_464,
        source="local",
        page="https://www.gnu.org/licenses/gpl-3.0.html",
        digests={"checkpoint_5300.pt": "55b47b9ed2893555863759ff7ba831cb59dde7b897e5d99113071644e25c0dde"},
    ),
    _new("mix-small", 446_000_000),
    _new(
        "mix-base",
        1_040_854_744,
        "8c1281132352754641b8f27f10b60481649606fe",
        "25411aca0cf483e8793147a08b9b0c967cf4fb2795a08a91040c11ac0fa304d6",
    ),
    _new("mix-large", 1_810_000_000, "afa29871903628d8b637b199da4a4abbf7217d78"),
    _new("obj-small", 446_000_000),
    _new("obj-base", 1_041_000_000),
    _new("obj-large", 1_810_000_000),
    _old("small-obj", 979_000_000, "7f1a62b6552a0cd52f694a007490304653ae2cfd"),
    _old("base-obj", 1_444_000_000),
    _old(
        "large-obj",
        1_805_651_701,
        "6e3fcc1d3e18652511caf4199b09c14d6befb8a3",
        "67d7719ec2763609c7d42be87adfd5a6bac5c830ecb943cfcdab082a107c180c",
    ),
)
