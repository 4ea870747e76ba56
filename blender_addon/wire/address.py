"""Where a server of a studio is, from whatever people type. Pure: nothing is looked up."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ..ground.messages import SetDresserError

HTTPS, HTTP = 443, 80
AROUND = " \t\r\n\v\f\u00a0\u200b\ufeff\"'`<>()“”‘’„«»,;"
"""What comes along when an address is copied out of a text."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::(\d*))?", re.ASCII)
_NAME_AND_PORT = re.compile(r"([^:]+)(?::(\d*))?", re.ASCII)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_LIKE = "Type it as farm.studio.lan:8443, 192.168.1.20:8443 or [fd00::20]:8443."


@dataclass(frozen=True)
class Address:
    """Host and port of a server. host: a name in lower case, or an address in numbers, without brackets. tls: whether
    it is asked over TLS, which is left out on this machine alone."""

    host: str
    port: int
    tls: bool = True

    @property
    def authority(self) -> str:
        """As the header Host has it (RFC 9110): the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (HTTPS if self.tls else HTTP) else f"{host}:{self.port}"

    @property
    def numeric(self) -> bool:
        """Whether the host is an address in numbers, which needs no looking up."""
        return _numbers(self.host) is not None

    @property
    def loopback(self) -> bool:
        """Whether it is this machine."""
        numbers = _numbers(self.host)
        return self.host == "localhost" or (numbers is not None and numbers.is_loopback)


def parse(text: str) -> Address:
    """An address as people type it: with or without https://, port, slash at the end, and spaces around.

    Without a port it is that of https, 443. Raises SetDresserError that says what is wrong with it.
    """
    typed = text.strip(AROUND)
    if not typed:
        raise SetDresserError("No server is named.", _LIKE, "address-invalid")
    scheme, rest = _scheme(typed)
    rest = re.sub(r"\s*:\s*", ":", rest.replace("\\", "/"))
    authority, _, path = rest.partition("/")
    if path.strip("/ ") or any(mark in authority for mark in "?#"):
        message = f"'{_shown(typed)}' is the address of a page."
        raise SetDresserError(message, "Leave out what comes after the name and the port.", "address-invalid")
    if "@" in authority:
        message = "The address has a user or a password in it."
        raise SetDresserError(message, "Leave it out: who you are is told by the token.", "address-invalid")
    host, port = _host_and_port(authority.strip(AROUND), typed)
    address = Address(host, (HTTP if scheme == "http" else HTTPS) if port is None else port, scheme != "http")
    if not address.tls and not address.loopback:
        message = "Over http:// everybody on the way could read the token and the pictures."
        raise SetDresserError(message, "Write https://, or leave it out.", "address-invalid")
    return address


def _scheme(typed: str) -> tuple[str, str]:
    found = _SCHEME.match(typed)
    if found is None:
        return "https", typed
    scheme = found[1].lower()
    if scheme not in ("https", "http"):
        message = f"The server is asked over https, not over {_shown(scheme)}."
        raise SetDresserError(message, f"Leave out {_shown(scheme)}://.", "address-invalid")
    return scheme, typed[found.end() :]


def _host_and_port(authority: str, typed: str) -> tuple[str, int | None]:
    numbers = _numbers(authority)
    if numbers is not None and numbers.version == 6:  # without brackets, so without a port
        return _usable(numbers), None
    bracketed = authority.startswith("[")
    found = (_BRACKETS if bracketed else _NAME_AND_PORT).fullmatch(authority)
    if found is None:
        raise SetDresserError(f"'{_shown(typed)}' is no address of a server.", _LIKE, "address-invalid")
    port = int(found[2][:9]) if found[2] else None
    if port is not None and not 0 < port < 65536:
        raise SetDresserError(f"There is no port {port}.", "Ports go from 1 to 65535.", "address-invalid")
    numbers = _numbers(found[1])
    if numbers is not None and (numbers.version == 6) == bracketed:
        return _usable(numbers), port
    name = _ascii(found[1].strip().removesuffix("."))
    if bracketed or not _NAME.fullmatch(name) or len(name) > 253:
        raise SetDresserError(f"'{_shown(found[1])}' is no name of a machine.", _LIKE, "address-invalid")
    if re.fullmatch(r"[0-9.]+", name):
        message = f"'{_shown(name)}' is no address: that is four numbers from 0 to 255."
        raise SetDresserError(message, _LIKE, "address-invalid")
    return name, port


def _usable(numbers: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if numbers.is_unspecified or numbers.is_multicast:
        message = f"{numbers} is where a server listens, and no address that it can be reached at."
        raise SetDresserError(message, "Ask whoever runs it for its name.", "address-invalid")
    return str(numbers)


def _numbers(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        numbers = ipaddress.ip_address(host)
    except ValueError:
        return None
    return None if getattr(numbers, "scope_id", None) else numbers


def _ascii(name: str) -> str:
    """A name as it is looked up: bücher.lan is xn--bcher-kva.lan."""
    try:
        return name.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return name.lower()


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
