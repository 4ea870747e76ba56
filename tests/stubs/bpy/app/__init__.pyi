from typing import Any

from . import handlers as handlers

def __getattr__(name: str) -> Any: ...
