"""What clips are made of, how they are made worse, what the network is told, and what it begins with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.headers import CheckpointForeign
from models.hi3d import names
from models.hi3d.conditioning import aesthetic, sinusoid
from models.hi3d.files import ORBIT, REFINE
from models.hi3d.loading import StageFiles
from models.hi3d.published_names import published_unet
from models.hi3d.unet import predict
from tests.training.hi3d.run_small import AZIMUTHS, FRAMES, SIZE, small
from training.config import DataError
from training.hi3d.config import Degradation, Noise
from training.hi3d.degradation import Degrading, kernel, ringing_kernel
from training.hi3d.objective import velocity_error
from training.hi3d.orbits import Clips, find_orbits, orbits_of
from training.hi3d.starting import NEVER, network_of, video_tensors, widened
from training.hi3d.telling import Teller, drawn
from training.views import open_views


@pytest.fixture(scope="module")
def files(place: Path) -> dict[str, StageFiles]:
    return {
        name: StageFiles.opened(place / "weights" / stage.file, stage, place / "converted")
        for name, stage in (("orbit", ORBIT), ("refine", REFINE))
    }


def test_an_orbit_goes_counter_clockwise_from_any_of_its_cameras(place: Path) -> None:
    found = find_orbits(place / "data", 0.3, FRAMES, 0, told=True)
    assert [len(found.trained), *map(len, found.held_out.values())] == [4, 2]
    orbit = found.trained[1]
    assert orbit.elevation == 20.0 and len(orbit.order) == AZIMUTHS
    places = orbit.views.poses[list(orbit.order), :2, 3]
    turns = np.diff(np.unwrap(np.arctan2(places[:, 1], places[:, 0])))
    assert np.allclose(np.degrees(turns), 360 / AZIMUTHS)
    clips = Clips(found.trained, FRAMES, SIZE, 0, None)
    starts = set()
    for seed in range(12):
        clip = clips.clip(orbit, seed)
        # The pictures' green tells the azimuth.
        green = [int(frame[frame[..., 1] < 255][0, 1]) for frame in clip.frames]
        starts.add(green[0])
        assert set(np.diff(green) % 180) == {180 // FRAMES}, green
        assert float(clip.elevation) == 20.0 and clip.known.numel() == 0
        assert (clip.frames[:, 0] == 255).all(), "white around"
    assert len(starts) > 3


def test_pictures_are_brought_to_the_size_of_a_frame(place: Path) -> None:
    orbit = find_orbits(place / "data", 0.3, FRAMES, 0, told=True).trained[0]
    native = Clips([orbit], FRAMES, SIZE, 0, None).clip(orbit, 1).frames.float()
    for size in (SIZE // 2, SIZE * 2):
        clip = Clips([orbit], FRAMES, size, 0, None).clip(orbit, 1)
        assert clip.frames.shape == (FRAMES, size, size, 3)
        back = torch.nn.functional.interpolate(clip.frames.float().permute(0, 3, 1, 2), (SIZE, SIZE), mode="area")
        assert float((back.permute(0, 2, 3, 1) - native).abs().mean()) < 6.0


def test_objects_without_an_orbit_are_refused(place: Path, tmp_path: Path) -> None:
    views = open_views(place / "data")[0]
    with pytest.raises(DataError, match="no orbit of 3 views"):
        orbits_of(views, 3)
    metadata = json.loads((views.folder / "metadata.json").read_text())
    metadata["views"] = metadata["views"][1:AZIMUTHS]
    (tmp_path / "data" / "cut").mkdir(parents=True)
    (tmp_path / "data" / "cut" / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match="none of its 1 objects has an orbit of 4 views"):
        find_orbits(tmp_path / "data", 0.0, FRAMES, 0, told=True)


def test_frames_are_made_worse_and_the_first_and_the_background_stay(place: Path) -> None:
    orbit = find_orbits(place / "data", 0.3, FRAMES, 0, told=True).trained[0]
    worse = Degrading(Degradation())
    clips = Clips([orbit], FRAMES, SIZE, 0, worse)
    clip, again, other = clips.clip(orbit, 5), clips.clip(orbit, 5), clips.clip(orbit, 6)
    assert torch.equal(clip.known, again.known) and not torch.equal(clip.known[1:], other.known[1:])
    assert torch.equal(clip.known[0], clip.frames[0])
    away = (clip.frames == 255).all(-1)
    assert (clip.known[away] == 255).all()
    off = (clip.known.float() - clip.frames.float())[1:].abs()[~away[1:]]
    assert 2.0 < float(off.mean()) < 90.0
    gentle = Degradation(
        scale=1.0, resize=(1.0, 1.0), resize_again=(1.0, 1.0), noise=(0.1, 0.1), noise_again=(0.1, 0.1)
    )
    mild = [Clips([orbit], FRAMES, SIZE, 0, Degrading(each)) for each in (gentle, Degradation())]
    sums = [
        sum(float((c := some.clip(orbit, seed)).known.float().sub(c.frames.float()).abs().mean()) for seed in range(6))
        for some in mild
    ]
    assert sums[0] < sums[1]


def test_kernels_keep_the_brightness_and_have_their_shapes() -> None:
    for kind in ("normal", "general", "plateau"):
        each = kernel(kind, 11, (1.0, 3.0), 0.0, 1.0)
        assert each.sum() == pytest.approx(1.0, abs=1e-5) and np.allclose(each, each[::-1, ::-1])
        assert each[10, 5] > each[5, 10], "wider down than across"
    turned = kernel("normal", 11, (1.0, 3.0), np.pi / 2, 1.0)
    assert np.allclose(turned, kernel("normal", 11, (3.0, 1.0), 0.0, 1.0), atol=1e-6)
    low = ringing_kernel(21, np.pi / 3)
    spectrum = np.abs(np.fft.fft2(low, (64, 64)))
    assert spectrum[0, 0] == pytest.approx(1.0, abs=1e-5) and spectrum[0, 5] > 0.8, "what is slow passes"
    assert spectrum[0, 24] < 0.15 and (low < 0).any(), "what is fast does not, and it rings"


def test_the_plain_error_of_v_is_the_weighted_error_of_the_data() -> None:
    """Against the definition, with a network of no sense."""
    draw = torch.Generator().manual_seed(0)
    data, noise, answer = torch.randn(3, 2, FRAMES, 4, 4, 4, generator=draw)
    level = torch.tensor([0.3, 20.0])
    seen: list[torch.Tensor] = []

    class Answering(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, sample: torch.Tensor, time: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
            seen.extend([sample, time])
            return (answer,)

    concat = torch.ones(2, FRAMES, 4, 4, 4)
    found = velocity_error(Answering(), data, noise, level, concat, torch.zeros(2, 1, 8), torch.zeros(2, 8))
    for clip, sigma in enumerate(level.tolist()):
        sample = data[clip] + sigma * noise[clip]
        denoised = sample / (sigma**2 + 1) - sigma / (sigma**2 + 1) ** 0.5 * answer[clip]
        weight = (sigma**2 + 1) / sigma**2
        assert float(found[clip]) == pytest.approx(float(weight * (denoised - data[clip]).square().mean()), rel=1e-4)
        assert torch.allclose(seen[0][clip, :, :4], sample / (sigma**2 + 1) ** 0.5, atol=1e-5)
        assert float(seen[1][clip]) == pytest.approx(0.25 * np.log(sigma), rel=1e-5)


@pytest.mark.parametrize("stage", ["orbit", "refine"])
def test_what_is_told_is_in_the_published_order_and_left_out_when_drawn_so(
    stage: str, place: Path, files: dict[str, StageFiles]
) -> None:
    orbit = find_orbits(place / "data", 0.3, FRAMES, 0, told=True).trained[1]
    worse = Degrading(Degradation()) if stage == "refine" else None
    clip = Clips([orbit], FRAMES, SIZE, 0, worse).clip(orbit, 5)
    kind = ORBIT if stage == "orbit" else REFINE
    teller = Teller(files[stage], kind)

    def told(**changed: float) -> Any:
        settings = Noise(**{"without_picture": 0.0, "without_latents": 0.0, **changed})
        return teller(clip, drawn(settings, files[stage], kind, torch.Generator().manual_seed(3)))

    whole = told()
    assert whole.frames is not None and whole.frames.shape == whole.noise.shape
    quiet = told(told=-30.0, told_spread=0.0)
    assert torch.equal(quiet.vector[-256:], sinusoid(torch.tensor([np.exp(-30.0)]), 256)[0])
    assert torch.equal(whole.vector[-512:-256], sinusoid(torch.tensor([20.0]), 256)[0]), "elevation"
    if stage == "orbit":
        assert torch.equal(whole.vector[:256], aesthetic(whole.vector[:1])[0])
        assert whole.concat.shape[1] == 4 and all(torch.equal(each, whole.concat[0]) for each in whole.concat)
    else:
        assert (
            whole.concat.shape[1] == 13
            and 0.0 <= float(whole.concat[:, :9].min()) <= float(whole.concat[:, :9].max()) <= 1.0
        )
    # Frames as they are told without noise are the data's own latents, without their factor.
    assert torch.allclose(quiet.concat[0, -4:] * files[stage].scaling, quiet.frames[0], atol=1e-2)
    without = told(without_picture=1.0, without_latents=1.0)
    assert not without.token.any() and not without.concat[:, -4:].any() and torch.equal(without.vector, whole.vector)
    if stage == "refine":
        assert torch.equal(without.concat[:, :9], whole.concat[:, :9]), "depth stays"
        assert not told(without_depth=1.0).concat[:, :9].any()


@pytest.mark.parametrize("stage", ["orbit", "refine"])
def test_stable_video_diffusion_is_widened_so_that_what_is_new_says_nothing(
    stage: str, place: Path, files: dict[str, StageFiles]
) -> None:
    config = small(place / "none", **{"model.stage": stage, "model.recomputed": False})
    network = network_of(config.model, files[stage])
    original = video_tensors(place / "weights" / "video")
    weight, inputs = network.conv_in.weight, network.config.in_channels
    assert torch.equal(weight[:, :4], original["conv_in.weight"][:, :4])
    assert torch.equal(weight[:, -4:], original["conv_in.weight"][:, 4:]) and not weight[:, 4:-4].any()
    vector = network.add_embedding.linear_1.weight
    assert torch.equal(vector[:, -256:], original["add_embedding.linear_1.weight"][:, -256:])
    assert not vector[:, :-256].any() and inputs == (8 if stage == "orbit" else 17)
    draw = torch.Generator().manual_seed(0)
    sample, token = torch.randn(1, FRAMES, inputs, 8, 8, generator=draw), torch.randn(1, 1, 32, generator=draw)
    told = torch.randn(1, vector.shape[1], generator=draw)
    changed, other = sample.clone(), told.clone()
    changed[:, :, 4:-4] += 3.0
    other[:, :-256] += 3.0
    with torch.no_grad():
        first, second = (
            predict(network, *each)
            for each in ((sample, torch.tensor(0.1), token, told), (changed, torch.tensor(0.1), token, other))
        )
    assert torch.allclose(first, second, atol=1e-5)


def test_the_layout_of_stabilitys_program_is_read_too(place: Path, tmp_path: Path) -> None:
    tensors = video_tensors(place / "weights" / "video")
    published = {f"{names.UNET}{name}": each.contiguous() for name, each in published_unet(tensors, 1).items()}
    save_file(published, tmp_path / "svd_xt.safetensors")
    again = video_tensors(tmp_path / "svd_xt.safetensors")
    assert again.keys() == tensors.keys() and all(torch.equal(again[name], each) for name, each in tensors.items())
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointForeign, match="is not Stable Video Diffusion"):
        video_tensors(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointForeign, match=r"svd does not fit the stage's network: conv_out\.bias is missing"):
        widened({name: each for name, each in tensors.items() if name != "conv_out.bias"}, tensors, 4, Path("svd"))


def test_only_what_is_to_learn_has_gradients_and_all_of_that_does(place: Path, files: dict[str, StageFiles]) -> None:
    amounts = []
    for trained in ("all", "time", "inputs"):
        config = small(place / "none", **{"model.trained": trained})
        network = network_of(config.model, files["orbit"])
        draw = torch.Generator().manual_seed(0)
        sample, vector = torch.randn(2, FRAMES, 8, 8, 8, generator=draw), torch.randn(2, 768, generator=draw)
        predict(
            network, sample, torch.tensor([0.1, 0.5]), torch.randn(2, 1, 32, generator=draw), vector
        ).sum().backward()
        learning = {name for name, each in network.named_parameters() if each.requires_grad}
        assert learning == {name for name, each in network.named_parameters() if each.grad is not None}
        assert not any(NEVER.search(name) for name in learning)
        amounts.append(len(learning))
    assert amounts[0] > amounts[1] > amounts[2] == 6


def test_going_through_blocks_again_gives_the_same_gradients(place: Path, files: dict[str, StageFiles]) -> None:
    found = []
    for recomputed in (False, True):
        config = small(place / "none", **{"model.recomputed": recomputed})
        network = network_of(config.model, files["orbit"])
        draw = torch.Generator().manual_seed(0)
        sample, vector = torch.randn(1, FRAMES, 8, 8, 8, generator=draw), torch.randn(1, 768, generator=draw)
        predict(
            network, sample, torch.tensor([0.1]), torch.randn(1, 1, 32, generator=draw), vector
        ).square().sum().backward()
        found.append({name: each.grad for name, each in network.named_parameters() if each.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(torch.allclose(found[1][name], each, rtol=1e-4, atol=1e-4) for name, each in found[0].items())
