"""JSON lines over pipes, between a server and its worker.

Lines have a largest length on both sides. A line that is too long or is not a JSON object is skipped: a stray print
of a library must not end a job.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

LONGEST_LINE = 4 << 20

Message = dict[str, Any]
logger = logging.getLogger(__name__)


def encode(message: Message) -> bytes:
    """One line; what is not JSON is sent as text. Raises ValueError for a line too long, NaN and circles."""
    line = json.dumps(message, separators=(",", ":"), allow_nan=False, default=str).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        raise ValueError(f"a message of {len(line)} bytes is too long for the worker's pipe")
    return line


def messages(stream: BinaryIO) -> Iterator[Message]:
    """Every message until the stream ends."""
    while line := stream.readline(LONGEST_LINE):
        if not line.endswith(b"\n"):
            skipped = len(line)
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE)
                skipped += len(line)
            logger.warning("skipped a line of %d bytes on the worker's pipe", skipped)
            continue
        try:
            message = json.loads(line)
        except ValueError:
            logger.warning("skipped a line on the worker's pipe that is not JSON: %.80r", line)
            continue
        if isinstance(message, dict):
            yield message
