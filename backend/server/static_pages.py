"""The page at `/` for people without Blender: its files, which hold nothing of anybody and so need no token.

What the page shows it asks for like any other client, with the token that its user has given it. A server that was not
told where to listen has no page: nobody but the program that started it knows its token.
"""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.types import Scope

FOLDER = Path(__file__).with_name("static")
FILES = {
    "/": ("index.html", "text/html"),
    "/static/page.css": ("page.css", "text/css"),
    "/static/page.js": ("page.js", "text/javascript"),
    "/static/server.js": ("server.js", "text/javascript"),
    "/static/icon.svg": ("icon.svg", "image/svg+xml"),
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # pictures come with the token in a header, so not by their address
        "connect-src 'self'",
        "form-action 'none'",  # should a script not run, no form sends a token anywhere
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # and no policy is made: text never becomes markup
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


class StaticPages:
    """Files of the page, read once."""

    def __init__(self) -> None:
        self._files = {path: ((FOLDER / name).read_bytes(), kind) for path, (name, kind) in FILES.items()}

    def asked(self, scope: Scope) -> Response | None:
        """The answer to a request for one of them; None for any other."""
        if scope["method"] != "GET" or scope["path"] not in self._files:
            return None
        content, kind = self._files[scope["path"]]
        return Response(content, media_type=kind, headers=HEADERS)
