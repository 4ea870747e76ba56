"""What the hub has, and its bytes from any position on.

`huggingface_hub` finds the endpoint (HF_ENDPOINT) and the token, which goes to the endpoint only: its storage, to which
it redirects, stands on other hosts and takes signed addresses instead. Neither tokens nor such addresses get into
messages.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers, filter_repo_objects  # type: ignore[attr-defined]

from backend import __version__
from backend.downloads.folder import HubFile
from backend.downloads.patience import Transient
from backend.downloads.proxies import check_proxies, proxy_of
from backend.errors import Problem
from backend.weights import Weights

LIBRARY = "set-dresser"
MOST_REDIRECTS = 5


@dataclass(frozen=True)
class Chunks:
    """The content of a file from `start` on, as it comes."""

    start: int
    chunks: Iterator[bytes]


class Hub:
    """A connection to the hub, for one model.

    Args:
        weights: the model.
        endpoint: address of the hub.
        silence_seconds: how long it may say nothing before the connection counts as lost.
    """

    def __init__(self, weights: Weights, endpoint: str, silence_seconds: float) -> None:
        self._weights = weights
        self._endpoint = endpoint.rstrip("/")
        self._silence = silence_seconds
        self._api = HfApi(endpoint=self._endpoint, library_name=LIBRARY, library_version=__version__)
        try:
            address = httpx2.URL(self._endpoint)
            self._home, self._host = address.origin, address.host
            self._page = f"{address.copy_with(userinfo=b'')}/{weights.repository}"
        except (httpx2.InvalidURL, ValueError) as error:
            raise Problem("hub-unreachable", f"HF_ENDPOINT is no address: {error}.", "Correct or unset it.") from error
        check_proxies()
        try:
            self._client = httpx2.Client(timeout=silence_seconds, follow_redirects=False)
        except (httpx2.InvalidURL, ValueError, ImportError) as error:
            detail = "What the environment says of proxies cannot be used."
            raise Problem(
                "hub-unreachable", detail, "Correct or unset NO_PROXY and the other proxy variables."
            ) from error

    def close(self) -> None:
        self._client.close()

    def listing(self, revision: str | None) -> tuple[str, list[HubFile]]:
        """The commit that a revision stands for (the main branch if None), and those of its files that are needed.

        Raises:
            Problem: hub-access-denied, hub-not-found, certificate-refused, offline.
            Transient: everything that may pass.
        """
        name = self._weights.repository
        try:
            with self._translated():
                info = self._api.model_info(name, revision=revision, files_metadata=True, timeout=self._silence)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # no JSON, or not what it should be
            raise self._odd("does not say what there is in a form that can be read") from error
        wanted = filter_repo_objects(
            info.siblings or [], allow_patterns=list(self._weights.files), key=lambda each: each.rfilename
        )
        files = []
        for each in wanted:
            digest = f"sha256:{each.lfs.sha256}" if each.lfs else f"git:{each.blob_id}"
            if each.size is None or not (each.lfs or each.blob_id):
                raise self._odd(f"tells neither length nor hash of {each.rfilename}")
            files.append(HubFile(each.rfilename, each.size, digest))
        if not info.sha or not files:
            raise Problem("hub-not-found", f"{name} has none of the files that are needed.")
        return info.sha, files

    @contextmanager
    def content(self, commit: str, file: HubFile, start: int) -> Iterator[Chunks]:
        """The bytes of a file. The hub is asked to begin at `start`; where they begin is in the answer.

        Raises, also while the chunks are taken: see `listing`.
        """
        url = httpx2.URL(hf_hub_url(self._weights.repository, file.path, revision=commit, endpoint=self._endpoint))
        with self._translated():
            for _ in range(MOST_REDIRECTS):
                with self._client.stream("GET", url, headers=self._headers(url, start)) as response:
                    if response.has_redirect_location:
                        url = url.join(response.headers["Location"])
                        continue
                    if response.is_error:
                        raise self._refusal(response, at_home=url.origin == self._home)
                    yield Chunks(self._start(response, file, start), response.iter_raw())
                    return
        raise self._odd("redirects in a circle")

    def _headers(self, url: httpx2.URL, start: int) -> dict[str, str]:
        headers: dict[str, str] = {}
        if url.origin == self._home:
            headers = build_hf_headers(library_name=LIBRARY, library_version=__version__)
        headers["Accept-Encoding"] = "identity"
        if start:
            headers["Range"] = f"bytes={start}-"
        return headers

    def _start(self, response: httpx2.Response, file: HubFile, asked: int) -> int:
        """Where the content begins. Raises Transient for an answer that is not what was asked for."""
        start = 0
        if response.status_code == 206:
            start = asked
            wanted = f"bytes {asked}-{file.bytes - 1}/{file.bytes}"
            if (given := response.headers.get("Content-Range", "")) != wanted:
                raise self._odd(f"sent '{given[:60]}' of {file.path} instead of '{wanted}'")
        elif response.status_code != 200:
            raise self._odd(f"answered {response.status_code} for {file.path}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise self._odd(f"sent {file.path} in an encoding that was not asked for")
        length = response.headers.get("Content-Length")
        if length is not None and length != str(file.bytes - start):
            raise self._odd(f"sends {length[:20]} bytes of {file.path} instead of {file.bytes - start}")
        return start

    # what went wrong

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the libraries as Problem or Transient."""
        name = self._weights.repository
        host = self._host
        try:
            yield
        except HfHubHTTPError as error:
            raise self._refusal(error.response, at_home=True) from error
        except OfflineModeIsEnabled as error:
            raise Problem("offline", "HF_HUB_OFFLINE forbids going online.", "Unset HF_HUB_OFFLINE.") from error
        except httpx2.TransportError as error:
            if reason := _certificate(error):
                raise Problem("certificate-refused", f"The certificate of {host} is refused: {reason}.") from error
            if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError):
                what = f"{host} cannot be reached ({_reason(error)})."
                if proxy := proxy_of(self._endpoint):
                    variable, place = proxy
                    what = (
                        f"{host} cannot be reached through the proxy {place} that {variable} names ({_reason(error)})."
                    )
                    hint = f"Correct or unset {variable}, or look after the proxy, then start again."
                    raise Transient(Problem("hub-unreachable", what, hint)) from error
            elif isinstance(error, httpx2.TimeoutException):
                what = f"{host} has said nothing for {self._silence:g} seconds."
            elif isinstance(error, httpx2.UnsupportedProtocol):
                raise Problem("hub-unreachable", f"{_reason(error)}", "Correct or unset HF_ENDPOINT.") from error
            else:
                what = f"The connection to {host} broke off while {name} was fetched."
            raise Transient(Problem("hub-unreachable", what)) from error
        except (httpx2.DecodingError, httpx2.InvalidURL) as error:
            raise self._odd("sent what cannot be read") from error

    def _odd(self, what: str) -> Transient:
        """An answer that makes no sense, or comes from somebody in between."""
        hint = "A proxy or a login page may be in between. Try again later; what has come so far is kept."
        return Transient(Problem("hub-failed", f"{self._host} {what}.", hint))

    def _refusal(self, response: httpx2.Response, at_home: bool) -> Problem | Transient:
        """What an HTTP status of 400 or more means.

        at_home: it came from the hub itself, not from its storage, which cannot refuse anybody for good: signed
            addresses age, and the next attempt gets a fresh one.
        """
        name, status = self._weights.repository, response.status_code
        if at_home and status in (401, 403, 451):
            what = f"The hub refuses access to {name} ({status}): it wants its terms accepted, or a login."
            login = f"Open {self._page}, accept the terms there, then log in on this computer with: hf auth login"
            return Problem("hub-access-denied", what, login, weights=self._weights.id)
        if at_home and status in (404, 410):
            what = f"The hub has no {name}, or not the revision or the file that is needed ({status})."
            return Problem("hub-not-found", what, f"Look at {self._page}; it may have been moved or withdrawn.")
        if status in (429, 503):
            return Transient(Problem("hub-busy", f"The hub is busy ({status})."), _retry_after(response))
        what = f"The hub failed to answer ({status})." if at_home else f"The hub's storage failed to answer ({status})."
        return Transient(Problem("hub-failed", what))


def _certificate(error: BaseException) -> str | None:
    """Why a certificate was refused, if that is what an error comes from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return str(getattr(seen, "verify_message", "") or "it cannot be verified")
        seen = seen.__cause__ or seen.__context__
    return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds, from either form of the header (RFC 9110, 10.2.3)."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
