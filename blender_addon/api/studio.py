"""A server of a studio in place of this computer, as Python calls; see `api`.

set_dresser.use_server("farm.studio.lan:8443", token=token, certificate="/studio/authority.pem")
set_dresser.test_connection()["message"]
"""

from __future__ import annotations

import os
from typing import Any

import bpy

from .. import session
from ..backend_process import setting_up, tokens
from ..ground import preferences
from ..ground.messages import SetDresserError
from ..state import desk
from ..wire.address import parse
from ..work import studio
from .waiting import SHORT_TIMEOUT, wait_until

__all__ = ["test_connection", "use_server", "use_this_computer"]


def use_server(
    address: str, *, token: str | None = None, certificate: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Have a studio's server make the props from now on, as the preferences do; nothing is started here.

    A backend of this computer that has jobs goes on until they have ended, and then gives way; of another server's jobs
    nothing is lost: they go on there, and are listed again with its address.

    Args:
        address: as people type it: "farm.studio.lan:8443", "https://farm.studio.lan/", "[fd00::20]:8443".
        token: who you are; kept for this address, in a file of its own. Left out: the one that was kept.
        certificate: PEM file of a private authority; "" for those that the system believes. Left out: as it was.

    Returns {"address", "token"}: the address as it was understood, and whether there is a token for it. Raises
    SetDresserError: if the address, the token or what is kept of it cannot be used.
    """
    place = parse(address)
    if token is not None:
        tokens.keep(place, token)
    chosen = preferences.get()
    if certificate is not None:
        chosen.server_certificate = os.fspath(certificate)
    chosen.server_address, chosen.backend = address, setting_up.SERVER
    session.current.line.check_set_up()
    return {"address": place.authority, "token": desk.current.trusted}


def use_this_computer() -> None:
    """Have the backend of this computer make the props again."""
    preferences.get().backend = setting_up.THIS_COMPUTER
    session.current.line.check_set_up()


def test_connection(*, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> dict[str, Any]:
    """Ask the studio's server who it is and whether it knows the token.

    Returns {"good", "message", "hint", "code"}: whether it can be used, and in sentences what it said or what is wrong;
    "good" is None while it is being asked. What is used at the moment is not touched.
    """
    line = session.current.line
    task = studio.test(line)
    if bpy.app.background if wait is None else wait:
        try:
            wait_until(lambda: not line.tasks.runs(task), timeout, "The server has not answered")
        finally:
            line.tasks.stop(task)
    tested = desk.current.tested
    if tested is None:
        raise SetDresserError("Nothing has come of the test.", "Try again.", "stopped")
    return {"good": tested.good, "message": tested.message, "hint": tested.hint, "code": tested.code}
