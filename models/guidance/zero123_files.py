"""The published files of Zero123 (Liu et al. 2023, arXiv:2303.11328): 105000 and its siblings, and XL.

The authors' `.ckpt` is a whole training: the UNet and its running average, the optimiser's state, a callback of the
program that trained. It is read as data, and what a prior needs is converted once to a folder; of the UNet that is the
average, which the published program copies over the raw weights. Two families of mirrors are such folders already,
with other names for the projection of the camera.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.converted_folders import INDEX, Part, check_parts, convert_into, converted_folder, is_made_of
from models.guidance.distillation import check_schedule
from models.headers import CheckpointForeign, CheckpointMissing, TensorHeader
from models.hi3d import encoder_names, names, shapes
from models.loading import check_headers, filled, read_headers, read_json, read_tensors
from models.parts import Parts
from models.pickled import converted, header_of, read_pickled
from models.published import load_clip_vision, load_diffusers, stored_file

CLASS = "Zero123"
UNET, VAE = "UNet2DConditionModel", "AutoencoderKL"
RAW, AVERAGE = "model.diffusion_model.", "model_ema."
VISION = "cond_stage_model.model.visual."
PROJECTION = "cc_projection."
PREFIXES = (RAW, AVERAGE, names.VAE, VISION, PROJECTION)
COUNTERS = ("decay", "num_updates")
"""Of the running average."""

UNUSED = re.compile(
    r"betas|(sqrt_(one_minus_|recip_|recipm1_)?|log_one_minus_)?alphas_cumprod(_prev)?|sqrt_recip_alphas_cumprod"
    r"|posterior_(variance|log_variance_clipped|mean_coef[12])|lvlb_weights|logvar|scale_factor"
    r"|cond_stage_model\.model\.(positional_embedding|text_projection|logit_scale|token_embedding\.weight"
    r"|ln_final\.(weight|bias))|cond_stage_model\.(mean|std)"
)
"""Numbers of the schedule, and what is left of CLIP's text half."""

HEADS = 8
"""Of attention, at every level of Stable Diffusion 1's UNet; no shape tells it."""

LATENT_SIDE = 32
CAMERA = 4
"""Numbers that tell where the camera is."""

PROJECTIONS = {"cc_projection": "projection", "clip_camera_projection": "proj"}
"""Folders of the projection in the mirrors, and the names of its layer there: kxic's, and bennyguo's and ashawkey's."""

NETWORKS = ("unet", "vae", "image_encoder")
STEMS = dict.fromkeys(("unet", "vae", *PROJECTIONS), "diffusion_pytorch_model") | {"image_encoder": "model"}
AVERAGED = ".fp16_ema"
"""In the name of a file of bennyguo's mirrors, whose other files are the raw weights."""

PICKLED = {"image_encoder": "pytorch_model.bin"}
"""Where torch's own file has another stem: some mirrors have no other files."""


@dataclass(frozen=True)
class Contents:
    """What a file holds: networks by the name of their folder, and the projection's "weight" and "bias"."""

    parts: dict[str, Part]
    projection: dict[str, Tensor]


def read_checkpoint(file: Path) -> Contents:
    """The networks of a `.ckpt`, their tensors mapped; each is judged by names and shapes.

    Raises:
        CheckpointMissing, CheckpointDamaged: there is no such file, or it is cut off.
        CheckpointForeign: it is something else.
    """
    tensors = read_pickled(file, strangers=True)
    try:
        found = contents(tensors)
    except CheckpointForeign as error:
        raise CheckpointForeign(f"{file}: {error}") from error
    check_parts(found.parts, file)
    check_projection({name: header_of(each, file) for name, each in found.projection.items()}, _widths(found), file)
    return found


def contents(tensors: Mapping[str, Tensor]) -> Contents:
    """Published tensors, sorted and renamed; none of them is read.

    Raises:
        CheckpointForeign: they are not those of Zero123; the message names no file.
    """
    for name in tensors:
        if not name.startswith(PREFIXES) and UNUSED.fullmatch(name) is None:
            raise CheckpointForeign(f"{name} is no tensor of Zero123; this is another checkpoint.")
    raw = names.under(tensors, RAW)
    if not raw or not names.under(tensors, PROJECTION):
        raise CheckpointForeign(f"it has no {RAW if not raw else PROJECTION}…; it is no checkpoint of Zero123.")
    unet = averaged(raw, names.under(tensors, AVERAGE))
    config = unet_config(_shapes(unet))
    vae, vision = names.under(tensors, names.VAE), names.under(tensors, VISION)
    vae_config = {"_class_name": VAE, **shapes.vae_config(_shapes(vae))}
    levels = len(vae_config["block_out_channels"])
    parts = {
        "unet": Part(UNET, {"_class_name": UNET, **config}, unet_tensors(unet, config["layers_per_block"])),
        "vae": Part(VAE, vae_config, names.vae_tensors(vae, levels)),
        "image_encoder": Part(
            "CLIPVisionModelWithProjection",
            shapes.clip_config(_shapes(vision), "quick_gelu"),
            encoder_names.clip_tensors(vision),
        ),
    }
    return Contents(parts, names.under(tensors, PROJECTION))


def averaged(raw: Mapping[str, Tensor], average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The running average of a UNet by the names of its raw weights; the raw weights where no average is kept.

    Args:
        raw: without `RAW`. average: without `AVERAGE`, where names have lost their dots.

    Raises:
        CheckpointForeign: one has what the other lacks.
    """
    kept = {name: each for name, each in average.items() if name not in COUNTERS}
    if not kept:
        return dict(raw)
    placed = {name: (RAW.removeprefix("model.") + name).replace(".", "") for name in raw}
    if lost := [name for name, other in placed.items() if other not in kept]:
        raise CheckpointForeign(f"{lost[0]} has no running average; the checkpoint is not whole.")
    if extra := sorted(kept.keys() - placed.values()):
        raise CheckpointForeign(f"{AVERAGE}{extra[0]} is the average of nothing; this is another checkpoint.")
    return {name: kept[other] for name, other in placed.items()}


def unet_config(found: shapes.Shapes) -> dict[str, Any]:
    """The configuration of `UNet2DConditionModel`, of shapes by their published names. Errors: `shapes.blocks`."""
    config = shapes.blocks(found)
    widths, attend = config.pop("widths"), config.pop("attend")
    return {
        **config,
        "sample_size": LATENT_SIDE,
        "block_out_channels": widths,
        "down_block_types": [f"{'CrossAttn' * each}DownBlock2D" for each in attend],
        "up_block_types": [f"{'CrossAttn' * each}UpBlock2D" for each in reversed(attend)],
        # diffusers calls so what is the number of heads.
        "attention_head_dim": HEADS,
        "norm_num_groups": 32,
        "use_linear_projection": False,
    }


def unet_tensors(tensors: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """A UNet's tensors by the names of `UNet2DConditionModel`; see `hi3d.names.unet_tensors`, whose networks have the
    same blocks within frames."""
    found = names.unet_tensors(tensors, layers)
    return {name.replace("spatial_res_block.", ""): each for name, each in found.items()}


def convert(file: Path, place: Path | None = None) -> Path:
    """The folder with a checkpoint's networks, made at the first call and found again at later ones.

    It is made anew when the file has changed. When the file is gone and the folder is there, that will do.

    Args:
        file: a `.ckpt`.
        place: the folder in which the folder is kept; beside the file if None.

    Raises:
        CheckpointError: see `read_checkpoint`; CheckpointUnwritable where the place cannot be written to.
    """
    folder = converted_folder(file, place)
    if not is_made_of(folder, file):
        found = read_checkpoint(file)
        projection = {f"projection.{name}": each for name, each in found.projection.items()}
        others = {"cc_projection/diffusion_pytorch_model.safetensors": projection}
        convert_into(folder, file, found.parts, {"_class_name": CLASS}, others)
    if read_json(folder / INDEX).get("_class_name") != CLASS:
        raise CheckpointForeign(f"{folder} is the converted form of another model: delete it.")
    return folder


class Zero123Files:
    """A folder with the networks of Zero123, opened.

    Attributes:
        folder: a mirror, or what `convert` makes.
        device, dtype, vae_dtype: where and in which precision networks run.
        parts: the networks: "unet", "vae", "image_encoder" and "projection", a `torch.nn.Linear`.
    """

    def __init__(
        self,
        source: str | Path,
        kept: str | Path | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        vae_dtype: torch.dtype | None = None,
    ) -> None:
        """Opens a checkpoint, converted if it is not yet, and checks it by its headers; no weights are loaded.

        Args:
            source: the authors' `.ckpt`, or the folder of a mirror.
            kept: the folder in which what is converted is kept; beside the files if None.
            device, dtype: of the networks.
            vae_dtype: of the autoencoder; None: as `dtype`, but float16 for bfloat16, whose eight bits show in colours.

        Raises:
            CheckpointError: something is missing, damaged or of another network; see `convert` and
                `loading.load_module`.
        """
        place, path = None if kept is None else Path(kept).expanduser(), Path(source).expanduser()
        self.folder = path if path.is_dir() else convert(path, place)
        self.device, self.dtype = torch.device(device), dtype
        self.vae_dtype = vae_dtype or (torch.float16 if dtype == torch.bfloat16 else dtype)
        self._kept = place
        self.parts = Parts(
            self.device,
            {
                "unet": partial(self._load, "unet", self.device, dtype),
                "vae": partial(self._load, "vae", self.device, self.vae_dtype),
                "image_encoder": partial(self._load, "image_encoder", self.device, dtype),
                "projection": self._projection,
            },
        )
        self._check()

    def weights(self, name: str) -> Path:
        """The safetensors file of a network: that of the running average where a mirror has it beside the raw weights,
        and made of torch's where it has no other.

        Errors: `pickled.converted`.
        """
        folder, stem = self.folder / name, STEMS[name]
        average = folder / f"{stem}{AVERAGED}.safetensors"
        file = average if average.is_file() else stored_file(folder, stem)
        pickled = folder / PICKLED.get(name, f"{stem}.bin")
        if pickled.is_file() and not any(folder.glob(f"{stem}*.safetensors*")):
            return converted(pickled, self._kept and self._kept / name, _without_positions)
        return file

    def _load(self, name: str, device: torch.device | str, dtype: torch.dtype) -> Any:
        folder, weights = self.folder / name, self.weights(name)
        if name == "image_encoder":
            return load_clip_vision(folder, device, dtype, weights)
        return load_diffusers(folder, UNET if name == "unet" else VAE, device, dtype, weights)

    def _projection_file(self) -> tuple[Path, str]:
        """Where the projection is, as safetensors, and what its layer is called there."""
        for name, layer in PROJECTIONS.items():
            if (self.folder / name).is_dir():
                return self.weights(name), layer
        raise CheckpointMissing(f"{self.folder} has neither {' nor '.join(PROJECTIONS)}; it is no folder of Zero123.")

    def _projection(self) -> nn.Linear:
        file, layer = self._projection_file()
        wanted = {name: f"{layer}.{name}" for name in ("weight", "bias")}
        state = read_tensors(file, wanted, self.device, self.dtype)
        made, given = state["weight"].shape
        with torch.device("meta"):
            network = nn.Linear(given, made)
        return filled(network, state)

    def sizes(self) -> dict[str, int]:
        """Parameters of each network, from headers; the projection's are few. Errors: `loading.read_headers`."""
        found = {}
        for name in NETWORKS:
            file = self.weights(name)
            found[name] = sum(prod(each.shape) for each in read_headers(file.parent, file.stem).values())
        return found

    def _check(self) -> None:
        unet, vae, encoder = (self._load(name, "meta", torch.float32) for name in ("unet", "vae", "image_encoder"))
        if (unet.config.in_channels, unet.config.out_channels, vae.config.latent_channels) != (8, 4, 4):
            raise CheckpointForeign(
                f"{self.folder}: the UNet takes {unet.config.in_channels} channels; that of Zero123 takes 8."
            )
        file, layer = self._projection_file()
        headers = {
            name.removeprefix(f"{layer}."): header for name, header in read_headers(file.parent, file.stem).items()
        }
        check_projection(headers, (encoder.config.projection_dim, unet.config.cross_attention_dim), file)
        scheduler = self.folder / "scheduler" / "scheduler_config.json"
        if scheduler.is_file():
            check_schedule(read_json(scheduler), str(scheduler))


def check_projection(found: Mapping[str, TensorHeader], widths: tuple[int, int], file: Path) -> None:
    """Raises CheckpointForeign unless a projection takes what the picture's encoder gives and the camera, and gives
    what the UNet is told. widths: of these two."""
    given, made = widths
    check_headers({"weight": (made, given + CAMERA), "bias": (made,)}, found, file)


def _without_positions(name: str) -> str | None:
    """Numbers of positions, which newer files lack, are no weights."""
    return None if name.endswith("position_ids") else name


def _widths(found: Contents) -> tuple[int, int]:
    configs = {name: part.config for name, part in found.parts.items()}
    return configs["image_encoder"]["projection_dim"], configs["unet"]["cross_attention_dim"]


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(each.shape) for name, each in tensors.items()}
