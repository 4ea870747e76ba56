"""From pictures of an object with known cameras to a coloured, watertight mesh, in torch, with nothing compiled."""

from models.multiview.prior import Prior, read_prior
from models.multiview.surface import Settings, Surface, reconstruct
from models.multiview.views import Cameras, Views, orbit

__all__ = ["Cameras", "Prior", "Settings", "Surface", "Views", "orbit", "read_prior", "reconstruct"]
