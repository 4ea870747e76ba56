"""What a client calls its request for a new job by, so that it may send it again without making a second job.

Over a line that is cut, or from a client that dies, a request may have come although nobody has heard its answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.contract import AgainRequest, GenerateRequest, OutlineFiles
from backend.errors import Problem

KEY = re.compile(r"[A-Za-z0-9._-]{8,128}")


@dataclass(frozen=True)
class Submission:
    """key: the client's, one for each job that it wants; of each user apart. digest: of what is asked for, SHA-256."""

    key: str
    digest: str


def submission(
    key: str,
    request: GenerateRequest,
    images: Sequence[bytes],
    instances: bytes | None = None,
    depth: bytes | None = None,
    outlines: Sequence[OutlineFiles] = (),
) -> Submission:
    """Of a request with its files. Where it was made (`origin`) does not count: a client that was started anew tells of
    that otherwise. Raises Problem("request-invalid") for what is no key."""
    files = [[_hash(data) for data in images], _hash(instances), _hash(depth)]
    layers = [[_hash(part) for part in layer] for layer in outlines]
    return _submission(key, [_plain(request, "origin"), files, layers])


def submission_again(key: str, job: str, changes: AgainRequest) -> Submission:
    """The same of a request for a job with the inputs of another one."""
    return _submission(key, [job, _plain(changes, "origin")])


def _submission(key: str, asked: list[Any]) -> Submission:
    if not KEY.fullmatch(key):
        detail = f"'{key[:40]}' is no key of a request."
        raise Problem("request-invalid", detail, "Give 8 to 128 letters, digits, dots, dashes and underscores.")
    return Submission(key, hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest())


def _plain(document: GenerateRequest | AgainRequest, *without: str) -> dict[str, Any]:
    """Without defaults, so that a later version with more members finds the same."""
    return document.model_dump(mode="json", exclude_defaults=True, exclude=set(without))


def _hash(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()
