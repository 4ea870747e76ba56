"""The benchmark of textures from views tells both carriers, of true and of disturbed views; at a small size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import view_texture
from tests import documented


def test_it_measures_both_carriers(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "figures.json"
    given = ["--side", "64", "--size", "128", "--faces", "600", "--cells", "8", "--shapes", "two parts"]
    view_texture.main([*given, "--json", str(file)])
    rows = documented.table(capsys.readouterr().out)
    assert [row[2:4] for row in rows] == [
        ["true", "vertices"], ["true", "texture"], ["disturbed", "vertices"], ["disturbed", "texture"],
    ]  # fmt: skip
    true, disturbed = json.loads(file.read_text(encoding="utf-8"))[1::2]
    assert 15 < disturbed["again"] <= true["again"] + 0.5
