"""The contact sheet of a batch: a page of HTML that needs no other file, the same as PNG, and a table."""

from __future__ import annotations

import base64
import bisect
import csv
import functools
import html
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from PIL import Image, ImageDraw, ImageFont

from backend.batches.record import DONE, Entry, Record
from backend.errors import Problem
from backend.imaging.reading import read_picture

SIDE = 192
"""Pixels of a small picture."""

LARGEST = 1_000_000_000
"""Bytes of a picture that is shown."""

LONGEST = 300
"""Characters of a text that are looked at for a line or two of a PNG."""

GAP, LINE = 12, 20
COLUMNS, ROWS = 4, 15
"""Of a PNG; a longer batch has several."""

PAPER, BOARD, INK, FAINT, RED = (250, 250, 248), (232, 232, 228), (28, 28, 30), (110, 110, 112), (176, 30, 30)
HTML, PNG, CSV = "contact-sheet.html", "contact-sheet{}.png", "batch.csv"
COLUMN_NAMES = (
    *("name", "state", "pipeline", "seconds", "objects", "triangles", "mask_iou", "finished_early"),
    *("warnings", "problem", "sentence", "hint", "job", "picture", "scene", "remarks"),
)
STYLE = """
body { background: #fafaf8; color: #1c1c1e; font: 14px/1.4 system-ui, sans-serif; margin: 24px; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(410px, 1fr)); gap: 24px 16px; }
article div { display: flex; gap: 4px; }
article img, article .none { width: 192px; height: 192px; background: #e8e8e4; }
article .none { display: flex; align-items: center; justify-content: center; color: #6e6e70; }
h2 { font-size: 15px; margin: 6px 0 0; } p { margin: 0; color: #6e6e70; max-width: 390px; }
p.problem { color: #b01e1e; } a { color: inherit; }
"""


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell begins with that a spreadsheet would calculate."""


def sheet_files(record: Record, prop_picture: Callable[[Entry], Path | None], linked: bool) -> dict[str, bytes]:
    """The files of the sheet by name, the page last.

    prop_picture: where the picture of an entry's props is, if that is known. linked: whether the result of each entry
    lies in a folder of its name beside the sheet.
    """
    files, articles = {CSV: _table(record, linked)}, list[str]()
    opened = functools.lru_cache(COLUMNS * ROWS)(_open)  # many entries may show the same, and large, picture
    for number, begin in enumerate(range(0, len(record.entries), COLUMNS * ROWS), 1):
        pairs = [  # of one page at a time: those of ten thousand entries would fill the memory
            (
                entry,
                opened(Path(entry.item.pictures[0])) if entry.item.pictures else None,
                opened(path) if entry.state == DONE and (path := prop_picture(entry)) is not None else None,
            )
            for entry in record.entries[begin : begin + COLUMNS * ROWS]
        ]
        files[PNG.format("" if number == 1 else f"-{number}")] = _drawn(record, pairs)
        articles += [_article(pair, linked) for pair in pairs]
    return {**files, HTML: _page(record, articles)}


def spoken(entry: Entry) -> str:
    """What has come of an entry, in a few words."""
    if entry.problem is not None:
        return entry.problem.detail
    if entry.state != DONE:
        return entry.state
    objects = f"{entry.objects} object" + ("" if entry.objects == 1 else "s")
    early = ", ended early" if entry.finished_early else ""
    remarks = len(entry.warnings)
    told = "" if not remarks else f", {remarks} warning" + ("" if remarks == 1 else "s")
    return f"{entry.seconds:.1f} s, {objects}, {entry.triangles:,} triangles{early}{told}"


def said_of_all(record: Record) -> str:
    """Like "7 of 8 made, 12 objects, 1 left out"."""
    done = [entry for entry in record.entries if entry.state == DONE]
    objects = sum(entry.objects or 0 for entry in done)
    parts = [f"{len(done)} of {len(record.entries)} made", f"{objects} object" + ("" if objects == 1 else "s")]
    return ", ".join([*parts, *([f"{len(record.left_out)} left out"] if record.left_out else [])])


Pair = tuple[Entry, Image.Image | None, Image.Image | None]


def _open(path: Path) -> Image.Image | None:
    """A picture in the middle of a square of `SIDE`, on the board's grey; None for what is none, or would never end."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        pixels = read_picture(path.read_bytes(), path.name, SIDE).pixels
    except (OSError, Problem):
        return None
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    board = Image.new("RGB", (SIDE, SIDE), BOARD)
    board.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2), image)
    return board


def _drawn(record: Record, pairs: Sequence[Pair]) -> bytes:
    """One page as PNG: what came of all of it; under each picture and its prop the name, and what came of that."""
    wide, high = 2 * SIDE + 4, SIDE + 3 * LINE
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    top = GAP + 3 * LINE
    size = GAP + columns * (wide + GAP), top + rows * (high + GAP)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    large, small = ImageFont.load_default(18), ImageFont.load_default(13)
    for text, below, colour, font in ((record.name, 0, INK, large), (said_of_all(record), LINE + 4, FAINT, small)):
        draw.text((GAP, GAP + below), _fitting(draw, text, font, size[0] - 2 * GAP), colour, font)
    for index, (entry, picture, prop) in enumerate(pairs):
        left, up = GAP + index % columns * (wide + GAP), top + index // columns * (high + GAP)
        for image, x, kind in ((picture, left, "picture"), (prop, left + SIDE + 4, "prop")):
            if image is None:
                draw.rectangle((x, up, x + SIDE - 1, up + SIDE - 1), BOARD)
                draw.text((x + SIDE // 2, up + SIDE // 2), f"no {kind}", FAINT, small, "mm")
            else:
                page.paste(image, (x, up))
        below = up + SIDE + 4
        draw.text((left, below), _fitting(draw, entry.item.folder, small, wide), INK, small)
        colour = FAINT if entry.problem is None else RED
        for row, words in enumerate(_wrapped(draw, spoken(entry), small, wide)):
            draw.text((left, below + (row + 1) * (LINE - 3)), words, colour, small)
    file = io.BytesIO()
    page.save(file, "PNG", compress_level=6)
    return file.getvalue()


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _fitting(draw: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> str:
    """As much of a text as there is room for, in one line."""
    text = " ".join(text[:LONGEST].split())
    if draw.textlength(text, font) <= width:
        return text
    room = bisect.bisect_right(
        range(len(text)), float(width), key=lambda end: draw.textlength(f"{text[:end]}...", font)
    )
    return f"{text[: max(room - 1, 0)]}..."


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> Iterator[str]:
    """A text in two lines at most."""
    first, rest = "", text[:LONGEST].split()
    while rest and draw.textlength(f"{first} {rest[0]}".strip(), font) <= width:
        first = f"{first} {rest.pop(0)}".strip()
    if first:
        yield first
    if rest:
        yield _fitting(draw, " ".join(rest), font, width)


def _page(record: Record, articles: Sequence[str]) -> bytes:
    """The sheet as HTML; pictures are in it, scenes are linked."""
    title, joined = html.escape(record.name), "\n".join(articles)
    remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in record.remarks)
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"</head><body>\n<h1>{title}</h1><p>{said_of_all(record)}</p>{remarks}\n<main>\n{joined}\n</main></body></html>\n"
    )
    return text.encode()


def _article(pair: Pair, linked: bool) -> str:
    entry, *images = pair
    name = html.escape(entry.item.folder)
    shown = "".join(_embedded(image, kind) for image, kind in zip(images, ("picture", "prop"), strict=True))
    if linked and entry.state == DONE:
        name = f'<a href="{quote(entry.item.folder)}/scene.glb">{name}</a>'
    kind = ' class="problem"' if entry.problem is not None else ""
    hint = "" if entry.problem is None else f"<p>{html.escape(entry.problem.hint)}</p>"
    remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in (*entry.remarks, *entry.warnings))
    return (
        f"<article><div>{shown}</div><h2>{name}</h2><p{kind}>{html.escape(spoken(entry))}</p>{hint}{remarks}</article>"
    )


def _embedded(image: Image.Image | None, kind: str) -> str:
    if image is None:
        return f'<span class="none">no {kind}</span>'
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return f'<img alt="{kind}" src="data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _table(record: Record, linked: bool) -> bytes:
    """CSV with the mark by which spreadsheets know UTF-8. Before what they would calculate stands an apostrophe."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMN_NAMES)
    for entry in record.entries:
        item, problem = entry.item, entry.problem
        told = ("", "", "") if problem is None else (problem.code, problem.detail, problem.hint)
        scene = f"{item.folder}/scene.glb" if linked and entry.state == DONE else ""
        measured = (entry.seconds, entry.objects, entry.triangles, entry.mask_iou, entry.finished_early)
        said = (
            " | ".join(entry.warnings),
            *told,
            entry.job,
            item.pictures[0] if item.pictures and linked else "",
            scene,
        )
        row = (item.folder, entry.state, item.request.pipeline, *measured, *said, " | ".join(entry.remarks))
        writer.writerow([_not_calculated(cell) for cell in row])
    return file.getvalue().encode("utf-8-sig")


def _not_calculated(cell: object) -> object:
    """A cell that is shown as it is: names and sentences come from anywhere."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
