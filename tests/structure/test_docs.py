"""What docs/ says of the code is what the code says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import build_docs
from backend.errors import ERRORS, Problem
from backend.pipelines import PIPELINES
from backend.pipelines.base import MethodInfo
from backend.preparations import preparations
from tests.structure.source import ROOT

METHODS = [*PIPELINES.values(), *preparations().values()]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
HEAVIEST_PICTURE = 300_000


@pytest.mark.parametrize("page", build_docs.PAGES, ids=lambda page: page.name)
def test_the_tables_of_errors_and_of_parameters_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert build_docs.render(text, build_docs.PAGES[page]) == text, "run `make docs`"


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.id)
def test_every_parameter_of_every_method_stands_on_a_page(info: MethodInfo) -> None:
    (page,) = (page for page, names in build_docs.PAGES.items() if f"{build_docs.PARAMETERS}{info.id}" in names)
    text = page.read_text(encoding="utf-8")
    table = text.partition(f"<!-- {build_docs.PARAMETERS}{info.id}:")[2].partition("<!-- /")[0]
    for name in info.parameters.model_json_schema()["properties"]:
        assert f"| `{name}` |" in table


def test_every_code_has_a_sentence_and_a_hint() -> None:
    page = build_docs.PAGE.read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > len(ERRORS) + 30, "hardly any code was found"
    for code, message, *hint in rows:
        assert message and hint and hint[0].strip(" |"), f"{code} says nothing, or not what to do"


def test_the_reader_of_the_addons_sentences_sees_every_kind() -> None:
    source = """
SECONDS = 60.0
HINT = "Do that."
RULES = (("rule", r"pattern", "It fits.", "Do this."),)
CODE_HINT = "Restart."
CODES = {7: ("exit", "It crashed.")}
def act(path):
    message = f"{path} is older than {SECONDS:.0f} s."
    raise SetDresserError(message, HINT, "old")
def fail():
    raise Failure("failed", "It failed.", hint="Try " "again.")
def pass_on(problem):
    raise SetDresserError(problem.message, problem.hint, problem.code)
"""
    assert [(each.code, each.message, each.hint) for each in build_docs.sentences(source)] == [
        ("rule", "It fits.", "Do this."),
        ("exit", "It crashed.", "Restart."),
        ("old", "… is older than 60 s.", "Do that."),
        ("failed", "It failed.", "Try again."),
    ]


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        build_docs.render("# Nothing\n")


def test_the_schema_of_errors_has_every_code_and_every_member_of_a_problem() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "backend", "schema", "errors"], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    schema = json.loads(done.stdout)
    codes = {each["const"]: (each["title"], each["description"]) for each in schema["properties"]["code"]["oneOf"]}
    assert codes == {code: (kind.title, kind.hint) for code, kind in ERRORS.items()}
    document = Problem("internal", "A sentence.").document()
    assert set(document) == set(schema["required"]) == set(schema["properties"])


@pytest.mark.parametrize("info", METHODS, ids=lambda info: info.id)
def test_every_parameter_says_what_it_does(info: MethodInfo) -> None:
    for name, field in info.parameters.model_json_schema()["properties"].items():
        assert field.get("title"), f"{name} has no title"
        assert len(field.get("description", "")) > 10, f"{name} has no tooltip"
    assert info.description


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not re.match(r"\w+://", target):
            assert (page.parent / target).exists(), f"{target} is not there"


def test_pictures_are_light_and_all_of_them_are_shown() -> None:
    texts = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in sorted((ROOT / "docs" / "images").iterdir()):
        assert picture.stat().st_size < HEAVIEST_PICTURE, f"{picture.name} is too heavy"
        assert f"images/{picture.name}" in texts, f"no page shows {picture.name}"


def test_the_user_guide_knows_every_setting_of_the_panel() -> None:
    source = (ROOT / "blender_addon" / "settings" / "properties.py").read_text(encoding="utf-8")
    guide = (ROOT / "docs" / "user-guide.md").read_text(encoding="utf-8")
    settings = source.partition("class SetDresserSettings")[2]
    hidden = {"Pipeline Identifier", "Source Identifier", "Active Box", "Active Photo"}
    labels = set(re.findall(r'name="([^"]+)"', settings)) - hidden
    assert len(labels) > 10
    assert [label for label in sorted(labels) if label not in guide] == []
