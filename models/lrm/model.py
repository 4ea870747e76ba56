"""A few views of an object with their cameras → its field, as the published checkpoints of InstantMesh give it.

model = InstantMeshModel.from_checkpoint(Path("instant_mesh_large.ckpt"), "cuda", torch.float16)
planes = model.encode(views, slot_cameras())
field = model.field(planes)  # field.signed_distance(points [P, 3]) -> [P], negative inside
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from models.loading import check_headers
from models.lrm.checkpoint import fill, read_headers_of
from models.lrm.configs import LrmConfig, config_of
from models.lrm.decoders import MeshDecoder, Synthesizer
from models.lrm.encoder import CameraEncoder
from models.lrm.fields import DensityField, MeshField
from models.lrm.transformer import TriplaneTransformer
from models.lrm.triplane import CHUNK

LARGE_PARTS = ("encoder.model", "transformer")
SMALL_PARTS = ("encoder.camera_embedder", "synthesizer")
"""Parts that stay in float32: the numbers of a camera, and distances near zero, do not fit 16 bits."""


class LargeReconstructionModel(nn.Module):
    """All networks, under their published names."""

    def __init__(self, config: LrmConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = CameraEncoder(config.encoder)
        self.transformer = TriplaneTransformer(config.transformer)
        self.synthesizer = Synthesizer(config)


class InstantMeshModel:
    """The reconstruction half of InstantMesh (Xu et al. 2024, arXiv 2404.07191), mesh and NeRF variants.

    Attributes:
        network: the networks on their device.
        config: their sizes; `config.variant` names the published one.
    """

    def __init__(self, network: LargeReconstructionModel) -> None:
        self.network = network
        self.config = network.config

    @classmethod
    def from_checkpoint(
        cls,
        path: Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        converted: Path | None = None,
        config: LrmConfig | None = None,
    ) -> InstantMeshModel:
        """Opens a published `.ckpt` or a safetensors copy of one. Which variant it is shows in its shapes.

        Args:
            path: the file.
            device: where the networks run; "meta" only checks, reading no weights and converting nothing.
            dtype: of encoder and transformer; `SMALL_PARTS` are float32 all the same.
            converted: a folder for the safetensors form of a `.ckpt`, which is made once; beside the file if None.
            config: sizes, where the attention heads are not `HEAD_WIDTH` wide; taken from the shapes if None.

        Raises:
            CheckpointError: something is missing, damaged or of another network, or the form cannot be written; the
                message names file and tensor.
        """
        headers = read_headers_of(path, converted)
        config = config or config_of({name: header.shape for name, header in headers.items()}, path)
        with torch.device("meta"):
            network = LargeReconstructionModel(config)
        check_headers({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}, headers, path)
        if torch.device(device).type != "meta":
            precision = dict.fromkeys(LARGE_PARTS, dtype) | dict.fromkeys(SMALL_PARTS, torch.float32)
            fill(network, path, converted, device, precision)
        return cls(network.eval())

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.network.transformer.pos_embed.device

    @property
    def loaded_bytes(self) -> int:
        """What the networks take on the device."""
        return sum(parameter.nbytes for parameter in self.network.parameters())

    def encode(self, views: Tensor, cameras: Tensor, progress: Callable[[float], None] | None = None) -> Tensor:
        """Views of one object → its planes.

        Args:
            views: [V, 3, H, W], 0 … 1, the object on white; 320 × 320 as published, multiples of 16 in any case.
                Published with six views or four; any number works, in any order.
            cameras: [V, 16] from `cameras`.
            progress: is told the fraction of the layers done; an exception from it ends the work.

        Returns:
            [3, C, R, R] float32 on the device of the networks.

        Raises:
            ValueError: views and cameras are not of these shapes.
        """
        self._check(views, cameras)
        layers = self.config.encoder.layers + self.config.transformer.layers
        done = 0

        def after_layer() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done / layers)

        tokens = self.network.encoder(views.to(self.device), cameras.to(self.device), after_layer)
        planes: Tensor = self.network.transformer(tokens.flatten(0, 1)[None], after_layer)
        return planes[0].float()

    def field(self, planes: Tensor, chunk: int = CHUNK) -> MeshField | DensityField:
        """The field of planes [3, C, R, R]: a `MeshField` or, from a NeRF variant, a `DensityField`.

        Args:
            planes: from `encode`.
            chunk: points that are asked for at once; memory grows with it.
        """
        decoder = self.network.synthesizer.decoder
        planes = planes.to(self.device, torch.float32)
        if isinstance(decoder, MeshDecoder):
            return MeshField(decoder, planes, chunk)
        return DensityField(decoder, planes, chunk)

    def _check(self, views: Tensor, cameras: Tensor) -> None:
        encoder = self.config.encoder
        sides = views.shape[2:] if views.dim() == 4 else ()
        if views.dim() != 4 or not len(views) or views.shape[1] != encoder.image_channels:
            raise ValueError(f"Views are [V, {encoder.image_channels}, H, W], not {list(views.shape)}.")
        if not all(side and side % encoder.patch_size == 0 for side in sides):
            raise ValueError(f"Views of {list(sides)} pixels; both must be multiples of {encoder.patch_size}.")
        if cameras.shape != (len(views), encoder.camera_width):
            expected = [len(views), encoder.camera_width]
            raise ValueError(f"{len(views)} views need cameras of the shape {expected}, not {list(cameras.shape)}.")
