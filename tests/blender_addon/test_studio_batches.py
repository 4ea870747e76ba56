"""A batch on a studio's server: TLS, users, a server that is away in between; a real one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blender_addon.backend_process.server_process import ServerState
from blender_addon.state import desk
from tests.backend.server.certificates import OPENSSL
from tests.blender_addon.pumping import pump_until
from tests.blender_addon.studio import StudioServer

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="the program openssl makes the certificates and is missing")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StudioServer]:
    made = StudioServer(tmp_path / "studio")
    yield made
    made.stop()


def test_what_a_batch_was_told_while_the_server_was_away_is_told_by_the_next_blender(
    studio: Any, server: StudioServer, room: list[Any]
) -> None:
    made = studio.generate_batch(
        seeds=range(3), objects=room, pipeline="test-box", parameters={"seconds": 300.0}, wait=False
    )

    def states() -> Counter[str]:
        return Counter(each for batch in studio.batches() for each in batch.states.values())

    def anew(ask: Callable[[], None]) -> None:
        """Ask something of the server while it is away, and begin anew before it is back."""
        server.stop()
        try:
            pump_until(lambda: desk.current.server.state is ServerState.UNREACHABLE, "the notice")
            ask()
            studio.unregister()
            studio.register()
        finally:
            server.start()
        studio.use_server(server.address, token=server.tokens["anna"], certificate=server.certificate)
        studio.jobs()

    pump_until(lambda: states() == {"running": 1, "queued": 2}, "the first one")
    anew(made.pause)
    pump_until(lambda: states() == {"running": 1, "resting": 2}, "the rest of the others")
    (again,) = studio.batches()
    anew(lambda: again.go_on(wait=False))
    pump_until(lambda: states() == {"running": 1, "queued": 2}, "their turn")
    (again,) = studio.batches()
    anew(again.cancel)
    pump_until(lambda: states() == {"cancelled": 3}, "the end of all")


def test_a_batch_comes_whole_and_one_is_stopped_though_the_server_is_away(
    studio: Any, server: StudioServer, room: list[Any], tmp_path: Path
) -> None:
    """What is asked of its jobs while the server is away, that hears when it is back."""
    whole = studio.generate_batch(cameras="all", objects=room, pipeline="test-box", out=tmp_path / "sheet")
    assert {prop.set_dresser_block_out for prop in whole.objects} == set(room) and len(whole.objects) == 3
    page = (tmp_path / "sheet" / "contact-sheet.html").read_text(encoding="utf-8")
    assert "1 of 1 made, 3 objects" in page and "Box, Ball, Cone · Camera" in page

    def states() -> Counter[str]:
        return Counter(made.states.values())

    made = studio.generate_batch(
        seeds=range(3), objects=room, pipeline="test-box", parameters={"seconds": 300.0}, wait=False
    )
    pump_until(lambda: states() == {"running": 1, "queued": 2}, "the first one")
    server.stop()
    try:
        pump_until(lambda: desk.current.server.state is ServerState.UNREACHABLE, "the notice")
        made.pause()
    finally:
        server.start()
    pump_until(lambda: states() == {"running": 1, "resting": 2}, "the rest of the others")
    made.go_on(wait=False)
    pump_until(lambda: states() == {"running": 1, "queued": 2}, "their turn")
    made.cancel()
    pump_until(lambda: states() == {"cancelled": 3}, "the end of all")
    assert len(list((server.folder / "data" / "jobs").iterdir())) == 1 + 3, "no job twice"
