"""Whether a job can be run, found out while the user still waits for the answer."""

from __future__ import annotations

from collections.abc import Sequence

from backend import engine, weights
from backend.contract import GenerateRequest, OutlineFiles
from backend.errors import Problem
from backend.imaging.intake import check_inputs
from backend.pipelines import find_pipeline
from backend.pipelines.base import MethodInfo, Parameters, PipelineInfo
from backend.preparations import chosen_preparations


def check_job(
    request: GenerateRequest,
    images: list[bytes],
    instances: bytes | None = None,
    depth: bytes | None = None,
    outlines: Sequence[OutlineFiles] = (),
) -> PipelineInfo:
    """The pipeline that a request asks for. Raises Problem if it or a preparation cannot work on these files."""
    info = find_pipeline(request.pipeline)
    methods: dict[MethodInfo, Parameters] = {info: info.check(request.parameters)}
    least, most = info.images
    if not least <= len(images) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        detail = f"{info.title} takes {wanted} picture(s); {len(images)} came."
        raise Problem("request-invalid", detail, "Send that many parts named 'image'.")
    for preparation in chosen_preparations(request.prepare):
        methods[preparation] = preparation.check(request.prepare[preparation.id])
        preparation.check_inputs(has_instances=instances is not None, has_depth=depth is not None)
    for method, parameters in methods.items():
        if method.learned:
            engine.check(method.title)
        for needed in (*method.weights, *parameters.needed_weights()):
            weights.locate(needed)
    count = check_inputs(request, images, instances, depth, outlines)
    if count is not None and not info.instances[0] <= count <= info.instances[1]:
        few = count < info.instances[0]
        detail = f"{info.title} takes {info.instances[0]} to {info.instances[1]} objects at once; {count} came."
        raise Problem("instances-empty" if few else "instances-too-many", detail, "Select fewer objects, or merge.")
    return info
