"""What cuts an object out of its background. The small network comes along; the larger ones are those that rembg
offers, the best last.

Sizes and SHA-256 are the published ones. Licences: U²-Net and IS-Net (DIS) say Apache-2.0 in their repositories,
BiRefNet MIT. The two files of rembg lie on the hub as somebody's unchanged copies: hence their digests.
"""

from __future__ import annotations

from backend.weights.row import Weights


def _copied(name: str, size: int, digest: str, page: str) -> Weights:
    """A file of rembg's own collection."""
    file = f"{name}.onnx"
    return Weights(
        id=name,
        repository="tomjackson2023/rembg",
        revision="cd3a3d6767a7859efea31ef0f2f373582cf06d82",
        files=(file,),
        required=(file,),
        bytes=size,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=size,
        part=name,
        page=page,
        digests={file: digest},
    )


def _birefnet(name: str, repository: str, revision: str, size: int, digest: str) -> Weights:
    file = "onnx/model.onnx"
    return Weights(
        id=name,
        repository=repository,
        revision=revision,
        files=(file,),
        required=(file,),
        bytes=size,
        licence="MIT",
        licence_note="",
        memory_bytes=size,
        digests={file: digest},
    )


U2NET = "https://github.com/xuebinqin/U-2-Net"

ROWS = (
    Weights(
        id="u2netp",
        repository="xuebinqin/U-2-Net",
        revision=None,
        files=("u2netp.onnx",),
        required=("u2netp.onnx",),
        bytes=4_574_861,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=4_574_861,
        part="small",
        source="local",
        page=U2NET,
        digests={"u2netp.onnx": "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"},
    ),
    _copied("u2net", 175_997_641, "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491", U2NET),
    _copied(
        "isnet-general-use",
        178_648_008,
        "60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
        "https://github.com/xuebinqin/DIS",
    ),
    _birefnet(
        "birefnet-general-lite",
        "onnx-community/BiRefNet_lite-ONNX",
        "de15b22ba131738a16dff04aab8bdf8dc32e3ac1",
        224_005_088,
        "5600024376f572a557870a5eb0afb1e5961636bef4e1e22132025467d0f03333",
    ),
    _birefnet(
        "birefnet-general",
        "onnx-community/BiRefNet-ONNX",
        "534d3c82d3bb8b2f0867db6dfbc3a525b8e42f67",
        972_666_916,
        "58f621f00f5d756097615970a88a791584600dcf7c45b18a0a6267535a1ebd3c",
    ),
)
