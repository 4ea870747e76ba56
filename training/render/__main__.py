"""`python -m training.render`: a folder of models becomes a data set of views, rendered with Blender.

Started again, it goes on: an object is there whole or not at all. Models that cannot be rendered are skipped, told at
the end, and make the exit status 3.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from training.layouts import LAYOUTS
from training.objects.listing import Entry, ListError, read_list
from training.render.blender import BlenderError, find_blender
from training.render.run import Report, render_all
from training.render.settings import DEFAULTS, Settings, SettingsError, Way

SOME_BROKEN = 3
logger = logging.getLogger("training.render")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    chosen = vars(_parser().parse_args(arguments))
    models, out, only = (chosen.pop(name) for name in ("models", "out", "only"))
    program, processes = (chosen.pop(name) for name in ("blender", "processes"))
    try:
        settings = chosen_settings(chosen)
        entries = chosen_entries(read_list(models), only)
        program = program or find_blender()
        there = sum((out / entry.name).is_dir() for entry in entries)
        with logging_redirect_tqdm(), tqdm(total=len(entries), initial=there, unit="object", disable=None) as bar:

            def progress(name: str) -> None:
                bar.set_postfix_str(name, refresh=False)
                bar.update()

            report = render_all(program, settings, models, entries, out, processes, progress)
    except (SettingsError, ListError, BlenderError, OSError) as error:
        logger.error("%s", error)
        return 1
    except KeyboardInterrupt:
        logger.error("Interrupted. The same command goes on.")
        return 130
    _tell(report, out)
    return SOME_BROKEN if report.broken else 0


def chosen_settings(chosen: dict[str, Any]) -> Settings:
    """The layout's own settings with what was chosen instead.

    Raises:
        SettingsError: they do not go together.
    """
    given = {name: value for name, value in chosen.items() if value is not None}
    for name in ("distance", "focal", "elevation", "elevations"):
        if name in given:
            given[name] = tuple(given[name])
    return replace(DEFAULTS[given["layout"]], **given)


def chosen_entries(entries: list[Entry], only: Sequence[str] | None) -> list[Entry]:
    """Those of a list that are asked for by name; all, if none is.

    Raises:
        ListError: the list does not have one of them.
    """
    if not only:
        return entries
    by_name = {entry.name: entry for entry in entries}
    if unknown := [name for name in only if name not in by_name]:
        raise ListError(f"There is no model {unknown[0]} in the list; it has {len(entries)} others.")
    return [by_name[name] for name in dict.fromkeys(only)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.render", description=__doc__)
    parser.add_argument("models", type=Path, metavar="MODELS", help="a folder of models, or one of training.objects")
    parser.add_argument("out", type=Path, metavar="OUT", help="the data set; made if need be")
    parser.add_argument("--only", action="append", metavar="NAME", help="this model; again for more (default: all)")
    parser.add_argument("--layout", choices=LAYOUTS, default="openlrm", help="of the files (default: openlrm)")
    parser.add_argument("--views", type=int, metavar="N", help="for each object (default: 32)")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="of a picture (default: 512; hi3d: 1024)")
    parser.add_argument("--depth", type=int, choices=(8, 16), help="bits per channel (default: 8)")
    parser.add_argument("--path", choices=get_args(Way), help="where the cameras stand (default: sphere; hi3d: rings)")
    for name, what in (
        ("distance", "of a camera; the longest side of the object is 2 (hi3d: 1)"),
        ("focal", "in units of the picture's width; for every view, between the two"),
        ("elevation", "degrees, on the sphere"),
    ):
        parser.add_argument(f"--{name}", type=float, nargs=2, metavar=("FROM", "TO"), help=what)
    parser.add_argument("--elevations", type=float, nargs="+", metavar="DEGREES", help="of the rings")
    parser.add_argument("--azimuths", type=int, metavar="N", help="cameras on each ring")
    parser.add_argument("--height", type=float, help="of the orbit")
    parser.add_argument("--whole", type=float, metavar="MARGIN", help="cameras step back until all of it is in view")
    parser.add_argument("--no-front", dest="front", action="store_false", default=None, help="not from the front first")
    parser.add_argument("--engine", choices=("cycles", "eevee"), help="default: cycles")
    parser.add_argument("--samples", type=int, metavar="N", help="rays per pixel (default: 64)")
    parser.add_argument("--no-denoise", dest="denoise", action="store_false", default=None, help="quicker, and noisier")
    parser.add_argument("--light", choices=("random", "soft", "even"), help="soft: needs few samples (default: random)")
    parser.add_argument("--glass", dest="opaque", action="store_false", default=None, help="glass stays transparent")
    parser.add_argument("--solid", type=int, metavar="CELLS", help="along a side; 0: no solids (default: 96)")
    parser.add_argument("--seed", type=int, help="of cameras and light (default: 0)")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 1) // 2), metavar="N")
    parser.add_argument("--blender", metavar="PROGRAM", help="Blender, or a Python that has its module")
    return parser


def _tell(report: Report, out: Path) -> None:
    for name, textures in sorted(report.missing.items()):
        logger.warning("%s: textures are missing (%s); a plain colour is in their places.", name, ", ".join(textures))
    logger.info("%d objects rendered, %d were there: %s", len(report.done), report.there, out)
    if report.broken:
        logger.error("%d models could not be rendered:", len(report.broken))
        for name, sentence in sorted(report.broken):
            logger.error("  %s: %s", name, sentence)


if __name__ == "__main__":
    sys.exit(main())
