"""The networks against those of torch and transformers; and planes asked the plain way."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn.functional import grid_sample  # noqa: E402

from models.lrm.configs import EncoderConfig  # noqa: E402
from models.lrm.decoders import perceptron  # noqa: E402
from models.lrm.encoder import CameraEncoder  # noqa: E402
from models.lrm.transformer import Attention  # noqa: E402
from models.lrm.triplane import FoldedPerceptron, sample  # noqa: E402

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("context_width", [24, 16])
def test_attention_is_that_of_torch_under_the_same_names(context_width: int) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(
        24, 3, bias=False, batch_first=True, kdim=context_width, vdim=context_width
    ).eval()
    ours = Attention(24, 3, context_width)
    ours.load_state_dict(theirs.state_dict())
    hidden, context = torch.randn(2, 7, 24), torch.randn(2, 5, context_width)
    expected = theirs(hidden, context, context, need_weights=False)[0]
    assert torch.allclose(ours(hidden, context), expected, atol=1e-6)


def test_without_cameras_the_encoder_is_the_vit_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = EncoderConfig(width=24, layers=2, heads=3, inner_width=40, image_size=48)
    theirs = transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=40,
            image_size=48,
            patch_size=16,
            hidden_act="gelu",
        ),
        add_pooling_layer=False,
    ).eval()
    ours = CameraEncoder(config).eval()
    for part in ours.model.layers:
        for parameter in part.adaLN_modulation.parameters():
            parameter.zero_()
    published = {published_name(name): tensor for name, tensor in theirs.state_dict().items()}
    missing, unknown = ours.model.load_state_dict(published, strict=False)
    assert not unknown and all("adaLN_modulation" in name for name in missing)
    views = torch.rand(2, 3, 48, 48)
    expected = theirs(views * 2 - 1).last_hidden_state
    assert torch.allclose(ours(views, torch.randn(2, 16)), expected, atol=1e-5)


def published_name(name: str) -> str:
    """transformers 5 renamed the parts of its ViT; files have the old names."""
    for new, old in (
        ("layers.", "encoder.layer."),
        ("encoder.encoder.", "encoder."),
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ):
        name = name.replace(new, old)
    return name


def plain_features(planes: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """[P, 3·C], one plane after the other, as the paper says it."""
    pairs = [points[:, [0, 1]], points[:, [0, 2]], points[:, [2, 1]]]
    return torch.cat(
        [
            grid_sample(plane[None], pair[None, None], align_corners=False, padding_mode="zeros")[0, :, 0].T
            for plane, pair in zip(planes, pairs, strict=True)
        ],
        dim=1,
    )


@pytest.fixture
def planes() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 5, 8, 8)


@pytest.fixture
def points() -> torch.Tensor:
    """Inside, outside, far away, and on every special place: pixel centres, edges of the planes."""
    torch.manual_seed(2)
    special = torch.cartesian_prod(*[torch.tensor([-1.125, -1.0, -0.875, 0.0, 0.125, 1.0])] * 3)
    return torch.cat([torch.randn(300, 3), special, torch.full((1, 3), 1e9), torch.full((1, 3), -1e30)])


def test_planes_are_sampled_bilinearly_and_are_zero_outside(planes: torch.Tensor, points: torch.Tensor) -> None:
    assert torch.allclose(sample(planes, points), plain_features(planes, points), atol=2e-6)
    assert torch.allclose(sample(planes, 3 * points, half_extent=3.0), plain_features(planes, points), atol=2e-6)
    assert not sample(planes, points[-2:]).any()


@pytest.mark.parametrize("chunk", [1, 17, 100_000])
@pytest.mark.parametrize("per_query", [1, 8])
def test_folding_the_first_layer_into_the_planes_changes_nothing(
    chunk: int, per_query: int, planes: torch.Tensor, points: torch.Tensor
) -> None:
    network = perceptron(per_query * 15, 4)
    queries = points[: len(points) // per_query * per_query].view(-1, per_query, 3)
    expected = network(plain_features(planes, queries.reshape(-1, 3)).view(len(queries), -1))
    folded = FoldedPerceptron(network, planes, chunk=chunk)
    assert torch.allclose(folded(queries), expected, atol=2e-6)
    assert folded(queries[:0]).shape == (0, 4)
