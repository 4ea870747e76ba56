"""Scene registration: meshes in a frame of their own find their place in the world. See docs/registration.md.

For methods that make all objects of a picture in one common frame with no metric scale and an unknown yaw. Methods
that work in the camera's frame are placed by `backend/placement.py`.
"""

from backend.registration.fit import Registration, register
from backend.registration.snap import Box, snap_to_bounds, snap_to_ground

__all__ = ["Box", "Registration", "register", "snap_to_bounds", "snap_to_ground"]
