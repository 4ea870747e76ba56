"""The server's certificate: looked at before anybody connects, and read again when it was renewed."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.errors import Problem

SOON_SECONDS = 14 * 86400.0
"""A certificate that is valid no longer than that is warned of."""

LOOK_SECONDS = 60.0
"""Between two looks whether the files have changed."""

MISMATCH = "KEY_VALUES_MISMATCH"
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
EXPIRED, NOT_YET = 10, 9
"""Verification codes of OpenSSL (x509_vfy.h)."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claims:
    """What a certificate says of itself.

    names: host names, which may begin with "*.", and addresses, that it is for. ends: seconds since the epoch.
    """

    names: tuple[str, ...]
    ends: float


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What TLS 1.2 and newer needs to be a server. Raises Problem("certificate-unusable")."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path, what in ((certificate, "certificate"), (key, "key")):
        try:
            path.read_bytes()
        except OSError as error:
            detail = f"The {what} {path} cannot be read: {error.strerror or error}."
            raise Problem("certificate-unusable", detail) from error
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == MISMATCH:
            detail = f"The key {key} does not belong to the certificate {certificate}."
            raise Problem("certificate-unusable", detail, "Name the key that the certificate was made for.") from error
        reason = (error.reason or "").replace("_", " ").lower() or "they are no PEM files"
        detail = f"The certificate {certificate} and the key {key} cannot be used: {reason}."
        hint = "Give both as PEM: the certificate with those between it and the authority, the key without a password."
        raise Problem("certificate-unusable", detail, hint) from error
    return context


def _no_password() -> str:
    hint = "Remove it: openssl pkey -in KEY -out NEW_KEY, and close that file to others."
    raise Problem("certificate-unusable", "The key has a password, which nobody could give at a restart.", hint)


def claims(context: ssl.SSLContext, certificate: Path) -> Claims:
    """What the certificate says, as a client sees it that trusts it.

    Raises Problem("certificate-unusable") for one that is not valid now, or not meant for servers.
    """
    text = certificate.read_text(encoding="ascii", errors="replace")
    first = BEGIN + text.partition(BEGIN)[2].partition(END)[0] + END + "\n"
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever signed it: it is trusted itself
    client.load_verify_locations(cadata=first)
    try:
        found = _met(context, client)
    except ssl.SSLCertVerificationError as error:
        hint = "Have it renewed, or correct the computer's clock."
        if error.verify_code == EXPIRED:
            detail = f"The certificate {certificate} has expired."
        elif error.verify_code == NOT_YET:
            detail = f"The certificate {certificate} is not valid yet."
        else:
            detail = f"The certificate {certificate} is refused by clients: {error.verify_message}."
            hint = "Have one made for a server (extended key usage: TLS Web Server Authentication)."
        raise Problem("certificate-unusable", detail, hint) from error
    except ssl.SSLError as error:
        detail = f"No connection can be made with the certificate {certificate}: {error.reason}."
        raise Problem("certificate-unusable", detail) from error
    names = [str(value) for kind, value in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    return Claims(tuple(names), ssl.cert_time_to_seconds(str(found["notAfter"])))


def _met(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, Any]:
    """A handshake between the two, in memory. Returns the server's certificate. Raises ssl.SSLError."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    answering = server.wrap_bio(there, back, server_side=True)
    for _ in range(10):
        waits = 0
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waits += 1
        if not waits:
            break
    return dict(asking.getpeercert() or {})


class Certificate:
    """A certificate and its key; what serves connections is made anew when the files have changed.

    Raises Problem("certificate-unusable") if it cannot be used at the start. Later the former one stays as long as the
    new one cannot be used.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = (certificate.absolute(), key.absolute())
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._context = server_context(*self._paths)
        self.claims = claims(self._context, self._paths[0])
        self._looked = time.monotonic()
        self._warn()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        with self._lock:
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._looked = time.monotonic()
                seen = self._signature()
                if seen != self._seen:
                    self._seen = seen
                    self._read_again()
                self._warn()
            return self._context

    def _read_again(self) -> None:
        try:
            context = server_context(*self._paths)
            self.claims = claims(context, self._paths[0])
            self._context = context
            logger.info("the certificate was read again")
        except (Problem, OSError) as error:  # it was replaced and the key was not yet, or worse
            detail = f"{error.detail} {error.hint}" if isinstance(error, Problem) else str(error)
            logger.error("the former certificate stays: %s", detail)

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state(path) for path in self._paths)

    def _warn(self) -> None:
        left = self.claims.ends - time.time()
        if left < SOON_SECONDS:
            when = time.strftime("%Y-%m-%d", time.gmtime(self.claims.ends))
            logger.warning("the certificate ends on %s: have it renewed; it is read again by itself then", when)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
