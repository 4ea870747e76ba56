"""CONTRIBUTING.md shows a pipeline that works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from backend.contract import Result
from tests.structure.source import ROOT


def test_the_pipeline_in_the_guide_works_as_a_plugin(tmp_path: Path) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    description, work = re.findall(r"```python\n(.*?)```", guide, flags=re.DOTALL)
    package = tmp_path / "plugins" / "guide_card"
    package.mkdir(parents=True)
    description += "\n\nPIPELINES = [CARD]\n"
    (package / "__init__.py").write_text(description.replace("backend.pipelines.card", "guide_card"), encoding="utf-8")
    (package / "run.py").write_text(work.replace("backend.pipelines.card", "guide_card"), encoding="utf-8")
    labels = np.zeros((60, 80), dtype=np.uint8)
    labels[10:30, 10:30], labels[20:50, 50:70] = 1, 2
    Image.fromarray(labels).save(tmp_path / "map.png")
    Image.fromarray(labels).convert("RGB").save(tmp_path / "picture.png")

    (command,) = re.findall(r"python -m backend generate .*", guide)
    _, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, *(str(tmp_path / word) if word.endswith((".png", "result")) else word for word in arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path / "plugins"),
            "SET_DRESSER_PLUGINS": "guide_card",
            "SET_DRESSER_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = Result.model_validate_json((tmp_path / "result" / "result.json").read_bytes())
    assert result.parameters == {"distance": 3.0, "thickness": 0.05}
    assert [(prop.id, prop.watertight, prop.volume > 0) for prop in result.props] == [(1, True, True), (2, True, True)]
    assert [prop.mask_iou for prop in result.props] == [1.0, 1.0]
