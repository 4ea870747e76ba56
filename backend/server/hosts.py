"""Under which names a server answers. A web page can have its own name point here; then it is asked for under that."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Hosts:
    """The names that a request may be for.

    names: host names, which may begin with "*." for any one label, and addresses without brackets.
    ports: which a name may be followed by; with None anything goes, as where a proxy has a port of its own.
    may_be_left_out: the name may stand alone, as it does for the usual port of the scheme.
    """

    def __init__(self, names: Iterable[str], ports: Iterable[int] | None, *, may_be_left_out: bool) -> None:
        self.names = frozenset(map(normal, names))
        self._ports = None if ports is None else frozenset(map(str, ports))
        self._may_be_left_out = may_be_left_out

    def include(self, host: bytes) -> bool:
        """Whether a Host header names this server."""
        name, bracket, rest = host.decode("latin-1").lower().partition("]")
        if bracket:
            if not name.startswith("["):
                return False
            name, colon, port = name[1:], rest[:1], rest[1:]
            if colon not in ("", ":"):
                return False
        else:
            name, colon, port = name.partition(":")
        return self._port_fits(colon, port) and self._name_fits(normal(name))

    def include_origin(self, origin: bytes) -> bool:
        """Whether an Origin header names a page of this server."""
        scheme, separator, host = origin.partition(b"://")
        return bool(separator) and scheme.lower() in (b"https", b"http") and self.include(host)

    def _port_fits(self, colon: str, port: str) -> bool:
        if not colon:
            return self._may_be_left_out
        return port.isascii() and port.isdigit() and (self._ports is None or port in self._ports)

    def _name_fits(self, name: str) -> bool:
        return bool(name) and (name in self.names or "*." + name.partition(".")[2] in self.names)


def normal(name: str) -> str:
    """A name or an address as it is compared."""
    try:
        return str(unmapped(name))
    except ValueError:
        return name.lower().removesuffix(".")


def unmapped(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; one of version 4 inside one of version 6 as what it is. Raises ValueError."""
    found = ipaddress.ip_address(address)
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


def names_of(address: str) -> tuple[str, ...]:
    """What a server is called that listens on an address: that; on every address this machine's names."""
    listening = unmapped(address)
    if listening.is_unspecified:
        return (*OWN_NAMES, socket.gethostname())
    return (*OWN_NAMES, str(listening)) if listening.is_loopback else (str(listening),)
