"""What of the add-on needs no Blender is tested once, in the backend's environment, not in every Blender.

The package itself cannot be imported without Blender; here it is a name for its folder, so that its modules can.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]

if importlib.util.find_spec("bpy") is None:
    package = ModuleType("blender_addon")
    package.__path__ = [str(ROOT / "blender_addon")]
    sys.modules["blender_addon"] = package
