"""The pipelines this backend knows, by identifier. Importing this module imports no pipeline's code.

More come from plug-ins: the environment variable SET_DRESSER_PLUGINS names modules, separated by commas, each with
a sequence `PIPELINES` of `PipelineInfo`. Such a module is imported by the server, so it must be as light as the
descriptions here.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator

from backend.errors import Problem
from backend.pipelines.base import PipelineInfo
from backend.pipelines.inflate import INFLATE


def _plugins(names: str) -> Iterator[PipelineInfo]:
    """The pipelines of the named modules. A module that cannot be imported ends the start with its own error."""
    for name in filter(None, map(str.strip, names.split(","))):
        yield from importlib.import_module(name).PIPELINES


PIPELINES: dict[str, PipelineInfo] = {
    info.id: info for info in (INFLATE, *_plugins(os.environ.get("SET_DRESSER_PLUGINS", "")))
}


def find_pipeline(identifier: str) -> PipelineInfo:
    """The pipeline with this identifier. Raises Problem("pipeline-unknown")."""
    try:
        return PIPELINES[identifier]
    except KeyError:
        known = ", ".join(PIPELINES)
        raise Problem(
            "pipeline-unknown", f"No pipeline is called '{identifier[:80]}'.", f"Choose one of: {known}."
        ) from None
