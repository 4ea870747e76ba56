"""From pictures of an object with known cameras to a coloured, watertight mesh, in torch, with nothing compiled."""

from models.multiview.views import Cameras, Views, orbit

__all__ = ["Cameras", "Views", "orbit"]
