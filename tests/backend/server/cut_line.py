"""How a client gets large files over a line that breaks."""

import hashlib
import time
from collections.abc import Callable

import httpx

MOST_TRIES = 12


def send_patiently(connect: Callable[[], httpx.Client], data: bytes) -> None:
    """An upload, as docs/api.md has it: ask how much is there, send the rest, and again after every cut."""
    sha = hashlib.sha256(data).hexdigest()
    for number in range(MOST_TRIES):
        try:
            time.sleep(0.1 * number)  # what was on its way when the line was cut is written first
            with connect() as client:
                first = client.get(f"/uploads/{sha}").json()["received"]
                headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
                answer = client.put(f"/uploads/{sha}", content=data[first:], headers=headers)
                if answer.status_code == 200:
                    assert answer.json()["complete"]
                    return
                assert answer.json()["code"] == "upload-out-of-step", "more of the former connection came meanwhile"
        except httpx.TransportError:
            continue
    raise AssertionError("the upload does not get on")


def fetch_patiently(connect: Callable[[], httpx.Client], path: str) -> bytes:
    """A file of a job, as docs/api.md has it: on from the last byte that came, if it is still the same file."""
    got, tag = b"", ""
    for _ in range(MOST_TRIES):
        asked = {"Range": f"bytes={len(got)}-", "If-Range": tag} if got else {}
        try:
            with connect() as client, client.stream("GET", path, headers=asked) as answer:
                assert answer.status_code == (206 if got else 200)
                tag = answer.headers["etag"]
                for piece in answer.iter_raw(65536):
                    got += piece
            assert tag == f'"{hashlib.sha256(got).hexdigest()}"'
            return got
        except httpx.TransportError:
            continue
    raise AssertionError("the file does not get on")
