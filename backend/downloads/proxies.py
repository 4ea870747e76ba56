"""The proxies that the environment names: judged before they are used, and named by their variable when they fail.

The HTTP client takes them from the environment by itself. Values may hold passwords and never get into a sentence.
"""

from __future__ import annotations

import importlib.util
import os
from urllib.request import getproxies, proxy_bypass

import httpx2

from backend.errors import Problem

SCHEMES = ("http", "https")
SOCKS = ("socks5", "socks5h")


def check_proxies() -> None:
    """Raises Problem: "hub-unreachable" or "engine-missing" for a proxy that cannot be used, with its variable."""
    proxies = getproxies()
    for kind in (*SCHEMES, "all"):
        if not (value := proxies.get(kind)):
            continue
        variable = _variable(kind)
        scheme, separator, _ = value.partition("://")
        scheme = scheme.lower() if separator else "http"
        if scheme not in (*SCHEMES, *SOCKS):
            detail = f"{variable} names a proxy of the kind {scheme[:20]}, which cannot be used."
            raise Problem("hub-unreachable", detail, "Begin it with http://, https://, socks5:// or socks5h://.")
        try:
            usable = bool(httpx2.URL(value if separator else f"http://{value}").host)
        except (httpx2.InvalidURL, ValueError):
            usable = False
        if not usable:
            hint = "Write it as http://user:password@host:port; in a password, # is %23, @ is %40 and : is %3A."
            raise Problem("hub-unreachable", f"{variable} is no address of a proxy.", hint)
        if scheme in SOCKS and importlib.util.find_spec("socksio") is None:
            detail = f"{variable} names a SOCKS proxy, and the library that speaks to one (socksio) is missing."
            raise Problem("engine-missing", detail, "Press Repair in the add-on's preferences, or use an HTTP proxy.")


def proxy_of(url: str) -> tuple[str, str] | None:
    """The variable that names the proxy for an address, and the proxy's host and port; None without a proxy."""
    address = httpx2.URL(url)
    proxies = getproxies()
    kind = address.scheme if proxies.get(address.scheme) else "all"
    if not proxies.get(kind) or proxy_bypass(address.host):
        return None
    value = proxies[kind]
    proxy = httpx2.URL(value if "://" in value else f"http://{value}")
    return _variable(kind), proxy.netloc.decode("ascii", "replace").rpartition("@")[2]


def _variable(kind: str) -> str:
    """The variable of a kind of proxy as the environment spells it."""
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    return next((name for name in names if os.environ.get(name)), "The proxy of the system's settings")
