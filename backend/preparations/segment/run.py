"""segment at work: names and boxes to boxes, boxes to masks, masks to an instance map, and the user's review of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.alpha import on_white
from backend.imaging.png import as_png
from backend.imaging.reducing import values_at
from backend.memory import Plan
from backend.pipelines.context import Context
from backend.pipelines.running import Running, seen
from backend.preparations.base import Prepared
from backend.preparations.segment import MOST_OBJECTS, SegmentParameters, split_labels
from backend.preparations.segment.cutouts import Cutout, cut_out, label_map, left_to_right
from backend.preparations.segment.cutouts import without_duplicates as without_duplicate_masks
from backend.preparations.segment.detector import Detector
from backend.preparations.segment.finds import Find, drawn_finds, scaled_finds, without_duplicates, without_groups
from backend.preparations.segment.instances import Instance, apply_review, numbered
from backend.preparations.segment.loading import numbers_of
from backend.preparations.segment.overlay import colour_of, overlay
from backend.preparations.segment.plans import detector_plans, segmenter_plans
from backend.preparations.segment.segmenter import Segmenter
from backend.questions import FoundInstance, InstancesAnswer, InstancesQuestion
from backend.residency import Loaded
from backend.shot import InstanceMap, Shot
from backend.weights import locate

PICTURE = "picture.png"
OVERLAY = "instances.png"
LABELS = "labels.png"
SEGMENTER = "sam"

FEWEST_PIXELS = 16
"""An object with fewer has no shape, however small objects may be."""

Labels = NDArray[np.uint16]
Picture = NDArray[np.uint8]


def prepare(shot: Shot, parameters: SegmentParameters, context: Context) -> Prepared:
    """Finds the objects of the first picture.

    Returns:
        The shot with its instance map, ids from left to right, and as record the objects, which networks found them
        and where. Kept with the job: picture.png, instances.png (what a review looks at) and labels.png, a 16-bit label
        image that can be given as an instance map.

    Raises:
        Problem: parameters-invalid (a box outside of the picture, too many words), instances-not-found,
            instances-too-many, weights-missing, weights-damaged, weights-foreign, device-missing, engine-missing.
        Cancelled: by the user.
    """
    picture = on_white(shot.image)
    height, width = picture.shape[:2]
    labels = split_labels(parameters.labels)
    size = shot.sizes.get("image-0", (width, height))
    drawn = scaled_finds(drawn_finds(parameters.boxes, size), width / size[0], height / size[1])
    # Whatever is missing is said before anything is loaded.
    if labels:
        locate(parameters.detector_weights)
    locate(SEGMENTER)
    detecting, outlining = Running.begin(context), Running.begin(context)

    with context.stage("detect"):
        detected = _detect(picture, labels, parameters, detecting) if labels else []
        finds = without_groups(without_duplicates([*drawn, *detected], parameters.duplicates))
        _check_finds(finds, labels, parameters, context)
    with context.stage("outline"):
        cutouts = _outline(picture, finds, parameters, outlining)
        found, instances = _painted(cutouts, (width, height), parameters, context)
    with context.stage("review"):
        context.keep(PICTURE, as_png(picture))
        _keep_map(picture, found, instances, size, context)
        if parameters.review:
            answer = InstancesAnswer.model_validate(context.ask(_question(instances)))
            found, reviewed = apply_review(found, instances, answer)
            if reviewed != instances:
                instances = reviewed
                _keep_map(picture, found, instances, size, context)
    record = {
        "instances": [instance.record() for instance in instances],
        "detector": parameters.detector_weights if labels else None,
        "segmenter": SEGMENTER,
        "device": outlining.device.name,
        "reviewed": parameters.review,
    }
    names = {instance.id: instance.name for instance in instances}
    # Boxes of block-outs belong to ids of a map that did not come.
    return Prepared(replace(shot, instances=InstanceMap(found, names), instance_source="found", boxes={}), record)


def _detect(picture: Picture, labels: list[str], parameters: SegmentParameters, running: Running) -> list[Find]:
    context, identifier = running.context, parameters.detector_weights
    numbers = seen(identifier, [identifier], lambda: numbers_of(locate(identifier)))

    def opened() -> Loaded[Detector]:
        detector = Detector(locate(identifier), running.device.name)
        return Loaded(detector, [detector.network])

    def find(plan: Plan) -> list[Find]:
        context.progress(0.0, f"Loading the detector ({plan.sentence})")
        with running.networks("segment detector", [identifier], plan, opened) as loaded:
            looking = f"Looking for {_listed(labels)}"
            context.progress(0.2, looking)
            return loaded.value.find(
                picture, labels, parameters.score_threshold, lambda share: context.progress(0.2 + 0.8 * share, looking)
            )

    finds = running.by_plans(lambda device: detector_plans(numbers), find)
    context.progress(1.0)
    names = {find.name for find in finds}
    missed = [label for label in labels if label not in names]
    if missed and (finds or parameters.boxes):
        message = f"Nothing in the picture was recognised as {_listed(missed, 'or')}."
        context.warn("label-unseen", message, "Lower the threshold, use another word, or draw a box around it.")
    return finds


def _check_finds(finds: Sequence[Find], labels: Sequence[str], parameters: SegmentParameters, context: Context) -> None:
    if not finds:
        detail = (
            f"Nothing in the picture was recognised as {_listed(labels, 'or')} "
            f"with a certainty above {parameters.score_threshold:g}."
        )
        raise Problem("instances-not-found", detail)
    if len(finds) > MOST_OBJECTS:
        detail = f"{len(finds)} objects were found; {MOST_OBJECTS} are the limit."
        raise Problem("instances-too-many", detail, "Raise the threshold, or look for fewer kinds of objects.")
    context.check()


def _outline(picture: Picture, finds: Sequence[Find], parameters: SegmentParameters, running: Running) -> list[Cutout]:
    """What is in each box; where nothing can be made out it is told, and the others go on."""
    context = running.context
    numbers = seen(SEGMENTER, [SEGMENTER], lambda: numbers_of(locate(SEGMENTER)))

    def opened() -> Loaded[Segmenter]:
        segmenter = Segmenter(locate(SEGMENTER), running.device.name)
        return Loaded(segmenter, [segmenter.network])

    def outline(plan: Plan) -> list[Cutout | None]:
        context.progress(0.0, f"Loading the segmenter ({plan.sentence})")
        with running.networks("segment segmenter", [SEGMENTER], plan, opened) as loaded:
            looking = "Looking at the picture"
            context.progress(0.2, looking)
            masks = loaded.value.outlines(
                picture, [find.box for find in finds], lambda share: context.progress(0.2 + 0.4 * share, looking)
            )
            cutouts = []
            for number, (find, mask) in enumerate(zip(finds, masks, strict=True), start=1):
                cutouts.append(cut_out(find, mask, parameters.largest_component, parameters.fill_holes))
                context.progress(0.6 + 0.4 * number / len(finds), f"{number} of {len(finds)} objects outlined")
            return cutouts

    cutouts = running.by_plans(lambda device: segmenter_plans(numbers), outline)
    for find, cutout in zip(finds, cutouts, strict=True):
        if cutout is None:
            message = f"No outline was found in the box of '{find.name}'; it was left out."
            context.warn("outline-unclear", message, "Draw the box closer around the object.")
    return [cutout for cutout in cutouts if cutout is not None]


def _painted(
    cutouts: Sequence[Cutout], size: tuple[int, int], parameters: SegmentParameters, context: Context
) -> tuple[Labels, list[Instance]]:
    """The label map and the objects in it."""
    chosen = left_to_right(without_duplicate_masks(cutouts, parameters.duplicates))
    least = max(parameters.smallest / 100 * size[0] * size[1], FEWEST_PIXELS)
    labels, instances, left_out = numbered(label_map(chosen, size), [cutout.find for cutout in chosen], least)
    names = _listed([f"'{find.name}'" for find in left_out])
    if not instances:
        detail = f"Of what was found, nothing can be used: {names or 'no object'} has {least:.0f} pixels or more."
        raise Problem("instances-not-found", detail, "Lower the smallest size, or draw boxes around the objects.")
    if left_out:
        message = f"{names} left out: fewer than {least:.0f} pixels, or hidden by what was found in front."
        context.warn("instance-small", message, "Lower the smallest size if you need it.")
    return labels, instances


def _keep_map(
    picture: Picture, labels: Labels, instances: Sequence[Instance], size: tuple[int, int], context: Context
) -> None:
    """The label image comes at the size (width, height) of the picture's file, to be given with that again."""
    names = {instance.id: instance.name for instance in instances}
    context.keep(OVERLAY, as_png(overlay(picture, labels, names)))
    context.keep(LABELS, as_png(values_at(labels, size)))


def _question(instances: Sequence[Instance]) -> InstancesQuestion:
    count = "1 object was" if len(instances) == 1 else f"{len(instances)} objects were"
    return InstancesQuestion(
        title="Check the objects",
        text=f"{count} found. Rename, merge or leave out what is not right.",
        picture=PICTURE,
        overlay=OVERLAY,
        instances=[FoundInstance(**instance.record(), color=colour_of(instance.id)) for instance in instances],
    )


def _listed(words: Sequence[str], joint: str = "and") -> str:
    """As in a sentence: a, b and c."""
    return f" {joint} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
