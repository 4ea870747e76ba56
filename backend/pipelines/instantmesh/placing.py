"""How the frame of the reconstruction lies in a prop's own."""

from __future__ import annotations

import numpy as np

FRONT = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""From the frame of the reconstruction, in which the photo is taken from +x, to a prop's: its front is -y, as Blender's
front view sees it."""
