"""Where an exchange goes: a port of this machine, or a server of a studio; and what went wrong on the way, in words."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from pathlib import Path

from .address import Address
from .connections import Connection, NotConnected, Place, SecureConnection
from .http_framing import ConnectionProblem
from .names import Lookup
from .trust import Trust

EXPIRED, NOT_YET, OTHER_NAME, OTHER_ADDRESS = 10, 9, 62, 64
SELF_SIGNED, UNKNOWN = (18, 19), (2, 20, 21, 27)
"""Verification codes of OpenSSL (x509_vfy.h)."""

NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")
"""Reasons of OpenSSL's: what came is no TLS."""

OLD_TLS = ("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE")
CONNECT_SECONDS = 10.0
"""Until a server elsewhere takes a connection, and between two steps of the handshake."""

SLICE_SECONDS = 0.002
"""Of reading certificates, where nobody says how long it may take."""

NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Endpoint:
    """The backend of this Blender, on 127.0.0.1; no proxy is ever asked."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.host = f"127.0.0.1:{port}"
        """The header Host."""

    def connection(self) -> Connection:
        """One that has not been begun. Raises ConnectionProblem."""
        return Connection([(socket.AF_INET, "127.0.0.1", self._port)])

    def establish(self, connection: Connection) -> bool:
        """`Connection.establish`. Raises ConnectionProblem."""
        try:
            return connection.establish()
        except ConnectionError as error:
            hint = "Start it again, and look into its log if it ends again."
            raise ConnectionProblem("The backend is not there.", hint, "refused", str(error)) from error

    def silent(self, seconds: float, connecting: bool) -> ConnectionProblem:
        """What to say when nothing has come for so long."""
        what = "take the connection" if connecting else "answer"
        message = f"The backend did not {what} for {seconds:g} seconds."
        return ConnectionProblem(message, "It may be overloaded; stop it and start it again.", "timeout")

    def lost(self, error: Exception, answered: bool) -> ConnectionProblem:
        """What to say when the connection was cut. answered: whether anything of an answer had come."""
        hint = "Try again; finished jobs are safe."
        return ConnectionProblem("The connection to the backend was cut.", hint, "lost", str(error))

    def misunderstood(self, problem: ConnectionProblem) -> ConnectionProblem:
        """What to say when what came is not what was asked for."""
        return problem

    def prepare(self, deadline: float) -> bool:
        """Gather what a connection needs; whether all is there. Raises ConnectionProblem."""
        return True

    def close(self) -> None:
        """Let go of what is being looked up."""


class StudioEndpoint(Endpoint):
    """A server that others reach too, by its name, over TLS.

    The name is looked up once, until no connection comes about; whom to believe is read once.

    authority: the certificate of a private authority; None for those that the system believes.
    """

    def __init__(self, address: Address, authority: Path | None = None) -> None:
        self.address = address
        self.host = address.authority
        self._authority = authority
        self._trust: Trust | None = None
        self._lookup: Lookup | None = None
        self._places: list[Place] = []
        if address.numeric:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            self._places = [(family, address.host, address.port)]
        elif address.host == "localhost":
            local = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
            self._places = [(family, numbers, address.port) for family, numbers in local]
        self._fixed = bool(self._places)

    def connection(self) -> Connection:
        return _Late(self)

    def places(self) -> list[Place] | None:
        """Where it can be reached; None until that is known. Raises ConnectionProblem."""
        if self._places:
            return self._places
        if self._lookup is None:
            self._lookup = Lookup(self.address.host)
        try:
            found = self._lookup.poll()
        except ConnectionProblem:
            self.close()
            raise
        if found is not None:
            self.close()
            self._places = [(family, numbers, self.address.port) for family, numbers in found]
        return self._places or None

    def context(self, deadline: float) -> ssl.SSLContext | None:
        """Whom to believe; None until that is read. Raises ConnectionProblem."""
        if self._trust is None:
            self._trust = Trust(self._authority)
        return self._trust.context(deadline)

    def prepare(self, deadline: float) -> bool:
        places = self.places()
        return places is not None and (not self.address.tls or self.context(deadline) is not None)

    def establish(self, connection: Connection) -> bool:
        try:
            return connection.establish()
        except NotConnected as error:
            self._places = self._places if self._fixed else []  # it may have moved
            raise self._no_connection(error) from error
        except ssl.SSLError as error:
            self._trust = None  # the file may be another one by the next time
            raise self._refused_certificate(error) from error
        except ConnectionError as error:  # in the middle of the handshake
            raise self.lost(error, False) from error

    def silent(self, seconds: float, connecting: bool) -> ConnectionProblem:
        where = self.host
        message = f"{where} did not answer for {seconds:g} seconds."
        hint = "Check the address, this computer's network or VPN, and with whoever runs the server whether it does."
        return ConnectionProblem(message, hint, "timeout")

    def lost(self, error: Exception, answered: bool) -> ConnectionProblem:
        where = self.host
        if not answered and not self.address.tls:
            message = f"{where} hung up without a word, as a server does that wants TLS."
            raise ConnectionProblem(message, "Write https:// before the address.", "tls-wanted", str(error))
        hint = "It goes on by itself when the server is back; finished jobs are safe."
        return ConnectionProblem(f"The connection to {where} was cut.", hint, "lost", str(error))

    def misunderstood(self, problem: ConnectionProblem) -> ConnectionProblem:
        return not_set_dresser(self.host, problem.message) if problem.code == "invalid" else problem

    def close(self) -> None:
        if self._lookup is not None:
            self._lookup.close()
            self._lookup = None

    def _no_connection(self, error: NotConnected) -> ConnectionProblem:
        where = self.host
        if error.errno in NO_WAY:
            message = f"There is no way from here to {where}."
            hint = "Check this computer's network, and its VPN if the studio has one."
            return ConnectionProblem(message, hint, "no-way", str(error))
        if error.errno == errno.ETIMEDOUT:
            return self.silent(CONNECT_SECONDS, connecting=True)
        message = f"Nothing listens at {where}."
        hint = "Check the port, as in farm.studio.lan:8443, and with whoever runs the server whether it does."
        return ConnectionProblem(message, hint, "refused", str(error))

    def _refused_certificate(self, error: ssl.SSLError) -> ConnectionProblem:
        where, details = self.host, str(error)
        if not isinstance(error, ssl.SSLCertVerificationError):
            return self._no_handshake(error)
        said = getattr(error, "verify_message", "")
        if error.verify_code == EXPIRED:
            message = f"The certificate of {where} has expired."
            hint = "Have whoever runs the server renew it; if it is new, set this computer's clock."
            return ConnectionProblem(message, hint, "certificate-expired", details)
        if error.verify_code == NOT_YET:
            message = f"The certificate of {where} is not valid yet."
            return ConnectionProblem(message, "Set this computer's clock, or wait.", "certificate-not-yet", details)
        if error.verify_code in (OTHER_NAME, OTHER_ADDRESS):
            message = f"What answers at {where} has a certificate for other names."
            hint = "Type the address as whoever runs the server has told it: the name, if it has one, not the numbers."
            return ConnectionProblem(message, hint, "certificate-name", details)
        if error.verify_code in (*SELF_SIGNED, *UNKNOWN):
            message = f"The certificate of {where} is of an authority that is not known here."
            if self._authority is None:
                hint = "Choose the file with the authority's certificate, which whoever runs the server has."
            else:
                hint = "The certificate that is chosen is another one; ask whoever runs the server for theirs."
            return ConnectionProblem(message, hint, "certificate-unknown", details)
        message = f"The certificate of {where} is not good: {said}."
        hint = "Have whoever runs the server look at it; docs/studio.md says how one is made."
        return ConnectionProblem(message, hint, "certificate-bad", details)

    def _no_handshake(self, error: ssl.SSLError) -> ConnectionProblem:
        where, reason = self.host, error.reason or ""
        if reason in NO_TLS or "HTTP" in reason:
            message = f"{where} does not speak TLS, so anybody on the way could read the token."
            hint = "Check the port; otherwise whoever runs the server starts it with --tls, or behind a proxy with TLS."
            return ConnectionProblem(message, hint, "tls-missing", str(error))
        if reason in OLD_TLS:
            message = f"{where} speaks no TLS that is safe: 1.2 is the oldest that counts."
            return ConnectionProblem(message, "Have whoever runs it update it.", "tls-old", str(error))
        if isinstance(error, ssl.SSLEOFError):
            return self.lost(error, False)
        message = f"No TLS came about with {where}: {reason.replace('_', ' ').lower() or error}."
        hint = "Check the port, and whether a proxy or an antivirus program stands between."
        return ConnectionProblem(message, hint, "tls-failed", str(error))


def not_set_dresser(where: str, details: str) -> ConnectionProblem:
    """What to say when somebody else answers there."""
    message = f"What answers at {where} is no server of Set Dresser."
    return ConnectionProblem(message, "Check the address and its port.", "not-set-dresser", details)


class _Late(Connection):
    """To a studio's server: what it needs is gathered first."""

    def __init__(self, endpoint: StudioEndpoint) -> None:
        super().__init__([])
        self._endpoint = endpoint
        self._made: Connection | None = None

    def establish(self) -> bool:
        if self._made is None:
            places = self._endpoint.places()
            if places is None:
                return False
            if self._endpoint.address.tls:
                context = self._endpoint.context(time.perf_counter() + SLICE_SECONDS)
                if context is None:
                    return False
                self._made = SecureConnection(places, context, self._endpoint.address.host)
            else:
                self._made = Connection(places)
        return self._made.establish()

    def send(self, data: memoryview) -> int:
        assert self._made is not None
        return self._made.send(data)

    def receive(self, most: int) -> bytes:
        assert self._made is not None
        return self._made.receive(most)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
