"""From a job that is queued to its files in a folder of the user's: shows how it goes, and hears Ctrl-C."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from backend.cli.answering import Pick, answer, read_picks
from backend.cli.output import complain, say, say_json, table, tell
from backend.contract import Event, JobState, JobView, Preview, Progress, Result, Warning
from backend.errors import Problem
from backend.files import write_together
from backend.jobs.folders import default_data_folder
from backend.privacy import written_privately

if TYPE_CHECKING:
    from backend.jobs.service import JobService

RESULT_FILES = ("scene.glb", "result.json")
BAR = "{desc:<12} {percentage:3.0f} % |{bar}| {elapsed}{postfix}"


def add_delivery_options(parser: argparse.ArgumentParser, document: str = "result.json") -> None:
    """How a job is answered and shown, and where its result goes; `document` is what --json prints."""
    parser.add_argument(
        "--pick", metavar="N,N",
        help="which are taken when there is something to choose: 0,2, or photo:view pairs such as 0:1,1:5; what is "
        "proposed if left out",
    )  # fmt: skip
    parser.add_argument("--ask", action="store_true", help="let me choose in the terminal when there is a choice")
    parser.add_argument(
        "--everything", action="store_true", help="copy the pictures and videos that the job has kept, too"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the result goes")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what goes wrong")
    parser.add_argument("--json", action="store_true", help=f"print {document}")


def add_continue_options(parser: argparse.ArgumentParser) -> None:
    """The options of `continue`."""
    parser.add_argument("job", metavar="JOB", help="its id; see: jobs")
    add_delivery_options(parser)
    parser.set_defaults(command=go_on)


def finish(chosen: argparse.Namespace) -> None:
    """Have a job that runs in any process on this data folder end early with what it has; whose it is looks twice a
    second for the wish, which stands in the list of jobs."""
    from backend.jobs.service import JobService

    service = JobService(chosen.data)
    try:
        service.finish(chosen.job)
    finally:
        service.stop()
    say("It ends early, with what there is; see: jobs")


def prioritise(chosen: argparse.Namespace) -> None:
    """Have a job that is queued in any process on this data folder go before others, or after them."""
    from backend.jobs.service import JobService

    service = JobService(chosen.data)
    try:
        view = service.prioritise(chosen.job, chosen.priority)
    finally:
        service.stop()
    before = f"; jobs before it: {view.position}" if view.position else ""
    say(f"The job is {view.state.value.replace('_', ' ')}{before}.")


def go_on(chosen: argparse.Namespace) -> None:
    """Continue a job that failed, was cancelled or finished early; its result is in `out` when this returns."""
    picks = None if chosen.pick is None else read_picks(chosen.pick)
    make_folder(chosen.out)
    deliver(lambda service: service.go_on(chosen.job), chosen, picks)


def make_folder(folder: Path) -> None:
    """Raises Problem if there can be no such folder."""
    from backend.jobs.folders import storage_problem

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_problem(error, f"The folder {folder} cannot be made", "there") from error


def deliver(begin: Callable[[JobService], JobView], chosen: argparse.Namespace, picks: list[Pick] | None) -> None:
    """Begin a job, wait for it and copy its result into `chosen.out`, whole or not at all. Raises Problem.

    The job is closed to other users; the copy is as open as this user wants it.
    """
    from backend.jobs.service import JobService

    with written_privately(), JobService(chosen.data, adopt=False) as service:
        job = begin(service).id
        files = result_of(service, job, chosen, picks)
        can_continue = service.get(job).can_continue
    write_result(chosen.out, files)
    if chosen.json:
        say_json(json.loads(files["result.json"]))
    elif not chosen.quiet:
        _summarise(Result.model_validate_json(files["result.json"]), chosen.out)
        if can_continue:
            data = "" if chosen.data == default_data_folder() else f" --data {shlex.quote(str(chosen.data))}"
            out = shlex.quote(str(chosen.out))
            say(f"It was ended early; to go on: python -m backend continue {job} --out {out}{data}")


def write_result(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, whole or not at all, see `write_together`. Raises Problem."""
    from backend.jobs.folders import storage_problem

    try:
        write_together(folder, files)
    except OSError as error:
        raise storage_problem(error, f"The result cannot be written to {folder}", "there") from error


def result_of(
    service: JobService, job: str, chosen: argparse.Namespace, picks: list[Pick] | None, more: Sequence[str] = ()
) -> dict[str, bytes]:
    """Wait for a job, and read its files, `RESULT_FILES` last. Raises Problem, and KeyboardInterrupt once it has ended.

    more: names of files that are wanted beside them, where there are such.
    """
    _wait(service, job, picks, ask=chosen.ask, quiet=chosen.quiet)
    others = [name for name in service.get(job).files if name not in RESULT_FILES]
    wanted = [name for name in others if chosen.everything or name in more]
    return {name: service.file(job, name).read_bytes() for name in (*wanted, *RESULT_FILES)}


def _wait(service: JobService, job: str, picks: list[Pick] | None, ask: bool, quiet: bool) -> None:
    """Show the job's progress until it is done.

    The first interruption ends it early if its method can do that; any other one cancels it, and passes on once it has
    ended.
    """
    seen, slots = 0, set[str]()
    with tqdm(desc="waiting", total=100, bar_format=BAR, disable=True if quiet else None, leave=False) as bar:
        while True:
            try:
                for event in service.events(job, seen):
                    seen = event.id
                    if event.type == "preview":
                        preview = Preview.model_validate(event.data)
                        if not quiet and preview.slot not in slots:
                            with bar.external_write_mode(file=sys.stderr):
                                tell(f"{preview.caption or preview.slot}: {service.file(job, preview.file)}")
                        slots.add(preview.slot)
                    _show(event, bar)
                    if event.type == "needs_input":
                        with bar.external_write_mode(file=sys.stderr):
                            given = answer(event.data["question"], picks, ask, lambda name: service.file(job, name))
                        service.answer(job, given)
                break
            except KeyboardInterrupt:
                if not service.get(job).can_finish:
                    _cancel(service, job, seen)
                    raise
                service.finish(job)
                with bar.external_write_mode(file=sys.stderr):
                    complain("Ending early, with what there is.", "Press Ctrl-C once more to cancel.")
            except Problem:
                _cancel(service, job, seen)
                raise
    _raise_unless_done(service.get(job))


def _cancel(service: JobService, job: str, seen: int) -> None:
    """Cancel and wait for the end."""
    service.cancel(job)
    for _ in service.events(job, seen):
        continue


def _show(event: Event, bar: tqdm[Any]) -> None:
    if event.type == "progress":
        progress = Progress.model_validate(event.data)
        bar.set_description_str(progress.stage, refresh=False)
        bar.set_postfix_str(f"{progress.eta:.0f} s left" if progress.eta is not None else "", refresh=False)
        bar.n = 100 * progress.fraction
        bar.refresh()
    elif event.type == "warning":
        warning = Warning.model_validate(event.data)
        with bar.external_write_mode(file=sys.stderr):
            complain(warning.message, warning.hint)


def _raise_unless_done(view: JobView) -> None:
    if view.state == JobState.DONE:
        return
    if view.problem:
        raise Problem.from_document(view.problem.model_dump())
    raise Problem("cancelled", "The job was cancelled by another program.")


def _summarise(result: Result, folder: Path) -> None:
    rows = [(prop.node, prop.faces, prop.mask_pixels, f"{prop.mask_iou:.3f}", prop.placement) for prop in result.props]
    say(table(("OBJECT", "TRIANGLES", "PIXELS", "MASK IOU", "PLACED BY"), rows))
    say(f"{len(rows)} objects in {result.seconds:.1f} s: {folder / 'scene.glb'}")
