"""`python -m training.objects`: collects models into a folder, with their licences in a list."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from training.objects import objaverse, packages
from training.objects.invented import collection
from training.objects.listing import LIST, Entry, ListError, found_models, write_list

logger = logging.getLogger("training.objects")


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    chosen = _parser().parse_args(arguments)
    try:
        entries: list[Entry] = list(chosen.collect(chosen))
    except (ListError, OSError) as error:
        logger.error("%s", error)
        return 1
    written = write_list(chosen.out, entries)
    logger.info("%d models: %s", len(written), chosen.out / LIST)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.objects", description=__doc__)
    ways = parser.add_subparsers(required=True, metavar="WAY")
    folder = ways.add_parser("folder", help="list the models that lie in a folder already")
    folder.add_argument("out", type=Path, metavar="FOLDER")
    folder.set_defaults(collect=lambda chosen: _found(chosen.out))
    debian = ways.add_parser("debian", help="the furniture of Debian's Sweet Home 3D packages")
    debian.add_argument("out", type=Path, metavar="FOLDER")
    debian.add_argument("--package", action="append", metavar="NAME", help=f"default: {' '.join(packages.PACKAGES)}")
    debian.add_argument("--deb", action="append", type=Path, metavar="FILE", help="a package file, instead")
    debian.set_defaults(collect=_debian)
    hub = ways.add_parser("objaverse", help="models of Objaverse, from the hub")
    hub.add_argument("uids", type=Path, metavar="UIDS", help="a file with one uid a line")
    hub.add_argument("out", type=Path, metavar="FOLDER")
    hub.add_argument("--licence", action="append", choices=sorted(objaverse.LICENCES), help="only these (default: all)")
    hub.set_defaults(
        collect=lambda chosen: objaverse.collect(
            chosen.out, objaverse.read_uids(chosen.uids), chosen.licence or (), logger.warning
        )
    )
    invented = ways.add_parser("invented", help="furniture that is made up, by chance")
    invented.add_argument("out", type=Path, metavar="FOLDER")
    invented.add_argument("--count", type=int, default=600, metavar="N", help="pieces (default: 600)")
    invented.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")
    invented.set_defaults(collect=lambda chosen: collection.collect(chosen.out, chosen.count, chosen.seed))
    return parser


def _found(folder: Path) -> list[Entry]:
    entries = found_models(folder) if folder.is_dir() else []
    if not entries:
        raise ListError(f"There is no model in {folder}.")
    return entries


def _debian(chosen: argparse.Namespace) -> list[Entry]:
    names = chosen.package or (() if chosen.deb else packages.PACKAGES)
    return packages.collect(chosen.out, names, chosen.deb or ())


if __name__ == "__main__":
    sys.exit(main())
