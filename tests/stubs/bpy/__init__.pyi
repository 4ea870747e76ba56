# As much of Blender's module as mypy needs to check the add-on: classes that are subclassed, and nothing else.
from typing import Any

from . import app as app
from . import types as types

def __getattr__(name: str) -> Any: ...
