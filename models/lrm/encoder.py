"""Views and their cameras → image tokens: DINO ViT-B/16 (Caron et al. 2021, arXiv 2104.14294) with cameras mixed in.

The camera's embedding shifts and scales the normed input of every attention and feed-forward (adaptive layer norm,
Peebles and Xie 2022, arXiv 2212.09748, without gates). That is how the views know where they were taken: the planes'
transformer is told of no camera.

Parameter names are those of the published checkpoint, which are those of Hugging Face's ViT.
Axes: V views, T tokens of a view (class token and patches), W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lrm.configs import EncoderConfig

NORM_EPS = 1e-12
IMAGE_MEAN = IMAGE_DEVIATION = 0.5  # of dino-vitb16's preprocessor; not those of ImageNet


class Embeddings(nn.Module):
    """Pixels → patches with positions, the class token first."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, side = config.width, config.image_size // config.patch_size
        patches = nn.Conv2d(config.image_channels, width, config.patch_size, stride=config.patch_size)
        self.offset = config.position_offset
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.randn(1, 1 + side * side, width) * 0.02)
        self.patch_embeddings = nn.ModuleDict({"projection": patches})

    def forward(self, pixels: Tensor) -> Tensor:
        """[V, 3, H, W] → [V, T, W]."""
        patches: Tensor = self.patch_embeddings["projection"](pixels)
        tokens = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        return tokens + self.positions(patches.shape[2], patches.shape[3])

    def positions(self, rows: int, columns: int) -> Tensor:
        """The position table resized to another grid of patches, [1, 1 + rows · columns, W].

        As the network was trained: bicubic; for InstantMesh with a tenth of a patch added to the size that the scale is
        computed from. There the table is read at steps of side / (size + 0.1), not side / size.
        """
        table = self.position_embeddings
        side = round((table.shape[1] - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return table
        grid = table[:, 1:].transpose(1, 2).reshape(1, -1, side, side).float()
        scale = ((rows + self.offset) / side, (columns + self.offset) / side)
        resized = F.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
        return torch.cat([table[:, :1], resized.flatten(2).transpose(1, 2).to(table.dtype)], dim=1)


class Layer(nn.Module):
    """Self-attention and feed-forward, pre-norm residuals; a camera shifts and scales both normed inputs."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        projections = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict(
            {"attention": nn.ModuleDict(projections), "output": nn.ModuleDict({"dense": nn.Linear(width, width)})}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, config.inner_width)})
        self.output = nn.ModuleDict({"dense": nn.Linear(config.inner_width, width)})
        self.layernorm_before = nn.LayerNorm(width, eps=NORM_EPS)
        self.layernorm_after = nn.LayerNorm(width, eps=NORM_EPS)
        if config.camera_width:
            self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 4 * width))

    def forward(self, hidden: Tensor, camera: Tensor | None = None) -> Tensor:
        """Tokens [V, T, W] and, of a network with cameras, their embeddings [V, W] → [V, T, W]."""
        if camera is None:
            hidden = hidden + self.attend(self.layernorm_before(hidden))
            normed = self.layernorm_after(hidden)
        else:
            shift, scale, shift_inner, scale_inner = self.adaLN_modulation(camera)[:, None].chunk(4, dim=-1)
            hidden = hidden + self.attend(self.layernorm_before(hidden) * (1 + scale) + shift)
            normed = self.layernorm_after(hidden) * (1 + scale_inner) + shift_inner
        inner = F.gelu(self.intermediate["dense"](normed))
        result: Tensor = hidden + self.output["dense"](inner)
        return result

    def attend(self, hidden: Tensor) -> Tensor:
        """Every token asks all tokens of its view: [V, T, W] → [V, T, W]."""
        projections = self.attention["attention"]
        assert isinstance(projections, nn.ModuleDict)
        query, key, value = (
            projections[name](hidden).view(*hidden.shape[:2], self.heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(-2)
        output = self.attention["output"]
        assert isinstance(output, nn.ModuleDict)
        result: Tensor = output["dense"](attended)
        return result


class VisionTransformer(nn.Module):
    """The ViT without its pooler, under the names of Hugging Face."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([Layer(config) for _ in range(config.layers)])})
        self.layernorm = nn.LayerNorm(config.width, eps=NORM_EPS)

    @property
    def layers(self) -> nn.ModuleList:
        """The blocks, first to last."""
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        return layers

    def forward(
        self, pixels: Tensor, camera: Tensor | None = None, after_layer: Callable[[], None] | None = None
    ) -> Tensor:
        """Normalised pixels [V, 3, H, W] and, of a network with cameras, their embeddings [V, W] → [V, T, W]."""
        hidden = self.embeddings(pixels)
        for layer in self.layers:
            hidden = layer(hidden, camera)
            if after_layer is not None:
                after_layer()
        normed: Tensor = self.layernorm(hidden)
        return normed


class CameraEncoder(nn.Module):
    """Views with cameras → the tokens that the triplane transformer asks."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.model = VisionTransformer(config)
        self.camera_embedder = nn.Sequential(
            nn.Linear(config.camera_width, config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )

    def forward(self, views: Tensor, cameras: Tensor, after_layer: Callable[[], None] | None = None) -> Tensor:
        """Views [V, 3, H, W] (0 … 1; H and W multiples of the patch size) and camera vectors → tokens [V, T, W].

        The embedder of the cameras works in its own precision: keep it in float32, half is too coarse for positions.

        Args:
            views, cameras: [V, 3, H, W] and [V, camera_width].
            after_layer: called after each block; an exception from it ends the work.
        """
        dtype = self.model.layernorm.weight.dtype
        pixels = ((views - IMAGE_MEAN) / IMAGE_DEVIATION).to(dtype)
        camera = self.camera_embedder(cameras.to(next(self.camera_embedder.parameters()).dtype)).to(dtype)
        tokens: Tensor = self.model(pixels, camera, after_layer)
        return tokens
