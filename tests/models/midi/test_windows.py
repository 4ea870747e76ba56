"""More instances than fit into one pass: every one is made, once, and all in one frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from models.midi.conditioning import Conditions  # noqa: E402
from models.midi.denoising import denoise  # noqa: E402
from models.midi.scheduler import SchedulerConfig, make_schedule  # noqa: E402
from models.midi.tiny import TRANSFORMER  # noqa: E402
from models.midi.transformer import MidiTransformer  # noqa: E402
from models.midi.windows import overlapping_windows  # noqa: E402


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 12))
def test_windows_hold_every_row_and_share_the_heaviest(weights: list[int], most: int) -> None:
    windows = overlapping_windows(weights, most)
    assert {row for window in windows for row in window} == set(range(len(weights)))
    assert max(map(len, windows)) <= most and all(list(window) == sorted(set(window)) for window in windows)
    assert max(map(len, windows)) - min(map(len, windows)) <= 1
    if len(windows) > 1 and most > 1:
        heaviest = max(range(len(weights)), key=lambda row: (weights[row], -row))
        assert all(heaviest in window for window in windows)


def run(windows: tuple[tuple[int, ...], ...] | None, rows: int = 5) -> torch.Tensor:
    torch.manual_seed(0)
    network = MidiTransformer(TRANSFORMER).eval()
    conditions = Conditions(
        torch.randn(rows, 1, TRANSFORMER.cross_attention_dim), torch.randn(rows, 6, TRANSFORMER.cross_attention_2_dim)
    )
    noise = torch.randn(rows, 9, TRANSFORMER.in_channels)
    return denoise(network, conditions, noise, make_schedule(3, SchedulerConfig()), windows=windows)


def test_one_window_is_the_plain_run() -> None:
    assert torch.equal(run(None), run((tuple(range(5)),)))


def test_two_equal_windows_are_one() -> None:
    torch.testing.assert_close(run(None), run((tuple(range(5)), tuple(range(5)))))


def test_instances_in_different_windows_see_each_other_through_what_they_share() -> None:
    apart = run(((0, 1), (2, 3, 4)))
    shared = run(((0, 1, 2), (2, 3, 4)))
    alone = run(((0,), (1,), (2, 3, 4)))
    assert not torch.allclose(apart[0], alone[0], atol=1e-5), "a window is one scene"
    assert not torch.allclose(apart[0], shared[0], atol=1e-5)
