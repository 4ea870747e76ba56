"""Both stages with tiny checkpoints: what goes in, what comes out, going on, letting go."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.hi3d.denoising import INTERVAL, Guidance, State  # noqa: E402
from models.hi3d.frugal import Frugality  # noqa: E402
from models.hi3d.schedule import guidance_scales  # noqa: E402
from tests.models.hi3d.conftest import FRAMES, REFINED, SIZE  # noqa: E402

STEPS = 3


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield


def seeded(seed: int = 5) -> Any:
    return torch.Generator().manual_seed(seed)


def test_an_orbit_shows_the_picture(orbit: Any, picture: Any) -> None:
    found = orbit(picture, 20, seeded(), steps=STEPS)
    assert (orbit.frames, orbit.size) == (FRAMES, SIZE)
    assert found.frames.shape == (FRAMES, SIZE, SIZE, 3) and found.frames.dtype == np.float32
    assert found.frames.min() >= 0.0 and found.frames.max() <= 1.0
    inside = (picture < 0.9).any(-1)
    for frame in found.frames:
        dark = (frame < 0.9).any(-1)
        assert (dark & inside).sum() / (dark | inside).sum() > 0.7
    assert np.array_equal(orbit.decode(found.latents, group=3), found.frames) or np.allclose(
        orbit.decode(found.latents, group=3), found.frames, atol=1e-5
    )


def test_a_picture_s_orbit_is_refined(orbit: Any, refine: Any, picture: Any) -> None:
    frames = orbit(picture, 0, seeded(), steps=STEPS).frames
    sharp = refine(frames, 0, seeded(), picture=picture, steps=STEPS).frames
    assert sharp.shape == (FRAMES, REFINED, REFINED, 3)
    dark = [(each < 0.9).any(-1).mean((1, 2)) for each in (frames, sharp)]
    assert np.abs(dark[0] - dark[1]).max() < 0.1 * dark[0].min() + 0.05
    middle, corner = REFINED // 2, 2
    assert (sharp[:, middle, middle].min(-1) < 0.7).all() and (sharp[:, corner, corner].min(-1) > 0.9).all()


def test_seeds_elevations_and_pictures_matter(orbit: Any, picture: Any) -> None:
    usual = orbit(picture, 0, seeded(), steps=2).latents
    assert torch.equal(orbit(picture, 0, seeded(), steps=2).latents, usual)
    for other in (
        orbit(picture, 0, seeded(6), steps=2),
        orbit(picture, 30, seeded(), steps=2),
        orbit(picture[::-1].copy(), 0, seeded(), steps=2),
    ):
        assert not torch.equal(other.latents, usual)


@pytest.mark.parametrize("guidance", [Guidance(), Guidance(interval=INTERVAL)])
def test_a_run_that_goes_on_ends_as_if_it_had_not_stopped(
    orbit: Any, refine: Any, picture: Any, guidance: Guidance
) -> None:
    frames = np.stack([picture] * FRAMES)
    for pipeline, given in ((orbit, picture), (refine, frames)):
        seen: list[State] = []
        told = pipeline.condition(given, 10, seeded())
        whole = pipeline.denoise(told, 3, guidance, callback=seen.append)
        assert [state.done for state in seen] == [0, 1, 2, 3]
        told = pipeline.condition(given, 10, seeded())
        for state in seen:
            again = State.from_tensors(state.tensors())
            assert torch.equal(pipeline.denoise(told, 3, guidance, start=again), whole)


def test_a_state_of_another_run_is_refused(orbit: Any, picture: Any) -> None:
    told = orbit.condition(picture, 0, seeded())
    seen: list[State] = []
    orbit.denoise(told, 2, callback=seen.append)
    with pytest.raises(ValueError, match="other steps"):
        orbit.denoise(told, 3, start=seen[1])
    with pytest.raises(ValueError, match="no state"):
        State.from_tensors({"latents": told.noise})


def test_an_exception_of_the_callback_ends_the_run(orbit: Any, picture: Any) -> None:
    class Cancelled(Exception):
        pass

    def look(state: State) -> None:
        if state.done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        orbit(picture, 0, seeded(), steps=3, callback=look)


def test_a_glimpse_shows_what_is_coming(orbit: Any, picture: Any) -> None:
    told = orbit.condition(picture, 0, seeded())
    seen: list[State] = []
    orbit.denoise(told, 2, callback=seen.append)
    assert orbit.glimpse(seen[0], told).shape == (FRAMES, 8, 8, 3)
    shown = orbit.glimpse(seen[-1], told)
    assert shown.dtype == np.uint8
    small = picture.reshape(8, 8, 8, 8, 3).mean((1, 3)) * 255
    assert np.abs(shown[0] - small).mean() < 40
    assert shown[0, 0, 0].min() > 200 and shown[0, 4, 4].max() < 200


def test_frugality_changes_no_number(orbit: Any, refine: Any, picture: Any) -> None:
    frugal = Frugality(one_batch=False, frames=1, tokens=17, attention_rows=5)
    for pipeline, given in ((orbit, picture), (refine, np.stack([picture] * FRAMES))):
        told = pipeline.condition(given, 0, seeded())
        usual = pipeline.denoise(told, 2)
        assert torch.allclose(pipeline.denoise(told, 2, frugality=frugal), usual, atol=1e-4 * usual.abs().max())


def test_networks_leave_after_their_use(orbit: Any, refine: Any, picture: Any) -> None:
    for pipeline, given in ((orbit, picture), (refine, np.stack([picture] * FRAMES))):
        most: list[int] = []

        def leave(name: str, pipeline: Any = pipeline, most: list[int] = most) -> None:
            most.append(len(pipeline.files.parts.loaded))
            pipeline.release(name)

        pipeline.release()
        pipeline.after_use = leave
        try:
            frugal = pipeline(given, 0, seeded(), steps=2).latents
        finally:
            pipeline.after_use = None
        assert set(most) == {1} and not pipeline.files.parts.loaded
        assert torch.equal(pipeline(given, 0, seeded(), steps=2).latents, frugal)


def test_triangular_guidance_treats_neighbours_of_the_first_frame_alike() -> None:
    linear, triangular = guidance_scales(16, 2.5), guidance_scales(16, 2.5, triangular=True)
    assert linear[0] == triangular[0] == 1.0
    assert linear[-1] == triangular[8] == 2.5
    assert torch.equal(triangular[1:], triangular[1:].flip(0))


def test_the_interval_leaves_out_half_of_the_unconditional_half(orbit: Any, picture: Any) -> None:
    told = orbit.condition(picture, 0, seeded())
    halves: list[int] = []
    handle = orbit.files.parts["unet"].register_forward_pre_hook(lambda module, inputs: halves.append(len(inputs[0])))
    orbit.denoise(told, 25, Guidance(interval=INTERVAL))
    handle.remove()
    assert halves == [1] * 10 + [2] * 13 + [1] * 2


@pytest.mark.parametrize("elevation", [-11, 41, float("nan")])
def test_an_elevation_that_the_networks_do_not_know(orbit: Any, refine: Any, picture: Any, elevation: float) -> None:
    for pipeline, given in ((orbit, picture), (refine, np.stack([picture] * FRAMES))):
        with pytest.raises(ValueError, match="from -10 to 40 degrees"):
            pipeline.condition(given, elevation, seeded())


def test_pictures_that_cannot_be_used(orbit: Any, refine: Any, picture: Any) -> None:
    with pytest.raises(ValueError, match="square picture"):
        orbit.condition(picture[:40], 0, seeded())
    with pytest.raises(ValueError, match="opacity"):
        orbit.condition(np.concatenate([picture, picture[..., :1]], -1), 0, seeded())
    with pytest.raises(ValueError, match="0 … 1"):
        orbit.condition(picture * 255, 0, seeded())
    with pytest.raises(ValueError, match=f"{FRAMES} frames"):
        refine.condition(np.stack([picture] * (FRAMES - 1)), 0, seeded())


@pytest.mark.parametrize(
    "setting", [{"largest": 0.5}, {"largest": float("nan")}, {"interval": (0.5, 0.4)}, {"interval": (0.0, 2.0)}]
)
def test_guidance_that_makes_no_sense(setting: Any) -> None:
    with pytest.raises(ValueError):
        Guidance(**setting)


def test_pieces_of_nothing() -> None:
    for name in ("frames", "tokens", "attention_rows"):
        with pytest.raises(ValueError, match=name):
            Frugality(**{name: 0})
