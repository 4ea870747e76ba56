"""The rows of the catalogue of weights; `backend/weights.py` looks for them.

Sizes and licences were read from the pages of the hub, or of unchanged copies there, and not from the files: "about".
"""

from __future__ import annotations

from dataclasses import dataclass

RAIL = (
    "Commercial use is allowed. The uses that Attachment A of the licence lists are forbidden, among them harm to "
    "minors, harassment, disinformation and automated decisions about people; whoever passes the model on passes these "
    "restrictions on."
)
CREATIVEML = f"CreativeML Open RAIL-M. {RAIL}"
CREATIVEML_XL = f"CreativeML Open RAIL++-M. {RAIL}"


@dataclass(frozen=True)
class Weights:
    """One model of the hub.

    id: its name here.
    repository: owner/name on the hub.
    revision: commit, tag or branch; None for the main branch.
    files: glob patterns inside the repository that a download needs (`allow_patterns` of `snapshot_download`).
    required: files without which it is not complete. What is in square brackets may be in the name or not; for a
        safetensors file, shards with an index beside them will do as well.
    bytes: about what the download takes.
    licence: SPDX; LicenseRef-… where SPDX has no name for it.
    licence_note: what the licence forbids or leaves open, "" if nothing.
    memory_bytes: about what the weights take in the memory of the device, without what the work itself takes.
    part: a name for these files, where other rows take others of the same repository; a download has its own folder.
    """

    id: str
    repository: str
    revision: str | None
    files: tuple[str, ...]
    required: tuple[str, ...]
    bytes: int
    licence: str
    licence_note: str
    memory_bytes: int
    part: str = ""

    @property
    def home(self) -> str:
        """Folder of a download below the folder of models: owner/name, or owner/name.part."""
        return ".".join(filter(None, (self.repository, self.part)))

    @property
    def title(self) -> str:
        """What it is called in a list."""
        return self.home.partition("/")[2]


DETECTOR = (
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)
CONTROL = ("config.json", "diffusion_pytorch_model[.fp16].safetensors")

_ROWS: tuple[Weights, ...] = (
    Weights(
        # The page: Apache-2.0, image_encoder_1 608 MB, image_encoder_2 610 MB (16 bit). The other two networks were
        # not seen there; their sizes follow from 1,682 and 243 million parameters at 16 bit.
        id="midi",
        repository="VAST-AI/MIDI-3D",
        revision=None,
        files=("*.json", "*/*.json", "*/*.safetensors"),
        required=(
            "transformer/config.json",
            "transformer/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "image_encoder_1/config.json",
            "image_encoder_1/model.safetensors",
            "image_encoder_2/config.json",
            "image_encoder_2/model.safetensors",
            "scheduler/scheduler_config.json",
            "feature_extractor_1/preprocessor_config.json",
            "feature_extractor_2/preprocessor_config.json",
        ),
        bytes=5_070_000_000,
        licence="Apache-2.0",
        licence_note=(
            "The page of the weights says Apache-2.0. A file of the authors' program code carries a notice that it "
            "derives from Tencent's HunyuanDiT, whose licence excludes the European Union and limits some uses. "
            "Whether that reaches the weights is an open question; have it looked at before you rely on them there."
        ),
        memory_bytes=5_070_000_000,
    ),
    Weights(
        # A copy: model.safetensors 933 MB. The page: Apache-2.0.
        id="grounding-dino",
        repository="IDEA-Research/grounding-dino-base",
        revision=None,
        files=DETECTOR,
        required=("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer_config.json"),
        bytes=935_000_000,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=935_000_000,
    ),
    Weights(
        # The page: Apache-2.0, model.safetensors 689 MB.
        id="grounding-dino-tiny",
        repository="IDEA-Research/grounding-dino-tiny",
        revision=None,
        files=DETECTOR,
        required=("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer_config.json"),
        bytes=690_000_000,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=690_000_000,
    ),
    Weights(
        # The page: Apache-2.0, model.safetensors 375 MB.
        id="sam",
        repository="facebook/sam-vit-base",
        revision=None,
        files=("config.json", "model.safetensors", "preprocessor_config.json"),
        required=("config.json", "model.safetensors", "preprocessor_config.json"),
        bytes=375_000_000,
        licence="Apache-2.0",
        licence_note="",
        memory_bytes=375_000_000,
    ),
    Weights(
        # The page: openrail++; fp16 files of 5.14 GB (unet), 1.39 GB, 246 MB (text encoders) and 167 MB (vae). The
        # whole repository has 77 GB, hence the narrow patterns.
        id="sdxl",
        repository="stabilityai/stable-diffusion-xl-base-1.0",
        revision=None,
        files=(
            "model_index.json",
            "scheduler/*",
            "tokenizer/*",
            "tokenizer_2/*",
            "text_encoder*/config.json",
            "text_encoder*/model.fp16.safetensors",
            "unet/config.json",
            "unet/*.fp16.safetensors",
            "vae/config.json",
            "vae/*.fp16.safetensors",
        ),
        required=(
            "model_index.json",
            "scheduler/scheduler_config.json",
            "tokenizer/tokenizer_config.json",
            "tokenizer_2/tokenizer_config.json",
            "text_encoder/config.json",
            "text_encoder/model[.fp16].safetensors",
            "text_encoder_2/config.json",
            "text_encoder_2/model[.fp16].safetensors",
            "unet/config.json",
            "unet/diffusion_pytorch_model[.fp16].safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model[.fp16].safetensors",
        ),
        bytes=6_950_000_000,
        licence="LicenseRef-CreativeML-OpenRAIL-plus-plus-M",
        licence_note=CREATIVEML_XL,
        memory_bytes=6_950_000_000,
    ),
    Weights(
        # The page: openrail++; fp16 file of 2.5 GB.
        id="controlnet-depth-sdxl",
        repository="diffusers/controlnet-depth-sdxl-1.0",
        revision=None,
        files=("config.json", "diffusion_pytorch_model.fp16.safetensors"),
        required=CONTROL,
        bytes=2_500_000_000,
        licence="LicenseRef-CreativeML-OpenRAIL-plus-plus-M",
        licence_note=CREATIVEML_XL,
        memory_bytes=2_500_000_000,
    ),
    Weights(
        # The page: fp16 file of 167 MB (vae). A copy: 1.72 GB (unet); the text encoder is that of SDXL, 246 MB. The
        # licence is that of the model it continues, runwayml/stable-diffusion-v1-5: creativeml-openrail-m.
        id="sd15",
        repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
        revision=None,
        files=(
            "model_index.json",
            "scheduler/*",
            "tokenizer/*",
            "text_encoder/config.json",
            "text_encoder/model.fp16.safetensors",
            "unet/config.json",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.fp16.safetensors",
        ),
        required=(
            "model_index.json",
            "scheduler/scheduler_config.json",
            "tokenizer/tokenizer_config.json",
            "text_encoder/config.json",
            "text_encoder/model[.fp16].safetensors",
            "unet/config.json",
            "unet/diffusion_pytorch_model[.fp16].safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model[.fp16].safetensors",
        ),
        bytes=2_140_000_000,
        licence="LicenseRef-CreativeML-OpenRAIL-M",
        licence_note=CREATIVEML,
        memory_bytes=2_140_000_000,
    ),
    Weights(
        # The successor of lllyasviel/sd-controlnet-depth, in the form that diffusers loads, and at half its download:
        # only this one has an fp16 file, of 723 MB. The page: openrail, in its text "CreativeML OpenRAIL M".
        id="controlnet-depth-sd15",
        repository="lllyasviel/control_v11f1p_sd15_depth",
        revision=None,
        files=("config.json", "diffusion_pytorch_model.fp16.safetensors"),
        required=CONTROL,
        bytes=725_000_000,
        licence="LicenseRef-CreativeML-OpenRAIL-M",
        licence_note=CREATIVEML,
        memory_bytes=725_000_000,
    ),
)

INSTANTMESH = (
    "The page of the weights says Apache-2.0. The network that makes the views continues Zero123++ v1.2, whose weights "
    "are CC-BY-NC-4.0: what they make may be used freely, the weights themselves not for commercial purposes."
)


def _instantmesh(part: str, file: str, size: int, note: str) -> Weights:
    """One file of the repository of InstantMesh. Sizes follow from the numbers of parameters at 32 bit."""
    return Weights(
        id=f"instantmesh-{part}",
        repository="TencentARC/InstantMesh",
        revision=None,
        files=(file,),
        required=(file,),
        bytes=size,
        licence="Apache-2.0",
        licence_note=note,
        memory_bytes=size,
        part=part,
    )


_ROWS += (
    Weights(
        # The page: CC-BY-NC-4.0; 5.58 GB with the UNet of 3.46 GB, which that of InstantMesh takes the place of.
        id="zero123plus",
        repository="sudo-ai/zero123plus-v1.2",
        revision=None,
        files=(
            "model_index.json",
            "feature_extractor_*/*.json",
            "scheduler/*",
            "text_encoder/*",
            "tokenizer/*",
            "unet/config.json",
            "vae/*",
            "vision_encoder/*",
        ),
        required=(
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "unet/config.json",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "vision_encoder/config.json",
            "vision_encoder/model.safetensors",
        ),
        bytes=2_120_000_000,
        licence="CC-BY-NC-4.0",
        licence_note=(
            "The weights may not be used for commercial purposes; the page says that what they make may be used freely."
        ),
        memory_bytes=2_120_000_000,
    ),
    _instantmesh("views", "diffusion_pytorch_model.bin", 3_463_000_000, INSTANTMESH),
    _instantmesh("base", "instant_mesh_base.ckpt", 1_253_000_000, ""),
    _instantmesh("large", "instant_mesh_large.ckpt", 1_515_000_000, ""),
    _instantmesh("nerf-base", "instant_nerf_base.ckpt", 1_253_000_000, ""),
    _instantmesh("nerf-large", "instant_nerf_large.ckpt", 1_514_000_000, ""),
)

WEIGHTS: dict[str, Weights] = {row.id: row for row in _ROWS}
