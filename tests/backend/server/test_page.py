"""The page at `/` as it comes over HTTP: who gets it, what it may do, and that it asks for nothing that is not there.

What it does in a browser is tried by test_page_in_chromium.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.backend.server.running_server import RunningServer
from tests.backend.server.users_server import UsersServer

PATHS = {
    "/": "text/html; charset=utf-8",
    "/static/page.css": "text/css; charset=utf-8",
    "/static/page.js": "text/javascript; charset=utf-8",
    "/static/server.js": "text/javascript; charset=utf-8",
    "/static/icon.svg": "image/svg+xml",
}
INTO_MARKUP = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersServer]:
    with UsersServer(tmp_path_factory.mktemp("page")) as server:
        yield server


@pytest.fixture(scope="module")
def stranger(studio: UsersServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{studio.port}", trust_env=False) as client:
        yield client


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}))


@pytest.mark.parametrize("path", PATHS)
def test_the_files_of_the_page_come_to_whoever_asks_and_may_do_nothing_but_ask_this_server(
    stranger: httpx.Client, path: str
) -> None:
    answer = stranger.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, PATHS[path])
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_they_are_the_same_for_all(studio: UsersServer, stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).content == studio.client.get(path).content


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/"),
        ("HEAD", "/"),
        ("PUT", "/static/page.js"),
        ("GET", "/static/"),
        ("GET", "/static/index.html"),
        ("GET", "/static/../users"),
        ("GET", "/static/%2e%2e/app.py"),
        ("GET", "/index.html"),
        ("GET", "/health"),
        ("GET", "/metrics"),
    ],
)
def test_nothing_else_is_told_without_a_token(stranger: httpx.Client, method: str, path: str) -> None:
    assert stranger.request(method, path).status_code == 401


def test_another_host_or_origin_gets_no_page(stranger: httpx.Client) -> None:
    assert stranger.get("/", headers={"Host": "evil.example"}).json()["code"] == "host-refused"
    assert stranger.get("/", headers={"Origin": "https://evil.example"}).json()["code"] == "origin-refused"


def test_blenders_own_server_has_no_page(server: RunningServer) -> None:
    """It was not told where to listen: nobody but Blender knows its token, and it answers nobody else."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        for path in PATHS:
            assert client.get(path).status_code == 401
            assert server.client.get(path).status_code == 404


def test_one_that_was_told_where_to_listen_has_it_without_users_too(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", "--listen", "127.0.0.1:0") as server:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
            assert client.get("/").status_code == 200
            assert client.get("/jobs").status_code == client.get("/metrics").status_code == 401
        assert server.client.get("/metrics").status_code == 200


def test_no_script_or_style_is_inside_the_page_and_nothing_comes_from_elsewhere(stranger: httpx.Client) -> None:
    elements = Elements(stranger.get("/").text).all
    for tag, attributes in elements:
        assert tag not in ("style", "iframe", "object", "embed", "base")
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        assert tag != "script" or attributes.get("src"), "a script has an address"
        for name in ("src", "href", "action"):
            assert attributes.get(name, "/") in PATHS
    for path in ("/static/page.css", "/static/icon.svg"):
        text = stranger.get(path).text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "http" not in text and "url(" not in text and "@import" not in text


def test_the_scripts_make_text_and_never_markup(stranger: httpx.Client) -> None:
    for path in ("/static/page.js", "/static/server.js"):
        text = stranger.get(path).text
        for word in (*INTO_MARKUP, "localStorage", "document.cookie", "http:", "https:", "import("):
            assert word not in text, (path, word)


def test_what_the_script_looks_for_is_in_the_page(stranger: httpx.Client) -> None:
    script, elements = stranger.get("/static/page.js").text, Elements(stranger.get("/").text).all
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'\bat\("([a-z-]+)"\)', script)) | set(re.findall(r'draw\([^"]*"\), "([a-z]+)"', script))
    assert wanted and wanted <= set(ids)
    classes = {name for _, attributes in elements for name in attributes.get("class", "").split()}
    assert set(re.findall(r'querySelector\("\.([a-z]+)', script)) <= classes


def test_what_the_script_asks_for_is_what_the_server_answers(studio: UsersServer, stranger: httpx.Client) -> None:
    described = studio.client.get("/openapi.json").json()
    paths, schemas = described["paths"], described["components"]["schemas"]
    script = stranger.get("/static/page.js").text
    asked = set(re.findall(r'told\(["`](/[a-z]+)', script))
    assert asked == {"/health", "/jobs", "/pipelines"} and asked <= set(paths)
    options = {option["name"] for option in paths["/jobs"]["get"]["parameters"]}
    assert set(re.findall(r"[?&]([a-z]+)=", script)) <= options
    assert 'ask("DELETE", jobPath(job.id))' in script and "delete" in paths["/jobs/{job}"]
    assert (
        'ask("POST", jobPath(job.id, "priority"), { priority })' in script and "post" in paths["/jobs/{job}/priority"]
    )
    job, health = set(schemas["JobView"]["properties"]), set(schemas["UserHealth"]["properties"])
    assert set(re.findall(r"\bjob\.([a-z_]+)", script)) <= job
    assert set(re.findall(r"\bhealth\.([a-z_]+)", script)) <= health


def test_labels_and_headings_are_there_for_who_does_not_see_the_page(stranger: httpx.Client) -> None:
    elements = Elements(stranger.get("/").text).all
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    assert ("html", {"lang": "en"}) in elements
    for tag, attributes in elements:
        for name in ("for", "aria-labelledby", "aria-describedby"):
            assert attributes.get(name) is None or attributes[name] in ids
        if tag in ("section", "dialog"):
            assert attributes["aria-labelledby"] in ids
    labelled = {attributes.get("for") for tag, attributes in elements if tag == "label"}
    fields = [attributes for tag, attributes in elements if tag == "input" and "hidden" not in attributes]
    assert fields and {attributes["id"] for attributes in fields} <= labelled
    assert {attributes.get("role") for _, attributes in elements} >= {"status", "alert"}
