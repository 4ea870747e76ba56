"""The JSON of a GLB as checked values: as much of glTF 2.0 as says where triangles are and how they look.

Kinds and ranges are judged here, one value at a time; whether they fit each other and the file is for `glb_claims`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_ENTRIES = 65_536
"""Of nodes, meshes, accessors and so on."""


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 8.0 is 8."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    name: Any = None


class Node(_Part):
    """Its place is `matrix`, by columns, or translation, rotation (x, y, z, w) and scale."""

    mesh: Whole | None = None
    children: list[Whole] = []
    matrix: Annotated[list[Number], Field(min_length=16, max_length=16)] | None = None
    translation: Annotated[list[Number], Field(min_length=3, max_length=3)] | None = None
    rotation: Annotated[list[Number], Field(min_length=4, max_length=4)] | None = None
    scale: Annotated[list[Number], Field(min_length=3, max_length=3)] | None = None
    extras: Any = None


class Primitive(_Part):
    attributes: dict[str, Whole] = {}
    indices: Whole | None = None
    material: Whole | None = None
    mode: Annotated[Whole, Field(le=6)] = 4


class MeshOf(_Part):
    primitives: Annotated[list[Primitive], Field(max_length=MOST_ENTRIES)] = []


class SparseIndices(_Part):
    bufferView: Whole
    byteOffset: Whole = 0
    componentType: Literal[5121, 5123, 5125]


class SparseValues(_Part):
    bufferView: Whole
    byteOffset: Whole = 0


class Sparse(_Part):
    count: Annotated[Whole, Field(ge=1)]
    indices: SparseIndices
    values: SparseValues


class Accessor(_Part):
    bufferView: Whole | None = None
    byteOffset: Whole = 0
    componentType: Literal[5120, 5121, 5122, 5123, 5125, 5126]
    normalized: bool = False
    count: Annotated[Whole, Field(ge=1)]
    type: Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"]
    sparse: Sparse | None = None


class BufferView(_Part):
    buffer: Whole
    byteOffset: Whole = 0
    byteLength: Whole
    byteStride: Annotated[Whole, Field(ge=1, le=252)] | None = None


class Buffer(_Part):
    byteLength: Whole
    uri: str | None = None


class Picture(_Part):
    uri: str | None = None
    bufferView: Whole | None = None


class TextureOf(_Part):
    source: Whole | None = None
    extensions: Any = None


class TextureUse(_Part):
    index: Whole
    texCoord: Annotated[Whole, Field(le=15)] = 0
    extensions: Any = None


class BaseColour(_Part):
    baseColorFactor: Annotated[list[Factor], Field(min_length=4, max_length=4)] | None = None
    baseColorTexture: TextureUse | None = None
    metallicRoughnessTexture: Any = None


class MaterialOf(_Part):
    pbrMetallicRoughness: BaseColour = BaseColour()
    emissiveFactor: Annotated[list[Factor], Field(min_length=3, max_length=3)] = [0.0, 0.0, 0.0]
    emissiveTexture: TextureUse | None = None
    normalTexture: Any = None
    alphaMode: Literal["OPAQUE", "MASK", "BLEND"] = "OPAQUE"
    alphaCutoff: Annotated[Number, Field(ge=0)] = 0.5
    extensions: Any = None


class SceneOf(_Part):
    nodes: list[Whole] = []


class Document(_Part):
    """The JSON of a GLB."""

    scene: Whole | None = None
    scenes: Annotated[list[SceneOf], Field(max_length=MOST_ENTRIES)] = []
    nodes: Annotated[list[Node], Field(max_length=MOST_ENTRIES)] = []
    meshes: Annotated[list[MeshOf], Field(max_length=MOST_ENTRIES)] = []
    accessors: Annotated[list[Accessor], Field(max_length=MOST_ENTRIES)] = []
    bufferViews: Annotated[list[BufferView], Field(max_length=MOST_ENTRIES)] = []
    buffers: Annotated[list[Buffer], Field(max_length=MOST_ENTRIES)] = []
    images: Annotated[list[Picture], Field(max_length=MOST_ENTRIES)] = []
    textures: Annotated[list[TextureOf], Field(max_length=MOST_ENTRIES)] = []
    materials: Annotated[list[MaterialOf], Field(max_length=MOST_ENTRIES)] = []
    extensionsRequired: Annotated[list[str], Field(max_length=MOST_ENTRIES)] = []
