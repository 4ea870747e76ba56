"""A pipeline for tests that takes its time and puts a box where each block-out's box is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from box_pipeline import BOX, CORNERS, FACES, BoxParameters
from box_pipeline import run as make_boxes

from backend.pipelines.base import Context
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot

PLACED = replace(BOX, id="test-placed", title="Placed", description="A box in each box.", entry="placed_pipeline:run")
PIPELINES = (PLACED,)


def run(shot: Shot, parameters: BoxParameters, context: Context) -> Scene:
    return Scene([_placed(prop, shot) for prop in make_boxes(shot, parameters, context).props])


def _placed(prop: Prop, shot: Shot) -> Prop:
    box = np.array(shot.boxes[prop.instance])
    sides = np.linalg.norm(box[:3, :3], axis=0)
    place = np.eye(4)
    place[:3, :3] = box[:3, :3] / sides
    place[:3, 3] = box[:3, 3] - place[:3, 2] * sides[2] / 2
    return replace(prop, mesh=Mesh(vertices=CORNERS * (0.5, 0.5, 1.0) * sides, faces=FACES), world_from_prop=place)
