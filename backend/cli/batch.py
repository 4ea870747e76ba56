"""`batch`: a job for each picture of a folder, or for each line of a list, and a contact sheet of what came of them."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from backend.batches.record import CHANGES, DONE, NAME, Entry, Record, begin_record, read_record
from backend.cli.answering import Pick, read_picks
from backend.cli.batch_items import read_items
from backend.cli.delivery import RESULT_FILES, add_delivery_options, make_folder, result_of, write_result
from backend.cli.generate import add_method_options, methods_of
from backend.cli.inputs import read_file
from backend.cli.output import complain, say, say_json, tell
from backend.contract import JobState, JobView, Result
from backend.errors import Problem
from backend.jobs.folders import storage_problem
from backend.jobs.submission import submission
from backend.privacy import share, written_privately

if TYPE_CHECKING:
    from backend.jobs.service import JobService

LEFT_OUT = 3
"""Exit status where something of the batch was left out."""

OF_ALL = ("disk-full", "output-not-writable", "data-gone", "list-busy", "engine-missing")
"""What goes wrong with one item for a reason that holds for the others too: the batch stops, and can be begun again."""

LOCK = ".batch.lock"
THUMBNAIL = "thumbnail.png"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that a batch has whatever its pipelines are."""
    parser.add_argument(
        "source", type=Path, metavar="FOLDER|LIST",
        help="a folder of pictures; or a text file with a picture's path, or a JSON object, on each line",
    )  # fmt: skip
    add_method_options(parser, required=False)
    parser.add_argument("--name", default="", help="what to call the batch (default: as the folder or the list)")
    add_delivery_options(parser, "batch.json")


def batch(chosen: argparse.Namespace) -> int:
    """Make what is not made yet; results, `batch.json` and the contact sheet are in `out` when this returns.

    Begun again after any end it goes on: what was finished stays, what was running goes on from its checkpoint, and
    what was left out is tried again. Returns the exit status.
    """
    from backend.batches.sheet import sheet_files
    from backend.jobs.service import JobService

    picks = None if chosen.pick is None else read_picks(chosen.pick)
    parameters, prepare = methods_of(chosen) if chosen.pipeline else ({}, {})
    defaults = {"pipeline": chosen.pipeline, "parameters": parameters, "prepare": prepare, "seed": chosen.seed}
    items = read_items(chosen.source, defaults)
    if chosen.source.resolve() == chosen.out.resolve():
        raise Problem("request-invalid", "The results would lie among the pictures.", "Give another folder to --out.")
    make_folder(chosen.out)
    with _alone(chosen.out):
        former = read_record(chosen.out)
        record = begin_record(chosen.name or chosen.source.resolve().stem, items, former)
        with written_privately() as mask, JobService(chosen.data, adopt=False) as service:
            work = _Batch(service, record, chosen, picks, mask)
            with work.written_down():
                for index, item in enumerate(items):
                    if not chosen.quiet:
                        tell(f"{index + 1} of {len(items)}: {item.folder}")
                    work.make(index)
        sheet = sheet_files(record, lambda entry: chosen.out / entry.item.folder / THUMBNAIL, linked=True)
        write_result(chosen.out, sheet)
    if chosen.json:
        say_json(record.model_dump(mode="json"))
    elif not chosen.quiet:
        made = len(items) - len(record.left_out)
        say(f"{made} of {len(items)} made: {chosen.out / 'contact-sheet.html'}")
    return LEFT_OUT if record.left_out else 0


class _Batch:
    """A batch at work. mask: of files that others may see, see `written_privately`."""

    def __init__(
        self, service: JobService, record: Record, chosen: argparse.Namespace, picks: list[Pick] | None, mask: int
    ) -> None:
        self._service, self._record, self._chosen, self._picks, self._mask = service, record, chosen, picks, mask

    def make(self, index: int) -> None:
        """Have an entry made unless it is, or note why not. Raises Problem for what holds for the others too."""
        entry = self._record.entries[index]
        item = entry.item
        try:
            images = [read_file(Path(path), "picture") for path in item.pictures]
            instances = read_file(Path(item.instance_map), "instance map") if item.instance_map else None
            depth = read_file(Path(item.depth), "depth") if item.depth else None
            digest = item.digest([*images, instances, depth])
            if entry.state == DONE and entry.digest == digest and self._is_there(item.folder):
                return
            self._record.entries[index] = entry = entry.begun(digest)
            entry.job = self._job(entry, images, instances, depth).id
            self.note(index)
            files = self._result(entry.job)
            self._write(item.folder, files)
            entry.made(Result.model_validate_json(files["result.json"]))
        except Problem as problem:
            if problem.code in OF_ALL:
                raise
            complain(f"{item.folder} is left out: {problem.detail}", problem.hint)
            entry.failed(problem)
        self.note(index)

    def _result(self, job: str) -> dict[str, bytes]:
        """The files of a job once it is done. Interrupted, it has ended when this raises KeyboardInterrupt."""
        try:
            return result_of(self._service, job, self._chosen, self._picks, more=[THUMBNAIL])
        except KeyboardInterrupt:  # it may have come before anybody waited for the job
            self._service.cancel(job)
            raise

    def _job(self, entry: Entry, images: list[bytes], instances: bytes | None, depth: bytes | None) -> JobView:
        """The job that an entry has begun before, also one whose id was not written down any more; otherwise a new one.

        Each is asked for by a key that tells which entry it is for, and after how many that came to nothing.
        """
        request = entry.item.request.model_copy(update={"origin": self._record.origin(entry)})
        for attempt in itertools.count():
            asked = submission(f"{self._record.id}.{entry.digest}.{attempt}", request, images, instances, depth)
            former = self._service.asked_before("", asked)
            if former is None:
                break
            if (job := self._of_use(former.id)) is not None:
                return job
        return self._service.submit(request, images, instances, depth, asked=asked)

    def _of_use(self, job: str) -> JobView | None:
        """A job that was begun before, if it is finished, at work, or has a checkpoint to go on from."""
        view = self._service.take_over(job)
        if view.can_continue and view.state != JobState.DONE:
            try:
                return self._service.go_on(job)
            except Problem as problem:
                complain(f"It is begun anew: {problem.detail}", problem.hint)
                return None
        return None if view.state in (JobState.FAILED, JobState.CANCELLED) else view

    def _is_there(self, folder: str) -> bool:
        return all((self._chosen.out / folder / name).is_file() for name in RESULT_FILES)

    def _write(self, folder: str, files: dict[str, bytes]) -> None:
        write_result(self._chosen.out / folder, files)
        for path in (self._chosen.out / folder, *(self._chosen.out / folder / name for name in files)):
            share(path, self._mask)

    @contextmanager
    def written_down(self) -> Iterator[None]:
        """Inside, each change of an entry is written down; before and after, whatever ends it, all of the batch is."""
        self._write_whole()
        try:
            yield
        except BaseException:
            with suppress(Problem):  # what ends it is told, and the changes are there
                self._write_whole()
            raise
        self._write_whole()

    def _write_whole(self) -> None:
        self._record.edition += 1
        write_result(self._chosen.out, {NAME: self._record.document()})
        share(self._chosen.out / NAME, self._mask)
        (self._chosen.out / CHANGES).unlink(missing_ok=True)

    def note(self, index: int) -> None:
        """Write down what has become of an entry: all of ten thousand would take a moment each time."""
        path = self._chosen.out / CHANGES
        try:
            with path.open("ab") as file:
                file.write(self._record.change(index))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_problem(error, f"It cannot be written down how far the batch in {path.parent} is") from error
        share(path, self._mask)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Inside, no other process works on the batch in this folder; the system drops the lock however this one ends."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        detail = f"The batch in {folder} is being made by another process."
        raise Problem("request-invalid", detail, "Wait for it, or give another folder to --out.") from None
    except OSError as error:
        raise storage_problem(error, f"The batch cannot be begun in {folder}", "there") from error
    try:
        yield
    finally:
        lock.release()
