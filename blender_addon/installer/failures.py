"""From what a tool says when it fails to a sentence and what to do."""

from __future__ import annotations

import re

from .events import Failure

_NETWORK = "Check the network and the proxy (HTTPS_PROXY), then press Install again; what has arrived is kept."

RULES: tuple[tuple[str, str, str, str], ...] = (
    (
        "disk-full",
        r"no space left on device|os error 28\b|Errno 28\b|not enough space on the disk|os error 112\b|quota exceeded",
        "The disk is full.",
        "Free some space, then press Install again; what has arrived is kept.",
    ),
    (
        "hash-mismatch",
        r"hash mismatch for|do not match the hashes|hash of .* is not the expected",
        "A downloaded package is not the one that the add-on names.",
        "The download was damaged, or a mirror or proxy changes it. Press Install again; if it stays, use the "
        "official package index or an offline folder.",
    ),
    (
        "certificate",
        r"invalid peer certificate|certificate.?verify.?failed|unknownissuer|self.signed certificate|SSLError|"
        r"certificate has expired|notvalidyet",
        "The certificate of the package index is not trusted.",
        "Usually a company's proxy or a wrong clock: set the clock, or name the company's certificates in the "
        "variable SSL_CERT_FILE and start Blender again.",
    ),
    (
        "proxy",
        r"407 proxy|proxy authentication|http status client error \(407|cannot connect to proxy|ProxyError",
        "The proxy does not let the download through.",
        "Check HTTPS_PROXY with its name and password, start Blender again, then press Install.",
    ),
    (
        "locked",
        r"os error (5|32|225)\b|WinError (5|32|225)\b|virus or potentially unwanted|used by another process|"
        r"access is denied",
        "A file was locked or taken away while it was installed, as a virus scanner does.",
        "Exclude the add-on's user folder from the scanner, close other Blenders, then press Install again.",
    ),
    (
        "not-permitted",
        r"permission denied|os error 13\b|Errno 13\b|read-only file system|os error 30\b",
        "The folder for the environment cannot be written to.",
        "Check its permissions, or that the disk is not read-only, then press Install again.",
    ),
    (
        "no-python",
        r"no interpreter found|no python.*found (for|in)|ensurepip is not|no module named '?(venv|ensurepip)",
        "There is no Python 3.11 or later that the backend could use, and none could be fetched.",
        "Install Python 3.11 from python.org, or choose one in the add-on's preferences.",
    ),
    (
        "download-broken",
        r"invalid package format|failed to read from zip|failed to (read|parse) metadata|invalid deflate|corrupt|"
        r"bad ?zip ?file|unexpected end of file|invalid (local )?(file )?header",
        "A package arrived incomplete or damaged.",
        "The connection was cut. Press Install again; what has arrived whole is kept.",
    ),
    (
        "index-down",
        r"http status server error|returned a (4|5)\d\d|"
        r"\b50[0234]\b.*(error|unavailable|gateway|timeout)|http status client error|"
        r"\b(403|404|429) client error|HTTP Error (4|5)\d\d|too many requests",
        "The package index does not answer as it should.",
        "It may be down or refuse this network. Try again in some minutes, or set another one (UV_DEFAULT_INDEX).",
    ),
    (
        "no-wheel",
        r"no wheels? (are )?(usable|with a matching|available)|has no wheels|no matching distribution|"
        r"not a supported wheel|has no usable wheels|no solution found|because only .* (is|are) available|"
        r"not found in the (package registry|provided package locations)",
        "A package that the backend needs does not exist for this system and Python.",
        "Choose another build of PyTorch, or Inflate Only, and press Install again.",
    ),
    (
        "no-network",
        r"dns error|failed to lookup address|name or service not known|getaddrinfo failed|connection refused|"
        r"connection reset|network is unreachable|no route to host|tcp connect error|error sending request|"
        r"temporary failure in name resolution|max retries exceeded|newconnectionerror|operation timed out|"
        r"read timed out|connection (was )?(broken|closed|aborted)|unexpected eof|request failed after|"
        r"failed to (fetch|download)|incompletebody|body error|urlopen error|timed out",
        "The package index cannot be reached.",
        _NETWORK,
    ),
)
"""(code, what the tool says, sentence, hint), the first that fits counts: causes stand before their consequences."""


def explain(output: str, step: str, how: str) -> Failure:
    """The failure that the last words of a tool mean.

    Args:
        output: its last lines; step: what was being done, as part of a sentence; how: "exit code 2".
    """
    details = "\n".join(output.strip().splitlines()[-12:])
    for code, pattern, message, hint in RULES:
        if re.search(pattern, output, re.IGNORECASE):
            return Failure(code, message, hint, details)
    message = f"{step} failed ({how})."
    return Failure("install-failed", message, "Look into the log, then press Install again.", details)


def silent(step: str, seconds: float, output: str) -> Failure:
    message = f"{step}: nothing has arrived for {seconds:.0f} seconds."
    return Failure("no-network", message, _NETWORK, "\n".join(output.strip().splitlines()[-12:]))


def without_credentials(text: str) -> str:
    """Addresses without names, passwords and tokens."""
    text = re.sub(r"(\w+://)[^\s/@'\"`]+@", r"\1***@", text)
    return re.sub(r"(?i)\b(token|password|api[_-]?key|secret)=[^\s&'\"`]+", r"\1=***", text)
