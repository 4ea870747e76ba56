"""Tables of the documents, as tests compare them with what programs print."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of `docs/`, without its head; code marks are left out."""
    below = (ROOT / "docs" / document).read_text(encoding="utf-8").partition(f"# {heading}")[2]
    assert below, f"{document} has no heading that begins with '{heading}'"
    return table(below.replace("`", ""))


def table(text: str) -> list[list[str]]:
    """The cells of the first Markdown table in a text, without its head."""
    lines = iter(text.splitlines())
    found = []
    for line in lines:
        if line.startswith("|"):
            found.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif found:
            break
    return found[2:]
