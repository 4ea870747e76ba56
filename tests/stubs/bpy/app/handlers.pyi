from collections.abc import Callable
from typing import Any, TypeVar

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

def persistent(function: _Handler) -> _Handler: ...
def __getattr__(name: str) -> Any: ...
