"""Whatever comes as a picture, an instance map or depth is read or refused in words, soon and in bounded memory."""

from tests.backend.hostile_sets import outcome


def test_hostile_pictures_are_refused_or_read() -> None:
    """The first of a thousand; `python -m tests.backend.hostile_sets pictures 0 1000` tries them all."""
    found = outcome("pictures", range(1, 50))
    assert found.uncaught == []
    assert found.slowest[0] < 5 and found.peak < 1e9
    assert found.refused > 20 and found.taken > 3
