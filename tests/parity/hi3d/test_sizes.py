"""The sizes that memory and operations are counted with are those of the published files."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from bench import hi3d_sizes  # noqa: E402
from tests.parity.hi3d.test_manifest import found, stage  # noqa: E402,F401


def test_configurations_and_counts(found: Any, stage: Any) -> None:  # noqa: F811
    configs = hi3d_sizes.configs(stage[1])
    assert set(configs) == set(found.parts)
    for name, part in found.parts.items():
        assert configs[name] == {key: value for key, value in part.config.items() if key != "_class_name"}, name
        parameters = sum(each.numel() for each in part.tensors.values())
        assert hi3d_sizes.PARAMETERS[stage[1].number][name] == parameters, name
