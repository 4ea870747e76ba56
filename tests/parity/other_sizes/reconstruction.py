"""The files of the reconstruction: cameras, encoder, transformer, both decoders, FlexiCubes, and all of it together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skimage.measure import marching_cubes
from torch import Tensor, nn

from models.isosurface.flexicubes import extract_surface, flexicubes
from models.isosurface.flexicubes.topology import raw_cases
from models.lrm.configs import LrmConfig
from models.lrm.decoders import DensityDecoder, MeshDecoder
from models.lrm.model import LargeReconstructionModel
from models.lrm.volume import Noise, box_limits, render_rays
from models.rendering.cameras import Camera
from tests.parity.instantmesh.sizes import encoder_config, transformer_config
from tests.parity.other_sizes import plain

Write = Callable[..., None]

VIT = {
    "hidden_size": 36,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 60,
    "image_size": 32,
    "patch_size": 8,
    "num_channels": 3,
}
TRANSFORMER = {
    "inner_dim": 40,
    "image_feat_dim": VIT["hidden_size"],
    "triplane_low_res": 3,
    "triplane_high_res": 6,
    "triplane_dim": 7,
    "num_layers": 2,
    "num_heads": 2,
}
IMAGE, VIEWS, CELLS, SCALE, FIRST = 40, 4, 11, 1.8, 100
DEFORMATION, WEIGHT_SCALE = 3.0, 0.4
SAMPLES, RENDERED, GRID = 16, 5, 13
SLOTS = tuple((30.0 + 60 * slot, 20.0 if slot % 2 == 0 else -10.0) for slot in range(6))


def random(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Numbers for every parameter of a network, also for those that begin as zero."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, parameter in network.state_dict().items():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.2
        found[name] = torch.randn(parameter.shape, generator=generator) * spread
        if "norm" in name and name.endswith("weight"):
            found[name] += 1
    return found


def doubled(weights: plain.Weights) -> dict[str, Tensor]:
    return {name: tensor.double() for name, tensor in weights.items()}


def vectors(views: list[tuple[float, float]], radius: float, angle: float) -> Tensor:
    """What the networks are told of cameras, [V, 16]."""
    focal = plain.lens(angle)[0, 0]
    rows = [[*plain.pose(*view, radius)[:3].ravel(), focal, focal, 0.5, 0.5] for view in views]
    return torch.tensor(np.array(rows))


def cameras(write: Write) -> None:
    count, radius, elevation, angle = 7, 3.25, 12.0, 40
    poses = torch.tensor(np.stack([plain.pose(360 * each / count, elevation, radius) for each in range(count)]))
    azimuths, elevations = torch.tensor([3.0, 100.0, 222.5]), torch.tensor([-20.0, 5.0, 61.0])
    sphere = [
        plain.pose(float(azimuth), float(height), 1.75) for azimuth, height in zip(azimuths, elevations, strict=True)
    ]
    points = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    flip = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    projection = flip @ Camera.perspective(poses[1], float(angle)).projection
    seen = torch.nn.functional.pad(points.double(), (0, 1), value=1.0)
    tensors = {
        "in.azimuths_deg": azimuths.double(),
        "in.elevations_deg": elevations.double(),
        "in.circular_M_radius_elevation": torch.tensor([count, radius, elevation]),
        "in.points": points,
        "in.radius": torch.tensor([2.75]),
        "in.radius_fov": torch.tensor([3.5, float(angle)]),
        "out.circular_c2w": poses.float(),
        "out.circular_w2c": torch.linalg.inv(poses).float(),
        "out.input_cameras_default": vectors(list(SLOTS), 4.0, 30.0)[None].float(),
        "out.input_cameras_radius": vectors(list(SLOTS), 2.75, 30.0)[None].float(),
        "out.input_cameras_fov": vectors(list(SLOTS), 3.5, float(angle))[None].float(),
        f"out.projection_fovy{angle}": projection.float(),
        "out.points_clip_cam1": (seen @ (projection @ torch.linalg.inv(poses[1])).T).float(),
        "out.spherical_c2w_r1p75": torch.tensor(np.stack(sphere)).float(),
    }
    tensors |= {f"out.intrinsics_fov{each}": torch.tensor(plain.lens(each)).float() for each in (angle, 55)}
    write("cameras", tensors)


def encoder(write: Write) -> None:
    from models.lrm.encoder import CameraEncoder

    weights = random(CameraEncoder(encoder_config(VIT)), 2)
    w, generator = doubled(weights), torch.Generator().manual_seed(3)
    sizes = VIT["num_hidden_layers"], VIT["num_attention_heads"], VIT["patch_size"]
    views = torch.rand(2, VIEWS, 3, IMAGE, IMAGE, generator=generator)
    native = torch.rand(1, 2, 3, VIT["image_size"], VIT["image_size"], generator=generator)
    told = vectors(list(SLOTS), 4.0, 30.0)[:VIEWS].float().repeat(2, 1, 1)
    told[1] *= 1.1
    side = IMAGE // VIT["patch_size"]
    first, camera = views.double()[0, :1], plain.camera_embedding(w, told.double())
    hidden = [plain.embeddings(w, first, VIT["patch_size"])]
    for index in range(VIT["num_hidden_layers"]):
        hidden.append(plain.encoder_layer(w, index, hidden[-1], camera[0, :1], VIT["num_attention_heads"]))
    write(
        "encoder",
        {
            "in.images": views,
            "in.images_native": native,
            "in.cameras": told,
            "mid.camera_embedding": camera,
            "mid.interpolated_pos_embed": plain.positions(w, side, side),
            "mid.embeddings": hidden[0],
            **{f"mid.layer{index}": each for index, each in enumerate(hidden[1:])},
            "out.last_hidden_state": plain.encode(w, views.double().flatten(0, 1), told.double().flatten(0, 1), *sizes),
            "out.last_hidden_state_native": plain.encode(w, native.double()[0], told.double()[0, :2], *sizes),
            **{f"w.{name}": each for name, each in weights.items()},
        },
        vit_config=VIT,
    )


def transformer(write: Write) -> None:
    from models.lrm.transformer import TriplaneTransformer

    weights = random(TriplaneTransformer(transformer_config(TRANSFORMER)), 4)
    w = doubled(weights)
    layers, heads, low = (TRANSFORMER[name] for name in ("num_layers", "num_heads", "triplane_low_res"))
    context = torch.randn(2, 11, TRANSFORMER["image_feat_dim"], generator=torch.Generator().manual_seed(5))
    hidden = w["pos_embed"]
    middle = {}
    for index in range(layers):
        hidden = plain.transformer_block(w, index, hidden, context.double()[:1], heads)
        middle[f"mid.layer{index}"] = hidden
    tensors = {"in.image_feats": context, "out.planes": plain.planes(w, context.double(), layers, heads, low)}
    write("transformer", tensors | middle | {f"w.{name}": each for name, each in weights.items()}, config=TRANSFORMER)


def synthesizer(write: Write) -> None:
    channels, cells, scale = TRANSFORMER["triplane_dim"], 4, 1.9
    weights, generator = random(MeshDecoder(channels), 6), torch.Generator().manual_seed(7)
    w = doubled(weights)
    planes = torch.randn(2, 3, channels, 5, 5, generator=generator)
    points = torch.rand(2, 33, 3, generator=generator) * 2.4 - 1.2
    vertices = plain.lattice(cells, scale).float()
    cubes = corners_of(cells)
    both, asked, corners = planes.double(), points.double(), vertices.double()[cubes]
    write(
        "synthesizer",
        {
            "in.planes": planes,
            "in.query_points": points,
            "in.grid_vertices": vertices,
            "in.grid_cubes": cubes.int(),
            "mid.sampled_features": torch.stack([plain.features(*each) for each in zip(both, asked, strict=True)]),
            "out.sdf": torch.stack([plain.ask(w, "net_sdf", each, vertices.double()) for each in both]),
            "out.deformation_raw": torch.stack(
                [plain.ask(w, "net_deformation", each, vertices.double()) for each in both]
            ),
            "out.weights21": torch.stack([0.1 * plain.ask(w, "net_weight", each, corners) for each in both]),
            "out.rgb": torch.stack(
                [plain.radiance(plain.ask(w, "net_rgb", *each)) for each in zip(both, asked, strict=True)]
            ),
            **{f"w.decoder.{name}": each for name, each in weights.items()},
        },
        config={"triplane_dim": channels, "grid_res": cells, "grid_scale": scale},
    )


def corners_of(cells: int) -> Tensor:
    """Vertices of each cell of a lattice [cells³, 8]; corner j at the offsets (bit 0, bit 1, bit 2) of j."""
    side = cells + 1
    found = []
    for place in np.ndindex(cells, cells, cells):
        corners = [[at + (corner >> axis & 1) for axis, at in enumerate(place)] for corner in range(8)]
        found.append([(x * side + y) * side + z for x, y, z in corners])
    return torch.tensor(found)


def nerf(write: Write) -> None:
    channels, generator = TRANSFORMER["triplane_dim"], torch.Generator().manual_seed(8)
    weights = random(DensityDecoder(channels), 9)
    w = doubled(weights)
    planes = torch.randn(2, 3, channels, 6, 6, generator=generator)
    points = torch.rand(2, 21, 3, generator=generator) * 2.2 - 1.1
    raw = [plain.ask(w, "net", *each) for each in zip(planes.double(), points.double(), strict=True)]
    axis = torch.linspace(-1, 1, GRID).double()
    field = planes.double()[0]
    values = plain.density(plain.ask(w, "net", field, torch.cartesian_prod(axis, axis, axis))[:, 0])
    grid = values.reshape(GRID, GRID, GRID)
    threshold = float(grid.median())
    vertices, faces, _, _ = marching_cubes(-grid.numpy(), -threshold)
    vertices = vertices.astype(np.float64) / (GRID - 1) * 2 - 1
    colours = plain.radiance(plain.ask(w, "net", field, torch.tensor(vertices).float().double())[:, 1:])

    poses = [plain.pose(20.0, 10.0, 2.5), plain.pose(200.0, -35.0, 2.25)]
    lens = plain.lens(50)
    told = torch.tensor(np.array([[*pose.ravel(), *lens.ravel()] for pose in poses])).float()
    origins, directions = (
        torch.tensor(np.array(each)) for each in zip(*(plain.rays(pose, lens, RENDERED) for pose in poses), strict=True)
    )
    count = len(poses) * RENDERED**2
    coarse, fine = (torch.rand(count, SAMPLES // 2, generator=generator) for _ in range(2))

    def asked(at: Tensor) -> tuple[Tensor, Tensor]:
        found = plain.ask(w, "net", field, at)
        return plain.radiance(found[:, 1:]), found[:, 0]

    flat = origins.flatten(0, 1), directions.flatten(0, 1)
    rendered = render_rays(asked, *flat, SAMPLES, noise=Noise(coarse.double(), fine.double()))
    near, far = box_limits(*flat)
    first = near + (far - near) / (SAMPLES // 2 - 1) * coarse[:, 0]
    depth = rendered.depth.clamp(min=first[near < far].min())
    shape = (len(poses), RENDERED, RENDERED)
    write(
        "nerf",
        {
            "in.planes": planes,
            "in.query_points": points,
            "in.threshold": torch.tensor([threshold]),
            "in.render_cameras": told[None],
            "in.noise_coarse": coarse.reshape(len(poses), RENDERED**2, SAMPLES // 2, 1),
            "in.noise_fine": fine,
            "out.point_rgb": torch.stack([plain.radiance(each[:, 1:]) for each in raw]),
            "out.point_sigma": torch.stack([plain.density(each[:, :1]) for each in raw]),
            "out.grid_sigma": grid,
            "out.mc_faces": torch.tensor(faces.astype(np.int32)),
            "out.mc_vertices": torch.tensor(vertices),
            "out.mc_vertex_rgb": colours,
            "out.mc_vertex_rgb_uint8": (colours.clamp(0, 1) * 255).to(torch.uint8),
            "out.ray_origins": origins,
            "out.ray_directions": directions,
            "out.render_rgb": rendered.colour.reshape(*shape, 3).permute(0, 3, 1, 2)[None],
            "out.render_depth": depth.reshape(1, len(poses), 1, RENDERED, RENDERED),
            "out.render_weight": rendered.weight.reshape(1, len(poses), 1, RENDERED, RENDERED),
            **{f"w.decoder.{name}": each for name, each in weights.items()},
        },
        config={
            "triplane_dim": channels,
            "samples_per_ray": SAMPLES,
            "grid_size": GRID,
            "render_size": RENDERED,
        },
        keep=("out.mc_vertices",),
    )


def dual_contouring(write: Write) -> None:
    """The five cases of FlexiCubes, by our own code in float64: what it proves is that no size is written anywhere."""
    generator = torch.Generator().manual_seed(10)
    tensors: dict[str, Any] = {}
    for case, cells, weight_scale in (
        ("sphere", 9, 0.5), ("shape", 8, 0.5), ("perturbed", 11, 0.7), ("noise", 13, 0.5), ("open", 7, 0.9)
    ):  # fmt: skip
        vertices = plain.lattice(cells, SCALE)
        distance = vertices.norm(dim=1) - 0.55
        raw = None
        if case == "shape":
            distance = torch.maximum(vertices.abs().max(1).values - 0.5, 0.3 - vertices.norm(dim=1))
        elif case == "open":
            distance = vertices[:, 2] + 0.11 + 0.2 * vertices[:, 0]
        if case in ("perturbed", "noise"):
            distance = distance + 0.05 * torch.randn(len(vertices), generator=generator)
            vertices = vertices + 0.02 * torch.randn(vertices.shape, generator=generator)
        if case == "noise":
            inside = torch.randn(len(vertices), generator=generator)
            middle = plain.lattice(cells, SCALE).abs().max(1).values < 0.45 * SCALE
            distance = torch.where(middle, inside, inside.abs() + 0.1).double()
        if case in ("perturbed", "noise", "open"):
            raw = 0.3 * torch.randn(cells**3, 21, generator=generator)
        side = (cells + 1,) * 3
        given = vertices.float(), distance.float()
        mesh = flexicubes(
            given[0].double().reshape(*side, 3),
            given[1].double().reshape(side),
            None if raw is None else raw.double().reshape(*(cells,) * 3, 21),
            weight_scale=weight_scale,
        )
        before = raw_cases(given[1].reshape(side)).reshape(-1)[mesh.cells.index]
        tensors |= {
            f"{case}.in.res_scale_weightscale": torch.tensor([cells, SCALE, weight_scale], dtype=torch.float64),
            f"{case}.in.vertices": given[0],
            f"{case}.in.sdf": given[1],
            f"{case}.mid.surf_cube_index": mesh.cells.index.int(),
            f"{case}.mid.case_ids_before_fix": before.int(),
            f"{case}.mid.case_ids": mesh.cells.case.int(),
            f"{case}.out.vertices": mesh.vertices,
            f"{case}.out.faces": mesh.faces.int(),
            f"{case}.out.L_dev": mesh.deviation,
        }
        if raw is not None:
            tensors[f"{case}.in.weights21"] = raw
    write("flexicubes", tensors, keep=tuple(name for name in tensors if name.endswith("weightscale")))


class PlainField:
    """The field of a mesh variant in float64, as the extraction asks it."""

    def __init__(self, weights: plain.Weights, planes: Tensor, shift: float = 0.0) -> None:
        self._weights, self._planes, self._shift = weights, planes, shift

    def signed_distance(self, points: Tensor) -> Tensor:
        return self._ask("net_sdf", points)[:, 0] + self._shift

    def deformation(self, points: Tensor) -> Tensor:
        return self._ask("net_deformation", points)

    def weights(self, corners: Tensor) -> Tensor:
        return 0.1 * self._ask("net_weight", corners)

    def _ask(self, name: str, points: Tensor) -> Tensor:
        return plain.ask(self._weights, name, self._planes, points.double()).float()


def whole(write: Write) -> None:
    from models.lrm.checkpoint import PREFIX

    weights = random(
        LargeReconstructionModel(LrmConfig(encoder_config(VIT), transformer_config(TRANSFORMER), "mesh")), 11
    )
    generator = torch.Generator().manual_seed(12)
    views = torch.rand(1, VIEWS, 3, IMAGE, IMAGE, generator=generator)
    told = vectors(list(SLOTS), 4.0, 30.0)[None, :VIEWS].float()

    def planes_of(w: plain.Weights) -> Tensor:
        sizes = VIT["num_hidden_layers"], VIT["num_attention_heads"], VIT["patch_size"]
        tokens = plain.encode(plain.under(w, "encoder."), views.double()[0], told.double()[0], *sizes)
        layers, heads, low = (TRANSFORMER[name] for name in ("num_layers", "num_heads", "triplane_low_res"))
        return plain.planes(plain.under(w, "transformer."), tokens.reshape(1, -1, tokens.shape[-1]), layers, heads, low)

    points = plain.lattice(CELLS, SCALE).float().double()
    w = doubled(weights)
    planes = planes_of(w)
    # Half of the lattice inside, so that there is a surface.
    middle = plain.ask(plain.under(w, "synthesizer.decoder."), "net_sdf", planes[0], points).median()
    weights["synthesizer.decoder.net_sdf.6.bias"] -= middle.float()
    decoder = doubled(plain.under(weights, "synthesizer.decoder."))
    values = plain.ask(decoder, "net_sdf", planes[0], points)
    scale = 1 / (CELLS * DEFORMATION)
    corners = points[corners_of(CELLS)[:FIRST]]
    settings = {"deformation_multiplier": DEFORMATION, "weight_scale": WEIGHT_SCALE}
    mesh = extract_surface(PlainField(decoder, planes[0]), CELLS, SCALE, **settings)
    colours = plain.radiance(plain.ask(decoder, "net_rgb", planes[0], mesh.vertices.double()))
    tensors = {
        "in.images": views,
        "in.cameras": told,
        "out.planes": planes,
        "out.sdf": values,
        "out.deformation_scaled": plain.ask(decoder, "net_deformation", planes[0], points).tanh() * scale,
        f"out.weights21_first{FIRST}": 0.1 * plain.ask(decoder, "net_weight", planes[0], corners),
        "out.vertices": mesh.vertices,
        "out.faces": mesh.faces.int(),
        "out.vertex_rgb_float": colours,
        "out.vertex_rgb_uint8": (colours.clamp(0, 1) * 255).to(torch.uint8),
    }
    for sign, shift in (("positive", 0.6 - float(values.min())), ("negative", -0.6 - float(values.max()))):
        before = (values + shift).float().reshape((CELLS + 1,) * 3).numpy()
        after, centre = plain.repaired(before)
        empty = extract_surface(PlainField(decoder, planes[0], shift), CELLS, SCALE)
        tensors |= {
            f"out.repair_all_{sign}.sdf_before": torch.tensor(before).reshape(-1, 1),
            f"out.repair_all_{sign}.sdf_after": torch.tensor(after).reshape(-1, 1),
            f"out.repair_all_{sign}.counts": torch.tensor([len(empty.vertices), len(empty.faces)]).int(),
            "out.center_index": torch.tensor([centre]).int(),
        }
    config = {
        "vit": VIT,
        "transformer": TRANSFORMER,
        "grid_res": CELLS,
        "grid_scale": SCALE,
        "deformation_multiplier": DEFORMATION,
        "fc_weight_scale": WEIGHT_SCALE,
        "views": VIEWS,
    }
    write("lrm", tensors | {f"w.{PREFIX}{name}": each for name, each in weights.items()}, config=config)


FILES: tuple[Callable[[Write], None], ...] = (
    cameras, encoder, transformer, synthesizer, nerf, dual_contouring, whole
)  # fmt: skip
