"""A pipeline for tests that takes several pictures of one object: a box in the place of the block-out, and a warning
that tells what came."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from box_pipeline import CORNERS, FACES, BoxParameters

from backend.pipelines.base import Context, PipelineInfo, Stage
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot

PHOTOS = PipelineInfo(
    id="test-photos",
    version="1",
    title="Several",
    description="Takes several pictures.",
    entry="photo_pipeline:run",
    parameters=BoxParameters,
    stages=(Stage("place", 1), Stage("export", 1)),
    images=(2, 4),
    instances=(1, 1),
)
PIPELINES = (PHOTOS, replace(PHOTOS, id="test-one-photo", title="Single", images=(1, 1)))


def run(shot: Shot, parameters: BoxParameters, context: Context) -> Scene:
    with context.stage("place"):
        came = {
            "sizes": [[picture.shape[1], picture.shape[0]] for picture in shot.images],
            "opaque": [int(np.count_nonzero(picture[..., 3] == 255)) for picture in shot.images],
            "clear": [int(np.count_nonzero(picture[..., 3] == 0)) for picture in shot.images],
            "photos": [photo.model_dump(exclude={"camera"}) for photo in shot.photos],
            "cameras": [None if camera is None else [camera.width, camera.height] for camera in shot.cameras],
            "mask": int(np.count_nonzero(shot.instances.labels == 1)),
            "instance_source": shot.instance_source,
            "camera_source": shot.camera_source,
            "depth": shot.depth is not None,
        }
        context.warn("photos", json.dumps(came))
        ((number, name),) = shot.instances.names.items()
        place = np.eye(4)
        vertices = CORNERS * 0.5
        if number in shot.boxes:
            box = shot.boxes[number]
            place[:3, 3] = box[:3, 3] - [0, 0, 0.5 * box[2, 2]]
            vertices = CORNERS * [0.5, 0.5, 1.0] * np.linalg.norm(box[:3, :3], axis=0)
        return Scene([Prop(number, name, Mesh(vertices=vertices, faces=FACES), place, "camera")])
