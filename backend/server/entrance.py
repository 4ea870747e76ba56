"""How a server can be reached: from this machine alone, unless its options make more of it safe.

Beyond this machine it is never reached without users, nor without TLS, unless behind a proxy that is named: then nobody
else gets in, and the way from there to here is the administrator's to secure.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backend.errors import Problem
from backend.server.hosts import Hosts, names_of, unmapped
from backend.server.tls import Certificate

LOOPBACK = "127.0.0.1"
LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")
HOST_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]+")
HTTPS, HTTP = 443, 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those options of `serve` that say who reaches it."""
    group = parser.add_argument_group("a server for others", "see docs/studio.md; without these it is for this machine")
    group.add_argument("--listen", metavar="ADDRESS:PORT", help="where to listen, as 0.0.0.0:8443 or [::]:8443")
    group.add_argument(
        "--tls", nargs=2, type=Path, metavar=("CERTIFICATE", "KEY"), help="PEM files; read again when they are renewed"
    )
    group.add_argument("--users", type=Path, metavar="FILE", help="who may use it; see: python -m backend users")
    group.add_argument(
        "--host-name",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name it is asked for under (besides its address and the names in the certificate); repeatable",
    )
    group.add_argument(
        "--behind-proxy",
        metavar="ADDRESS",
        help="only this address may connect: a proxy, which speaks TLS",
    )


@dataclass(frozen=True)
class Entrance:
    """How a server can be reached, checked as a whole. Raises Problem("entrance-unsafe", "certificate-unusable").

    listen: address and port; None for a free port of this machine.
    tls: certificate and key. users: the file with the users. host_names: see `hosts`. behind_proxy: an address.
    """

    listen: str | None = None
    tls: tuple[Path, Path] | None = None
    users: Path | None = None
    host_names: tuple[str, ...] = ()
    behind_proxy: str | None = None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Entrance:
        """What the options of `add_arguments` say."""
        tls = None if options.tls is None else (options.tls[0], options.tls[1])
        return cls(options.listen, tls, options.users, tuple(options.host_name), options.behind_proxy)

    def __post_init__(self) -> None:
        if self.listen is None:
            given = {"--tls": self.tls, "--users": self.users, "--host-name": self.host_names}
            for option, value in {**given, "--behind-proxy": self.behind_proxy}.items():
                if value:
                    detail = f"{option} is for a server that others reach, and no --listen says where."
                    raise Problem("entrance-unsafe", detail, f"Add --listen ADDRESS:PORT, or leave {option} out.")
            return
        self._check_address()
        self._check_safety()
        for name in self.host_names:
            if not HOST_NAME.fullmatch(name):
                detail = f"'{name[:80]}' is no host name."
                hint = "Give the name alone, as farm.studio.lan, without scheme and port."
                raise Problem("entrance-unsafe", detail, hint)

    def _check_address(self) -> None:
        hint = "Give numbers, as 192.168.1.20:8443; 0.0.0.0:8443 or [::]:8443 for every address of this machine."
        try:
            address, port = self.address
            unmapped(address)
        except ValueError as error:
            raise Problem("entrance-unsafe", f"--listen '{str(self.listen)[:80]}' is no address.", hint) from error
        if port > 65535:
            raise Problem("entrance-unsafe", f"There is no port {port}; 65535 is the last.", hint)
        if self.behind_proxy is not None:
            try:
                unmapped(self.behind_proxy)
            except ValueError as error:
                detail = f"--behind-proxy '{self.behind_proxy[:80]}' is no address."
                raise Problem("entrance-unsafe", detail, "Give the proxy's address in numbers.") from error

    def _check_safety(self) -> None:
        address, _ = self.address
        add_users = "Add users: python -m backend users add NAME --users FILE, then serve with --users FILE."
        if self.behind_proxy is not None and self.users is None:
            detail = f"Behind the proxy {self.behind_proxy} everybody would be the same user, with one token."
            raise Problem("entrance-unsafe", detail, add_users)
        if self.loopback:
            return
        if self.users is None:
            detail = f"On {address} other machines could reach this server, and it has no users."
            raise Problem("entrance-unsafe", detail, f"{add_users} Or listen on 127.0.0.1.")
        if self.tls is None and self.behind_proxy is None:
            detail = f"On {address} tokens and pictures would go over the network for everybody to read."
            hint = (
                "Add --tls CERTIFICATE KEY, or --behind-proxy ADDRESS if a proxy with TLS stands before this server. "
                "Or listen on 127.0.0.1."
            )
            raise Problem("entrance-unsafe", detail, hint)

    @property
    def address(self) -> tuple[str, int]:
        """Where to listen; port 0 for a free one. Raises ValueError for what is no address."""
        if self.listen is None:
            return LOOPBACK, 0
        found = LISTEN.fullmatch(self.listen)
        if found is None:
            raise ValueError("no address and port")
        return found["v6"] or found["v4"], int(found["port"])

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return unmapped(self.address[0]).is_loopback

    @cached_property
    def certificate(self) -> Certificate | None:
        """Read and checked the first time it is asked for. Raises Problem("certificate-unusable")."""
        return None if self.tls is None else Certificate(*self.tls)

    @property
    def proxy(self) -> str | None:
        """The one address that may connect; None for any."""
        return None if self.behind_proxy is None else str(unmapped(self.behind_proxy))

    def hosts(self, port: int) -> Hosts:
        """The names that requests may be for; `port` is the one that is listened on.

        They are the address listened on (for every address: localhost and this machine's name), those in the
        certificate, and those that were named. Behind a proxy the port may be any, as it is the proxy's.
        """
        if self.listen is None:
            return Hosts(names_of(LOOPBACK), [port], may_be_left_out=False)
        certified = self.certificate.claims.names if self.certificate else ()
        names = (*names_of(self.address[0]), *certified, *self.host_names)
        usual = HTTPS if self.tls else HTTP
        if self.proxy is not None:
            return Hosts(names, None, may_be_left_out=True)
        return Hosts(names, [port], may_be_left_out=port == usual)

    def listener(self) -> socket.socket:
        """A socket that is bound there. Raises OSError."""
        address, port = self.address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # asyncio sends small writes at once (TCP_NODELAY) only where the protocol is named; otherwise each answer that
        # is written in two parts costs 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if sys.platform == "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            elif port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # after a restart the port is free
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # [::] is every address, of both kinds
            listener.bind((address, port))
        except BaseException:
            listener.close()
            raise
        return listener


FOR_THIS_MACHINE = Entrance()
"""On a free port of 127.0.0.1, with one token."""
