"""Scene -> `scene.glb`, `thumbnail.png` and `result.json`: what came out, how it looks, how well it fits the picture,
and how to make it again."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from backend import __version__
from backend.contract import GenerateRequest, InputRecord, PipelineVersion, PropRecord, Result, WeightsRecord
from backend.files import write_together
from backend.geometry.gltf import node_names, write_glb
from backend.geometry.silhouette import mask_iou, silhouette
from backend.geometry.statistics import measure
from backend.geometry.thumbnail import thumbnail
from backend.jobs.folders import storage_problem
from backend.jobs.spent import Times
from backend.pipelines.base import Parameters, PipelineInfo
from backend.pipelines.context import Context
from backend.scene import Prop, Scene
from backend.shot import Shot
from backend.weights.revisions import Used

EXPORT_STAGE = "export"
LIBRARIES = ("numpy", "scipy", "scikit-image", "pillow", "trimesh")


def write_result(
    folder: Path,
    job: str,
    request: GenerateRequest,
    shot: Shot,
    scene: Scene,
    context: Context,
    info: PipelineInfo,
    parameters: Parameters,
    prepared: dict[str, dict[str, Any]] | None = None,
    weights: Sequence[Used] = (),
    before: Times | None = None,
) -> Result:
    """Write `scene.glb`, `thumbnail.png` and `result.json` into `output/` of a job's folder: all, or none.

    A pipeline that names a stage "export" has it entered and timed here. before: what earlier attempts took.

    Raises:
        Problem: "geometry-failed" for a scene that is no result; "disk-full", "output-not-writable".
        Cancelled: nothing has been written.
    """
    staged = any(stage.name == EXPORT_STAGE for stage in info.stages)
    with context.stage(EXPORT_STAGE) if staged else nullcontext():
        scene_file = write_glb(scene)
        props = []
        for index, (prop, node) in enumerate(zip(scene.props, node_names(scene), strict=True)):
            if staged:
                context.progress((index + 1) / (len(scene.props) + 1))
            props.append(_prop_record(prop, node, shot))
        picture = thumbnail(scene, shot.camera, [record.watertight and record.volume > 0 for record in props])
    context.check()
    times = (before or Times()).and_of(context)
    result = Result(
        job=job,
        name=request.name,
        created=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        pipeline=PipelineVersion(id=info.id, version=info.version),
        parameters=parameters.model_dump(mode="json"),
        seed=request.seed,
        inputs=list(_input_records(shot)),
        camera=shot.given_camera or shot.camera,
        camera_source=shot.camera_source,
        instance_source=shot.instance_source,
        background=dict(shot.background),
        instances=request.instances,
        photos=request.photos,
        only=request.only,
        prepared=prepared or {},
        props=props,
        record=scene.record,
        weights=[WeightsRecord(**asdict(each)) for each in weights],
        warnings=context.warnings,
        timings=times.timings,
        seconds=times.seconds,
        attempts=times.attempts,
        finished_early=context.finished_early,
        peak_memory_bytes=peak_memory_bytes(),
        versions=versions(),
        device=device(context.device),
    )
    document = result.model_dump_json(indent=2, fallback=_plain).encode()
    try:
        files = {"scene.glb": scene_file, "thumbnail.png": picture, "result.json": document}
        write_together(folder / "output", files)
    except OSError as error:
        raise storage_problem(error, "The result cannot be written") from error
    return result


def recipe(result: Result) -> GenerateRequest:
    """The request that makes a result again from the same pictures (`result.inputs`)."""
    return GenerateRequest(
        pipeline=result.pipeline.id,
        parameters=result.parameters,
        seed=result.seed,
        camera=result.camera if result.camera_source == "request" else None,
        instances=result.instances,
        photos=result.photos,
        only=result.only,
        prepare={name: part["parameters"] for name, part in result.prepared.items()},
        name=result.name,
    )


def peak_memory_bytes() -> int | None:
    """The most memory this process has held since it began; None where the system does not tell (Windows)."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions() -> dict[str, str]:
    """The versions that a result depends on; those of what runs networks only where it was loaded."""
    loaded = tuple(name for name in ("torch", "onnxruntime") if name in sys.modules)
    libraries = {name: installed(name) for name in LIBRARIES + loaded}
    return {"backend": __version__, "python": platform.python_version(), **libraries}


@cache
def installed(library: str) -> str:
    """Its version. To read that takes milliseconds, and it stays the same as long as the process lives."""
    return version(library)


def device(name: str) -> dict[str, str]:
    """What it ran on: PyTorch's name of the device, and the machine."""
    return {"device": name, "system": platform.system(), "machine": platform.machine()}


def _prop_record(prop: Prop, node: str, shot: Shot) -> PropRecord:
    statistics = measure(prop.mesh)
    world = prop.world_vertices()
    mask, seen = shot.instances.mask(prop.instance), shot.seen(prop.instance)
    return PropRecord(
        id=prop.instance,
        name=prop.name,
        node=node,
        vertices=statistics.vertices,
        faces=statistics.faces,
        bodies=statistics.bodies,
        watertight=statistics.watertight,
        volume=statistics.volume,
        dimensions=tuple(np.ptp(world, axis=0).tolist()),
        origin=tuple(prop.world_from_prop[:3, 3].tolist()),
        mask_pixels=int(np.count_nonzero(mask)),
        mask_iou=mask_iou(silhouette(world, prop.mesh.faces, shot.camera), shot.whole_mask(prop.instance)),
        seen=None if seen is None else round(seen, 4),
        placement=prop.placement,
        quality=prop.quality,
    )


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, which pipelines like to put into `quality`, as JSON."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a result cannot hold a {type(value).__name__}")


def _input_records(shot: Shot) -> Iterator[InputRecord]:
    """One record per hashed file; `shot.hashes` calls them "image-0", …, "instances", "depth", "outlines-0", …"""
    for name, sha256 in shot.hashes.items():
        role, _, number = name.partition("-")
        picture = shot.images[int(number)] if role == "image" else shot.image
        width, height = shot.sizes.get(name, picture.shape[1::-1])
        yield InputRecord.model_validate({"role": role, "sha256": sha256, "width": width, "height": height})
