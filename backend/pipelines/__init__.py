"""The pipelines this backend knows, by identifier. Importing this module imports no pipeline's code.

More come from plug-ins; see `backend/plugins.py`.
"""

from __future__ import annotations

from backend.errors import Problem
from backend.pipelines.base import PipelineInfo
from backend.pipelines.hi3d import HI3D
from backend.pipelines.inflate import INFLATE
from backend.pipelines.instantmesh import INSTANTMESH
from backend.pipelines.magic123 import MAGIC123
from backend.pipelines.midi import MIDI
from backend.pipelines.mira import MIRA
from backend.pipelines.multiview import MULTIVIEW
from backend.plugins import plugged

PIPELINES: dict[str, PipelineInfo] = {
    info.id: info for info in (INFLATE, MIDI, INSTANTMESH, MIRA, HI3D, MAGIC123, MULTIVIEW, *plugged("PIPELINES"))
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
