"""What a step is given: the same whoever makes it, with colours, cameras and solids that belong together."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.optimisation.chance import Step  # noqa: E402
from models.optimisation.processes import ALONE, Processes  # noqa: E402
from tests.training.mira.run_small import small  # noqa: E402
from training.feed import Feed, Key  # noqa: E402
from training.mira.bank import Shown  # noqa: E402
from training.mira.config import Config  # noqa: E402
from training.mira.items import Item, Items  # noqa: E402


def items(shown: Shown, config: Config, **changed: Any) -> Items:
    changed = {"augmentation.gain": 0.0, "augmentation.colours": 0.0} | changed
    config = small(config.run.folder, config.data.folder, **changed)
    return Items([shown], [(0, view) for view in range(shown.count)], config, 32, 4)


def test_an_item_depends_on_step_row_and_source_alone(shown: Shown, config: Config) -> None:
    one, other = items(shown, config), items(shown, config)
    key = Key(3, 1, 2)
    assert all(torch.equal(a, b) for a, b in zip(one[key], other[key], strict=True))
    assert not torch.equal(one[key].origins, one[Key(4, 1, 2)].origins)
    assert not torch.equal(one[key].axes, one[Key(3, 2, 2)].axes)


def test_alpha_is_kept_and_backgrounds_are_drawn_for_each_view(shown: Shown, config: Config) -> None:
    drawn: set[float] = set()
    for step in range(12):
        item = items(shown, config, **{"rays.background": "drawn"})[Key(step, 0, 0)]
        views = item.backgrounds.view(2, -1)
        assert (views == views[:, :1]).all(), "one for all rays of a view"
        drawn |= set(views[:, 0].tolist())
    assert drawn == {0.0, 0.5, 1.0}
    white = items(shown, config, **{"rays.background": "white"})[Key(0, 0, 0)]
    assert (white.backgrounds == 1).all()
    assert float(white.alphas.min()) == 0 and float(white.alphas.max()) > 0.99
    assert (white.colours <= white.alphas[:, None] + 1e-6).all(), "colours are times alpha"
    corner = white.picture[:, 0, 0]
    assert torch.allclose(corner, torch.ones(3)), "the source is on white, not on the black that lies under alpha"


def test_rays_with_colour_meet_the_solid_and_others_do_not(shown: Shown, config: Config) -> None:
    """The solid, the views and the cameras are of one object, in whatever frame they are shown."""
    agree = []
    for step in range(6):
        made = items(shown, config, **{"rays.patch": 1, "rays.count": 200, "data.scale": 0.9})
        item = made[Key(step, 0, step % shown.count)]
        depths = torch.linspace(0.5, 4, 200)
        points = item.origins[:, None] + depths[:, None] * item.directions[:, None]
        hit = inside(made, step, item, points.double().numpy()).any(1)
        agree.append((hit == (item.alphas.numpy() > 0.5)).mean())
    assert min(agree) > 0.93, "what voxels and pixels allow"


def inside(made: Items, step: int, item: Item, points: np.ndarray) -> np.ndarray:
    """Whether points of the frame are in the solid, by way of the frame that the item was made in."""
    from models.optimisation.chance import seed_of
    from training.mira.frames import frame_of

    shown, config = made.shown[0], made.config
    chance = np.random.default_rng(seed_of(config.run.seed, "item", step, 0))
    view = step % shown.count
    frame = frame_of(
        shown.poses[view],
        shown.intrinsics[view],
        shown.boxes[view],
        (32, 32),
        config.data.scale,
        config.crops,
        config.augmentation,
        chance,
    )
    grid = torch.stack(torch.meshgrid(*item.axes, indexing="ij"), dim=-1).reshape(-1, 3)
    assert np.array_equal(shown.inside(frame.back(grid.double().numpy())), item.inside.numpy().ravel())
    return shown.inside(frame.back(points.reshape(-1, 3))).reshape(points.shape[:2])


def test_squares_are_parts_of_the_picture_row_by_row(shown: Shown, config: Config) -> None:
    made = items(
        shown,
        config,
        **{"rays.patch": 32, "rays.resolution": [32, 32], "augmentation.mirror": 0.0, "augmentation.stretch": 0.0},
    )
    item = made[Key(0, 0, 1)]
    whole = torch.from_numpy(shown.pictures[1].astype(np.float32) / 255)
    assert torch.allclose(item.colours[: 32 * 32].view(32, 32, 3), whole[..., :3], atol=1e-5)
    assert torch.allclose(item.alphas[: 32 * 32].view(32, 32), whole[..., 3], atol=1e-5)


def test_every_source_has_its_turn_in_another_order_each_epoch(shown: Shown, config: Config) -> None:
    made = items(shown, config)
    count, batch = len(made), 2
    with Feed(made, batch, 100, 7, 1, ALONE, workers=0) as feed:
        orders = [
            [tuple(Step(step, 7).batch(count, batch).tolist()) for step in range(start, start + count // batch)]
            for start in (0, count // batch)
        ]
        assert all(sorted(sum(order, ())) == list(range(count)) for order in orders) and orders[0] != orders[1]
        batches = [feed(Step(step, 7)) for step in range(2)]
        assert batches[0].picture.shape == (2, 3, 32, 32)
        again = feed(Step(1, 7))
        assert torch.equal(again.picture, batches[1].picture), "asked for another step, it begins anew there"


def test_shares_of_processes_make_up_the_batch(shown: Shown, config: Config) -> None:
    made = items(shown, config)
    with Feed(made, 4, 9, 7, 1, ALONE, workers=1) as alone:
        whole = alone(Step(5, 7))
    shares = []
    for rank in (0, 1):
        with Feed(made, 4, 9, 7, 1, Processes(rank, 2), workers=0) as feed:
            shares.append(feed(Step(5, 7, rank, 2)))
    for name, value in whole._asdict().items():
        assert torch.equal(value, torch.cat([getattr(each, name) for each in shares])), name


def test_colours_change_alike_in_all_views(shown: Shown, config: Config) -> None:
    made = items(shown, config, **{"augmentation.colours": 1.0, "augmentation.mirror": 0.0})
    plain = items(shown, config, **{"augmentation.mirror": 0.0})
    for step in range(8):
        key = Key(step, 0, 0)
        changed, kept = made[key], plain[key]
        order = next(
            each
            for each in permutations(range(3))
            if torch.allclose(changed.picture, kept.picture[list(each)], atol=1e-5)
        )
        assert torch.allclose(changed.colours, kept.colours[:, list(order)], atol=1e-5)
