"""What each part of Magic123 is good for: all of the pipeline on a folder of pictures, one part left out at a time.

Of each prop that comes out the reference view is held against the picture (PSNR, and LPIPS where its package and
network are on this machine), and views from elsewhere are held against it by what they show (the cosine of CLIP's
embeddings, by the image encoder that Zero123 brings). Nothing is downloaded; a measure whose network is not there is
left out, with a word. What a picture shows is told by the name of its file: `red_teapot.png` is a red teapot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backend import weights
from backend.camera import Camera as ShotCamera
from backend.contract import GenerateRequest
from backend.errors import Problem
from backend.imaging.alpha import on_white
from backend.imaging.intake import make_shot
from backend.pipelines.context import Context
from backend.pipelines.magic123 import MAGIC123, VIEW_PRIORS, Magic123Parameters
from backend.pipelines.magic123.priors import view_source
from backend.preparations.inversion import INVERSION, InversionParameters
from backend.scene import Mesh, Prop
from backend.shot import Shot
from bench.magic123_oracle import noise_ratio
from models.guidance.zero123 import clip_input
from models.guidance.zero123_files import Zero123Files
from models.rendering.cameras import Camera
from models.rendering.colours import Texture
from models.rendering.preview import preview
from training.mira.perceptual import perceptual

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "both priors": {},
    "2D only": {"view_prior": "none"},
    "3D only": {"text_prior": "none"},
    "without inversion": {},
    "without depth": {"lambda_depth": 0.0},
    "without entropy": {"lambda_entropy": 0.0},
    "without orientation": {"lambda_orient": 0.0},
    "without even normals": {"lambda_normal_smooth": 0.0},
    "without smooth normals": {"lambda_2d_normal_smooth": 0.0},
    "without mesh normals": {"lambda_mesh_normal": 0.0},
    "without mesh Laplacian": {"lambda_mesh_laplacian": 0.0},
    "without the second stage": {"refine": "off"},
}
"""What is changed in each row."""

LEARNED = "without inversion"
"""The row that differs in what comes before: without it a word is learned from the picture, where that is asked for."""

SIDE = 256
"""Pixels along the longer side of what is compared."""

VIEWS = 8
"""All round; the first is the reference view."""

MISSING = "–"
COLUMNS = ("PSNR, dB", "LPIPS", "CLIP similarity")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")

Encoder = Callable[[Tensor], Tensor]
"""Pictures [N, 3, S, S], 0 to 1 → embeddings [N, width] of length 1."""


@dataclass(frozen=True)
class Measured:
    """One prop: of the reference view its PSNR in dB and its LPIPS, of the others their mean similarity; None for what
    could not be measured."""

    picture: str
    variant: str
    psnr: float
    lpips: float | None
    similarity: float | None


def ablations(
    folder: Path, chosen: Mapping[str, Any], names: Sequence[str], learn: str | None, seed: int
) -> Iterator[Measured]:
    """Every picture of a folder in every variant, one after the other. What fails is told and left out.

    Args:
        chosen: parameters of the pipeline, for all of them.
        names: of `VARIANTS`.
        learn: quality of the inversion before, None for none; then the row `LEARNED` says nothing and is left out.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    distance, encoder = perceptual("vgg", device), clip_encoder(device)
    if distance is None:
        print("LPIPS is left out: its package or its network is not on this machine.")
    if encoder is None:
        print("CLIP similarity is left out: there is no Zero123 whose image encoder could be used.")
    for file in sorted(each for each in folder.iterdir() if each.suffix.lower() in PICTURES):
        for name in names:
            if learn is None and name == LEARNED:
                continue
            parameters = Magic123Parameters.model_validate({**chosen, **VARIANTS[name]})
            try:
                shot, prop = made(file, parameters, None if name == LEARNED else learn, seed)
            except Problem as problem:
                print(f"{file.name}, {name}: {problem.detail}")
                continue
            yield measured(file.name, name, shot, prop, device, distance, encoder)


def made(file: Path, parameters: Magic123Parameters, learn: str | None, seed: int) -> tuple[Shot, Prop]:
    """The prop of the object in a picture."""
    request = GenerateRequest(
        pipeline=MAGIC123.id, parameters=parameters.model_dump(), seed=seed, name=file.stem, camera=None
    )
    shot = make_shot(request, [file.read_bytes()], None, None, background=parameters.background)

    def context(info: Any, skipped: tuple[str, ...]) -> Context:
        return Context(info, seed, lambda said: None, save=lambda name, data: None, skipped=frozenset(skipped))

    if learn is not None and parameters.asks_text:
        word = InversionParameters.model_validate({"quality": learn})
        shot = INVERSION.load()(shot, word, context(INVERSION, ())).shot
    scene = MAGIC123.load()(shot, parameters, context(MAGIC123, parameters.skipped_stages()))
    return shot, scene.props[0]


@torch.no_grad()
def measured(
    picture: str,
    variant: str,
    shot: Shot,
    prop: Prop,
    device: torch.device,
    distance: Callable[[Tensor, Tensor], Tensor] | None,
    encoder: Encoder | None,
) -> Measured:
    """The figures of one prop; see `Measured`."""
    wanted = picture_of(shot)
    height, width = wanted.shape[1:]
    views = [
        seen(prop, camera, width, height, device) for camera in cameras(shot.camera, prop.world_vertices().mean(axis=0))
    ]
    first = views[0]
    lpips = None if distance is None else float(distance(first[None], wanted[None].to(device)).mean())
    similarity = None
    if encoder is not None:
        embeddings = encoder(torch.stack([square(each) for each in (wanted.to(device), *views[1:])]))
        similarity = float((embeddings[1:] @ embeddings[0]).mean())
    return Measured(picture, variant, noise_ratio(first.cpu(), wanted), lpips, similarity)


def picture_of(shot: Shot) -> Tensor:
    """[3, H, W] 0 to 1: the object on white, as large as is compared."""
    cut = shot.image.copy()
    if shot.cover is not None:
        cut[..., 3] = np.minimum(cut[..., 3], shot.cover)
    whole = torch.tensor(on_white(cut)).permute(2, 0, 1).float() / 255
    factor = min(1.0, SIDE / max(whole.shape[1:]))
    size = [max(round(each * factor), 1) for each in whole.shape[1:]]
    return functional.interpolate(whole[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def cameras(first: ShotCamera, middle: np.ndarray[Any, Any]) -> list[Camera]:
    """`VIEWS` cameras all round the middle of an object, the first of them the picture's own."""
    field_of_view = math.degrees(2 * math.atan(first.height / 2 / first.fy))
    found = []
    for view in range(VIEWS):
        angle = 2 * math.pi * view / VIEWS
        turn = np.eye(4)
        turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        turn[:3, 3] = middle - turn[:3, :3] @ middle
        pose = torch.from_numpy(turn @ first.matrix)
        found.append(Camera.perspective(pose, field_of_view, first.width / first.height))
    return found


def seen(prop: Prop, camera: Camera, width: int, height: int, device: torch.device) -> Tensor:
    """[3, H, W] 0 to 1: a prop on white."""
    vertices = torch.from_numpy(prop.world_vertices()).float().to(device)
    faces = torch.from_numpy(np.asarray(prop.mesh.faces, np.int64)).to(device)
    view = preview(vertices, faces, camera, texture_of(prop.mesh, device), width=width, height=height, samples=2)
    return view.colour.permute(2, 0, 1).float().clamp(0, 1)


def texture_of(mesh: Mesh, device: torch.device) -> Texture | None:
    """The texture of a mesh; None without one."""
    if mesh.texture is None or mesh.corner_uv is None:
        return None
    corners = torch.from_numpy(np.asarray(mesh.corner_uv)).float().reshape(-1, 2).to(device)
    faces = torch.arange(len(corners), device=device).reshape(-1, 3)
    return Texture(torch.tensor(mesh.texture, device=device), corners, faces)


def square(picture: Tensor) -> Tensor:
    """[3, H, W] → [3, S, S], white around it."""
    height, width = picture.shape[1:]
    side = max(height, width)
    above, beside = (side - height) // 2, (side - width) // 2
    margins = (beside, side - width - beside, above, side - height - above)
    return functional.interpolate(functional.pad(picture, margins, value=1.0)[None], (SIDE, SIDE), mode="area")[0]


def clip_encoder(device: torch.device) -> Encoder | None:
    """CLIP's image encoder, of any Zero123 that is here; None if none is."""
    known = [identifier for ids in VIEW_PRIORS.values() for identifier in ids]
    there = [each for each in known if weights.present(each) is weights.State.ready]
    if not there:
        return None
    encoder = Zero123Files(view_source(there[0]), weights.converted_folder(there[0]), device).parts["image_encoder"]

    def encoded(pictures: Tensor) -> Tensor:
        seen_by = clip_input(pictures * 2 - 1, encoder.config.image_size)
        return functional.normalize(encoder(pixel_values=seen_by).image_embeds, dim=1)

    return encoded


def table(found: Sequence[Measured]) -> str:
    """The means over all pictures, a row for each variant; how many props there were in the last column."""
    lines = ["| " + " | ".join(("variant", *COLUMNS, "props")) + " |", "| --- " * 5 + "|"]
    for variant in dict.fromkeys(each.variant for each in found):
        of = [each for each in found if each.variant == variant]
        cells = [
            _mean([each.psnr for each in of], 1),
            _mean([each.lpips for each in of], 3),
            _mean([each.similarity for each in of], 3),
        ]
        lines.append("| " + " | ".join((variant, *cells, str(len(of)))) + " |")
    return "\n".join(lines)


def figures(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """For a file."""
    return [asdict(each) for each in found]


def _mean(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.{digits}f}" if known else MISSING
