"""Making a prop again from what its job has kept on the server: the same pictures, another seed or other parameters."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import bpy

from .. import session
from ..capture import block_outs
from ..ground.messages import SetDresserError
from ..ground.references import Place, Reference
from ..props import recipes, variants
from ..settings.properties import MAXIMUM_SEED
from ..state import catalogue, desk
from ..work import jobs, sending
from .jobs import Job, check_can_be_sent

NO_CHANCE = "Chance has no part in what made this prop: another seed makes the same."


def new_variant(
    props: bpy.types.Object | Iterable[bpy.types.Object] | None = None,
    *,
    seed: int | None = None,
    wait: bool | None = None,
    timeout: float | None = None,
) -> Job:
    """Make another one of a prop, or of several of one job, with a new seed. What comes takes the prop's place; the
    prop stays as a hidden variant.

    Args:
        props: the selected prop if left out.
        seed: one that no variant has had if left out.
        wait, timeout: as in `generate`.

    Raises SetDresserError: as `again`; for a prop that another seed would make the same, if none is given.
    """
    chosen = _chosen(props)
    if seed is None and not has_chance(chosen[0]):
        raise SetDresserError(NO_CHANCE, "Use Again with Settings after changing a parameter.", "no-chance")
    if seed is None:
        used = {int(recipes.of(each).get("seed", -1)) for prop in chosen for each in recipes.relatives(prop)}
        while (seed := random.randrange(MAXIMUM_SEED)) in used:
            pass
    return again(chosen, seed=seed, wait=wait, timeout=timeout)


def again(
    what: bpy.types.Object | Iterable[bpy.types.Object] | Job | str | None = None,
    *,
    seed: int | None = None,
    parameters: dict[str, Any] | None = None,
    prepare: dict[str, dict[str, Any]] | None = None,
    pipeline: str | None = None,
    wait: bool | None = None,
    timeout: float | None = None,
) -> Job:
    """Run a job again on the pictures it was made from; what is left out stays as it was.

    Of a prop, or several props of one job, only these come in, as variants in their places; with another pipeline only
    these are made, too. Of a job, given as such or by its id, everything is made and comes in.

    Args:
        what: the selected prop if left out.
        seed, parameters, prepare, pipeline, wait, timeout: as in `generate`. With another pipeline its own defaults
            count for the parameters.

    Raises SetDresserError: for what is no prop, props of several jobs, or, if it waits, as `Job.wait`.
    """
    given = {"seed": seed, "parameters": parameters, "prepare": prepare, "pipeline": pipeline}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    check_can_be_sent(changes)
    if isinstance(what, (Job, str)):
        former = what.id if isinstance(what, Job) else what
        known = desk.current.jobs.get(former)
        values: dict[str, Any] = {"name": known.name if known else "", "pipeline": known.pipeline if known else ""}
    else:
        props = _chosen(what)
        former = recipes.job(props[0])
        recipe = recipes.of(props[0])
        values = {"name": str(recipe.get("name") or props[0].name), "pipeline": str(recipe.get("pipeline") or "")}
        values["variant_of"] = {int(recipes.of(prop)["instance_id"]): Reference.of(prop) for prop in props}
        made_of = ((prop, block_outs.block_out_of(prop)) for prop in props)
        values["block_outs"] = {
            int(recipes.of(prop)["instance_id"]): Reference.of(block_out)
            for prop, block_out in made_of
            if block_out is not None
        }
        if pipeline not in (None, values["pipeline"]):
            changes["only"] = sorted(values["variant_of"])
    values["pipeline"] = pipeline or values["pipeline"]
    place = Place.of(bpy.context.scene, bpy.context.view_layer)
    record = jobs.make(desk.current, import_when_done=True, place=place, **values)
    sending.again(session.current.line, record, former, changes)
    job = Job(record)
    if bpy.app.background if wait is None else wait:
        job.wait(timeout)
    return job


def has_chance(prop: bpy.types.Object) -> bool:
    """Whether another seed would make another prop: its pipeline takes chance, or its picture was painted."""
    recipe = recipes.of(prop)
    pipeline = catalogue.description_of(desk.current.pipelines, str(recipe.get("pipeline") or ""))
    return catalogue.takes_chance(pipeline, desk.current.preparations, str(recipe.get("prepared") or "").split())


def other_pipelines(prop: bpy.types.Object) -> list[dict[str, Any]]:
    """The pipelines, as `pipelines` tells of them, that could make this prop too and are ready; asks nobody."""
    made_with, pictures = recipes.of(prop).get("pipeline"), recipes.pictures(prop)
    found = []
    for each in desk.current.pipelines:
        images = each.get("images") or {}
        fits = images.get("least", 1) <= pictures <= images.get("most", pictures)
        if each["id"] != made_with and each.get("ready", True) and fits:
            found.append(each)
    return found


def variants_of(prop: bpy.types.Object) -> list[bpy.types.Object]:
    """The prop and its hidden variants, in the order in which they were made."""
    return variants.of(prop)


def show_variant(prop: bpy.types.Object, other: bpy.types.Object | int = 1) -> bpy.types.Object:
    """Show a hidden variant in the place of a prop, and hide the prop; returns what is seen now.

    Args:
        other: one of `variants_of(prop)`, or how many steps to go on in that list.

    Raises SetDresserError: if it is none of them, there is no other, or Blender is in another mode than Object.
    """
    if isinstance(other, int):
        return variants.step(bpy.context, prop, other)
    if other not in variants.of(prop):
        raise SetDresserError(f"{other.name} is no variant of {prop.name}.", "Choose one of the list.", "no-variant")
    return variants.show(bpy.context, prop, other)


def keep_only(prop: bpy.types.Object) -> int:
    """Remove the hidden variants of a prop from the file with what only they use; returns how many they were."""
    return variants.keep_only(bpy.context, prop)


def _chosen(props: bpy.types.Object | Iterable[bpy.types.Object] | None) -> list[bpy.types.Object]:
    """The props meant, all of one job, each once."""
    if props is None:
        prop = variants.selected(bpy.context)
        props = [] if prop is None else [prop]
    chosen = [props] if isinstance(props, bpy.types.Object) else list(dict.fromkeys(props))
    if not chosen or not all(recipes.job(prop) and "instance_id" in recipes.of(prop) for prop in chosen):
        raise SetDresserError("This is no prop.", "Select a prop that Set Dresser has made.", "no-prop")
    if len({recipes.job(prop) for prop in chosen}) > 1:
        raise SetDresserError("These props are of several jobs.", "Take them one after the other.", "several-jobs")
    return chosen
