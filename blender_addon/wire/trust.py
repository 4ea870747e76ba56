"""Whose certificates are believed: those of the authority that is named, or else those that the system believes."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from ..installer.plan import CERTIFICATES
from .http_framing import ConnectionProblem

LARGEST = 8_000_000
"""Bytes of a file of certificates; those of whole systems have a quarter of a million."""

_END = "-----END CERTIFICATE-----"
_BEGIN = "-----BEGIN CERTIFICATE-----"


class Trust:
    """What TLS 1.2 and newer needs to be a client. A system believes in a hundred and more authorities, and each takes
    OpenSSL a millisecond, so they are taken in a few at a time.

    authority: a PEM file; with one nobody else is believed.
    """

    def __init__(self, authority: Path | None) -> None:
        """Raises ConnectionProblem if the file holds no certificates."""
        self.authority = authority
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_alpn_protocols(["http/1.1"])
        # A studio may give its artists the certificate of the server itself, rather than that of an authority.
        self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._left = list(_of_the_system() if authority is None else _of_file(authority))

    def context(self, deadline: float) -> ssl.SSLContext | None:
        """None until all are taken in; some are with each call. Raises ConnectionProblem."""
        while self._left:
            certificate = self._left.pop()
            try:
                self._context.load_verify_locations(cadata=certificate)
            except ssl.SSLError as error:
                if self.authority is not None:
                    raise _unusable(self.authority, "what is in it is no certificate", str(error)) from error
            if time.perf_counter() >= deadline:
                break
        return None if self._left else self._context


def _of_file(path: Path) -> Iterable[bytes]:
    try:
        if path.stat().st_size > LARGEST:
            raise _unusable(path, "it is too large for one")
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(path, (error.strerror or str(error)).lower()) from error
    found = _in_pem(data)
    if not found:
        raise _unusable(path, "there is no certificate in it")
    return found


def _unusable(path: Path, why: str, details: str = "") -> ConnectionProblem:
    hint = (
        "Choose the file authority.pem that whoever runs the server gives to everybody, a text that begins with BEGIN."
    )
    return ConnectionProblem(f"The certificate {path} cannot be used: {why}.", hint, "certificate-file", details)


def _of_the_system() -> Iterable[bytes]:
    """All that the system, Blender and its environment believe, each certificate once."""
    found: dict[bytes, None] = {}
    if sys.platform == "win32":
        for store in ("ROOT", "CA"):
            for data, kind, _ in ssl.enum_certificates(store):
                if kind == "x509_asn":
                    found[data] = None
    usual = ssl.get_default_verify_paths().cafile
    for name in dict.fromkeys(filter(None, (os.environ.get("SSL_CERT_FILE"), usual, *CERTIFICATES))):
        with contextlib.suppress(OSError):  # those are places where there may be a file
            found |= dict.fromkeys(_in_pem(Path(name).read_bytes()))
    return found


def _in_pem(data: bytes) -> list[bytes]:
    """The certificates of a PEM file, in DER; what is broken is left out."""
    found = []
    for part in data.decode("ascii", "replace").split(_BEGIN)[1:]:
        with contextlib.suppress(ValueError):
            found.append(ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{part.partition(_END)[0]}{_END}"))
    return found
