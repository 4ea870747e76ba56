"""The painter: what diffusers would paint from the same folder, in every plan, and nothing left behind."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from backend.devices import Device, choose  # noqa: E402
from backend.memory import Plan, choose_plan  # noqa: E402
from backend.pipelines.context import Context  # noqa: E402
from backend.pipelines.running import Running  # noqa: E402
from backend.preparations.imagine import IMAGINE  # noqa: E402
from backend.preparations.imagine.depth_picture import depth_picture  # noqa: E402
from backend.preparations.painting import painter as painting  # noqa: E402
from backend.preparations.painting.networks import FAMILIES, load_network  # noqa: E402
from backend.preparations.painting.offload import bring_layer_by_layer  # noqa: E402
from backend.preparations.painting.painter import (  # noqa: E402
    Folders,
    NoPicture,
    Painter,
    PaintingRequest,
    ladder,
    open_painter,
    read_sizes,
)
from backend.residency import residency  # noqa: E402
from backend.weights import locate  # noqa: E402
from tests.backend.preparations.imagine.room import room  # noqa: E402

WHOLE = {"text_bytes": 0, "control_bytes": 0, "tiled": False, "offload": False}
FULL = Plan("full", "", 0, "float32", WHOLE)
WORDS_ALONE = {"sdxl": "StableDiffusionXLPipeline", "sd15": "StableDiffusionPipeline"}
CONTROLLED = {"sdxl": "StableDiffusionXLControlNetPipeline", "sd15": "StableDiffusionControlNetPipeline"}


@pytest.fixture(params=["sdxl", "sd15"])
def family(request: pytest.FixtureRequest, models: Path) -> str:
    return request.param


def folders(family: str) -> Folders:
    return Folders(locate(FAMILIES[family].base), locate(FAMILIES[family].control))


def request(size: tuple[int, int] = (72, 56)) -> PaintingRequest:
    depth = room(96).depth
    assert depth is not None
    return PaintingRequest("a cosy room, two armchairs", "blurry", size, 3, 4.0, depth_picture(depth, size), 0.9)


def shapes(request: PaintingRequest) -> np.ndarray:
    assert request.control is not None
    return request.control


def running() -> Running:
    return Running.begin(Context(IMAGINE, 1, lambda said: None))


@contextmanager
def opened(family: str, plan: Plan = FULL, wanted: PaintingRequest | None = None) -> Iterator[Painter]:
    with open_painter(
        FAMILIES[family],
        folders(family),
        plan,
        running(),
        wanted or request(),
        lambda share, message: None,
        lambda cut: None,
    ) as painter:
        yield painter


def no_step(step: int) -> None: ...


def test_it_paints_what_diffusers_paints_from_the_same_folder(family: str) -> None:
    wanted = request()
    with opened(family, wanted=wanted) as painter:
        ours = painter.paint(11, no_step)

    where, (width, height) = folders(family), wanted.size
    options = {"variant": "fp16", "use_safetensors": True, "local_files_only": True, "torch_dtype": torch.float32}
    control = diffusers.ControlNetModel.from_pretrained(where.control, **options)
    official = getattr(diffusers, CONTROLLED[family]).from_pretrained(where.base, controlnet=control, **options)
    official.scheduler = getattr(diffusers, FAMILIES[family].scheduler).from_config(official.scheduler.config)
    official.set_progress_bar_config(disable=True)
    noise = torch.randn((1, 4, height // 8, width // 8), generator=torch.Generator("cpu").manual_seed(11))
    theirs = official(
        prompt=wanted.prompt,
        negative_prompt=wanted.negative_prompt,
        image=torch.from_numpy(shapes(wanted)).permute(2, 0, 1)[None],
        height=height,
        width=width,
        num_inference_steps=wanted.steps,
        guidance_scale=wanted.guidance,
        controlnet_conditioning_scale=wanted.strength,
        latents=noise,
        output_type="np",
    ).images[0]
    assert ours.shape == (height, width, 3)
    assert np.abs(ours / 255.0 - theirs).max() < 0.01
    assert ours.std() > 5


def test_without_control_it_paints_what_diffusers_paints_from_words_alone(family: str) -> None:
    wanted = replace(request(), control=None)
    where = folders(family)
    bare = replace(where, control=None)
    with open_painter(
        FAMILIES[family], bare, FULL, running(), wanted, lambda share, message: None, lambda cut: None
    ) as painter:
        ours = painter.paint(11, no_step)

    (width, height), generator = wanted.size, torch.Generator("cpu").manual_seed(11)
    options = {"variant": "fp16", "use_safetensors": True, "local_files_only": True, "torch_dtype": torch.float32}
    official = getattr(diffusers, WORDS_ALONE[family]).from_pretrained(where.base, **options)
    official.scheduler = getattr(diffusers, FAMILIES[family].scheduler).from_config(official.scheduler.config)
    official.set_progress_bar_config(disable=True)
    theirs = official(
        prompt=wanted.prompt,
        negative_prompt=wanted.negative_prompt,
        height=height,
        width=width,
        num_inference_steps=wanted.steps,
        guidance_scale=wanted.guidance,
        latents=torch.randn((1, 4, height // 8, width // 8), generator=generator),
        output_type="np",
    ).images[0]
    assert ours.shape == (height, width, 3)
    assert np.abs(ours / 255.0 - theirs).max() < 0.01
    assert ours.std() > 5


def test_the_base_that_painted_with_control_goes_on_without_it(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(family) as painter:
        painter.paint(1, no_step)
    loaded = networks_of(monkeypatch)
    wanted, bare = replace(request(), control=None), replace(folders(family), control=None)
    with open_painter(
        FAMILIES[family], bare, FULL, running(), wanted, lambda share, message: None, lambda cut: None
    ) as painter:
        painter.paint(1, no_step)
    assert loaded == []
    assert read_sizes(FAMILIES[family], bare) == replace(read_sizes(FAMILIES[family], folders(family)), control=0)


def test_what_is_asked_for_matters(family: str) -> None:
    usual = request()
    with opened(family, wanted=usual) as painter:
        picture = painter.paint(3, no_step)
        assert (painter.paint(3, no_step) == picture).all()
        assert (painter.paint(4, no_step) != picture).any()
    others = (
        replace(usual, prompt="a bare cellar"),
        replace(usual, negative_prompt="armchairs"),
        replace(usual, control=shapes(usual)[:, ::-1].copy()),
        replace(usual, strength=0.0),
    )
    for other in others:
        with opened(family, wanted=other) as painter:
            assert (painter.paint(3, no_step) != picture).any()


def test_every_plan_paints_the_same_picture(family: str) -> None:
    wanted = request((96, 64))
    with opened(family, wanted=wanted) as painter:
        picture = painter.paint(5, no_step).astype(float)
    with opened(family, replace(FULL, settings={**WHOLE, "offload": True}), wanted) as painter:
        assert np.abs(painter.paint(5, no_step) - picture).max() <= 1
    with opened(family, replace(FULL, settings={**WHOLE, "tiled": True, "offload": True}), wanted) as painter:
        tiled = painter.paint(5, no_step)
    # Group normalisation sees a tile at a time, so tiles differ a little in tone; they must be put together right.
    assert tiled.shape == picture.shape
    assert np.corrcoef(tiled.ravel(), picture.ravel())[0, 1] > 0.7


def test_a_picture_without_values_is_no_picture(models: Path) -> None:
    endless = request()
    shapes(endless)[:] = np.inf
    with opened("sd15", wanted=endless) as painter, pytest.raises(NoPicture, match="seed 5 has no values"):
        painter.paint(5, no_step)


@pytest.mark.parametrize(("level", "said"), [(-1.0, "black"), (1.0, "white"), (0.2, "one colour")])
def test_a_picture_of_one_colour_is_no_picture(
    level: float, said: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened("sd15", wanted=replace(request(), steps=1)) as painter:
        flat = SimpleNamespace(sample=torch.full((1, 3, 56, 72), level))
        monkeypatch.setattr(painter._pipeline.vae, "decode", lambda latents: flat)
        with pytest.raises(NoPicture, match=f"The picture of the seed 5 came out {said} all over"):
            painter.paint(5, no_step)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_paints_nearly_the_same(family: str, dtype: Any) -> None:
    with opened(family) as painter:
        picture = painter.paint(5, no_step)
    with opened(family, replace(FULL, dtype=dtype)) as painter:
        half = painter.paint(5, no_step)
    assert np.corrcoef(half.ravel(), picture.ravel())[0, 1] > 0.98


def test_layers_visit_the_device_one_at_a_time() -> None:
    network = torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.Sequential(torch.nn.LayerNorm(5), torch.nn.Linear(5, 2))
    )
    there: list[int] = []

    def look(*_: Any) -> None:
        there.append(sum(parameter.is_meta for parameter in network.parameters()))

    bring_layer_by_layer(network, "meta")
    for layer in (network[0], *network[1]):
        layer.register_forward_pre_hook(look)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    assert network(torch.empty(3, 4, device="meta")).shape == (3, 2)
    assert there == [2, 2, 2]  # weight and bias of the one that computes
    with pytest.raises(RuntimeError):
        network(torch.empty(3, 7, device="meta"))
    assert all((parameter == before[name]).all() for name, parameter in network.named_parameters())


def networks_of(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every network that is loaded from now on."""
    loaded: list[Any] = []

    def remembering(load: Callable[..., Any]) -> Callable[..., Any]:
        def remember(*arguments: Any, **options: Any) -> Any:
            loaded.append(load(*arguments, **options))
            return loaded[-1]

        return remember

    for name in ("load_network", "load_text_encoder"):
        monkeypatch.setattr(painting, name, remembering(getattr(painting, name)))
    return loaded


@pytest.mark.parametrize("offload", [False, True])
def test_stopping_midway_gives_everything_back(family: str, offload: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = networks_of(monkeypatch)

    class Stop(Exception):
        pass

    def stop(step: int) -> None:
        assert any(not parameter.is_meta for network in loaded for parameter in network.parameters())
        if step == 2:
            raise Stop

    plan = replace(FULL, settings={**WHOLE, "offload": offload})
    with pytest.raises(Stop) as caught, opened(family, plan) as painter:
        painter.paint(1, stop)
    assert len(loaded) == len(FAMILIES[family].text) + 3
    # Even while the exception, and with it the frames of the pipeline, is still held. The text encoders had done their
    # work by then, and stay where there is room for as long as nobody needs it.
    there = [not next(network.parameters()).is_meta for network in loaded]
    assert there == [not offload] * len(FAMILIES[family].text) + [False] * 3
    residency.clear()
    assert all(parameter.is_meta for network in loaded for parameter in network.parameters())
    alive = [weakref.ref(network) for network in loaded]
    loaded.clear()
    del caught, painter
    gc.collect()
    assert [one for one in alive if one() is not None] == []


@pytest.mark.parametrize("room", [True, False])
def test_the_text_encoders_stay_beside_the_rest_only_where_there_is_room(
    room: bool, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = networks_of(monkeypatch)
    there_at_load = []
    real = painting.load_network

    def load(*arguments: Any) -> Any:
        there_at_load.append([not next(network.parameters()).is_meta for network in loaded])
        return real(*arguments)

    monkeypatch.setattr(painting, "load_network", load)
    with opened(family, FULL if room else replace(FULL, needs_bytes=10**15)):
        pass
    encoders = len(FAMILIES[family].text)
    assert there_at_load[0] == [room] * encoders


def test_plans_ask_for_less_and_less(family: str) -> None:
    card = Device("cuda", "a card", 12 * 10**9, 11 * 10**9, bfloat16=True)
    sizes = read_sizes(FAMILIES[family], folders(family))
    plans = ladder(sizes, card, (1024, 1024))
    assert [plan.name for plan in plans] == ["full", "tiled", "layers"]
    needs = [plan.needs_bytes for plan in plans]
    assert needs[0] > needs[1] > 0
    assert {plan.dtype for plan in plans} == {"bfloat16"}
    assert choose_plan(plans, replace(card, free_bytes=10**12)).name == "full"
    processor = ladder(sizes, choose("cpu"), (1024, 1024))
    assert [(plan.name, plan.dtype) for plan in processor] == [("full", "float32"), ("tiled", "float32")]


@pytest.mark.parametrize(
    ("network", "config", "numbers"),
    [
        # As the published files have them.
        ("UNet2DConditionModel", "unet", 2_567_463_684),
        ("ControlNetModel", "control", 1_251_014_160),
    ],
)
def test_the_published_size_is_built_without_taking_memory(network: str, config: str, numbers: int) -> None:
    shape: dict[str, Any] = {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "transformer_layers_per_block": [1, 2, 10],
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "use_linear_projection": True,
    }
    if config == "unet":
        shape["up_block_types"] = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D")
    with torch.device("meta"):
        built = getattr(diffusers, network)(**shape)
    assert sum(parameter.numel() for parameter in built.parameters()) == numbers
    assert not [name for name, _ in built.named_buffers()]  # a buffer would be left without content


def test_old_names_of_the_decoder_are_understood(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    source = locate("sd15") / "vae"
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for name, tensor in load_file(source / "diffusion_pytorch_model.fp16.safetensors").items():
        for new, former in old.items():
            name = name.replace(f".{new}.", f".{former}.")
        state[name] = tensor
    assert any("proj_attn" in name for name in state)
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    ours, theirs = (
        load_network(folder, "AutoencoderKL", "cpu", torch.float32).state_dict() for folder in (tmp_path, source)
    )
    assert all((ours[name] == theirs[name]).all() for name in theirs)
