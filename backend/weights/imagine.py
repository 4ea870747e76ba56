"""What `imagine` paints with: two families of networks, each with the one that keeps the depth."""

from __future__ import annotations

from backend.weights.row import Weights

RAIL = (
    "Commercial use is allowed. The uses that Attachment A of the licence lists are forbidden, among them harm to "
    "minors, harassment, disinformation and automated decisions about people; whoever passes the model on passes these "
    "restrictions on."
)
CREATIVEML = f"CreativeML Open RAIL-M. {RAIL}"
CREATIVEML_XL = f"CreativeML Open RAIL++-M. {RAIL}"


CONTROL = ("config.json", "diffusion_pytorch_model[.fp16].safetensors")


ROWS = (
    Weights(
        # The page: openrail++; fp16 files of 5.14 GB (unet), 1.39 GB, 246 MB (text encoders) and 167 MB (vae). The
        # whole repository has 77 GB, hence the narrow patterns.
        id="sdxl",
        repository="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
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
        revision="17bb97973f29801224cd66f192c5ffacf82648b4",
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
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
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
        revision="539f99181d33db39cf1af2e517cd8056785f0a87",
        files=("config.json", "diffusion_pytorch_model.fp16.safetensors"),
        required=CONTROL,
        bytes=725_000_000,
        licence="LicenseRef-CreativeML-OpenRAIL-M",
        licence_note=CREATIVEML,
        memory_bytes=725_000_000,
    ),
)
