"""The page at `/` in headless Chromium; skipped where there is none (Debian: apt-get install chromium)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.backend.server.chromium import PROGRAM, Chromium
from tests.backend.server.page_pictures import MODULE, furniture, sign_in
from tests.backend.server.running_server import FAKES
from tests.backend.server.users_server import UsersServer

pytestmark = pytest.mark.skipif(not PROGRAM, reason="there is no Chromium")

TEXTS = "[...document.querySelectorAll('{}')].map(element => element.textContent.trim())"
MARKUP = '<img src=x onerror=alert(1)><b>sofa</b> & "quotes"'


@dataclass
class Farm:
    server: UsersServer
    gate: Path
    jobs: dict[str, str]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Anna has a job in every state, Ben one that waits."""
    folder = tmp_path_factory.mktemp("farm")
    with UsersServer(folder, SET_DRESSER_PLUGINS=f"{FAKES},{MODULE}") as server:
        made = Farm(server, folder / "gate", {})
        anna, ben = server.client_of("anna"), server.client_of("ben")

        def submit(name: str, pipeline: str, client: Any = anna, **parameters: Any) -> str:
            request = {"pipeline": pipeline, "parameters": parameters, "name": name}
            answer = server.post_job(request, {"image": ("a.png", furniture("chair"))}, client)
            assert answer.status_code == 201, answer.text
            made.jobs[name] = str(answer.json()["id"])
            return made.jobs[name]

        server.wait(submit("The chair", "slow", steps=2), "done", seconds=60)
        server.wait(submit("The failure", "raising", how="problem"), "failed", seconds=60)
        server.wait(submit("The slow one", "slow", steps=10, reach=0.5), "running", seconds=60)
        submit("The first", "steady")
        submit("The second", "steady")
        submit(MARKUP, "steady")
        submit("Ben's", "steady", ben)
        yield made
        anna.close()
        ben.close()


@pytest.fixture(scope="module")
def browser(farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as made:
        yield made


def opened(browser: Chromium, farm: Farm, user: str = "") -> None:
    """The page anew, and that user signed in; nobody if none is named."""
    browser.open(f"http://127.0.0.1:{farm.server.port}/")
    browser.value("sessionStorage.clear()")
    browser.open(f"http://127.0.0.1:{farm.server.port}/")
    browser.wait("!document.querySelector('#sign-in').hidden")
    if not user:
        return
    sign_in(browser, farm.server.tokens[user])
    browser.wait("document.querySelectorAll('#running li').length === 1")


def waiting(browser: Chromium) -> list[str]:
    return list(browser.value(TEXTS.format("#waiting h3")))


def test_a_user_sees_ones_own_with_pictures_as_text_and_without_a_word_of_others(browser: Chromium, farm: Farm) -> None:
    opened(browser, farm, "anna")
    browser.wait("document.querySelector('#ended li[data-state=done] img')?.naturalWidth > 0")
    browser.wait("document.querySelector('#running img')?.naturalWidth > 0")
    assert browser.value(TEXTS.format("#running h3")) == ["The slow one"]
    assert browser.value("document.querySelector('#running progress').value") == pytest.approx(50, abs=3)
    assert waiting(browser) == ["The first", "The second", MARKUP]
    assert browser.value("document.querySelectorAll('#waiting img, #waiting b').length") == 0
    assert browser.value(TEXTS.format("#ended h3")) == ["The failure", "The chair"]
    assert "The chair has no legs." in browser.value("document.querySelector('#ended .problem').textContent")
    assert browser.value("document.querySelector('#who span').textContent") == "anna"
    everything = browser.value("document.documentElement.outerHTML")
    assert "Ben" not in everything and farm.jobs["Ben's"] not in everything
    told = browser.value("document.querySelector('#waiting .state').textContent")
    assert told.startswith("2 jobs run or wait before it"), "what runs, and Ben, who has had no turn yet"


def test_the_token_is_in_this_tab_alone(browser: Chromium, farm: Farm) -> None:
    opened(browser, farm, "anna")
    token = farm.server.tokens["anna"]
    assert browser.value("Object.values(sessionStorage)") == [token]
    assert (
        browser.value("[document.cookie, Object.values(localStorage).join(), location.href].join()").count(token) == 0
    )
    own = f"http://127.0.0.1:{farm.server.port}/"
    assert {address for address in browser.requested if not address.startswith((own, f"blob:{own}"))} <= {"about:blank"}
    assert not [address for address in browser.requested if token in address]
    browser.value("document.querySelector('#sign-out').click()")
    assert browser.value("Object.values(sessionStorage)") == []
    assert browser.value(TEXTS.format("li.job")) == []


def test_a_wrong_token_is_explained_and_forgotten(browser: Chromium, farm: Farm) -> None:
    opened(browser, farm)
    for wrong, said in (("x" * 43, "is nobody's here"), ("zwölf", "That is no token")):
        browser.value("document.querySelector('#token').focus()")
        browser.type(wrong)
        browser.press("Enter", 13, "\r")
        browser.wait(f"document.querySelector('#refused').textContent.includes({said!r})")
        assert browser.value("Object.values(sessionStorage)") == []
        assert browser.value("document.querySelector('#token').value") == ""


def test_by_keyboard_a_job_goes_first_keeps_the_focus_and_is_cancelled(browser: Chromium, farm: Farm) -> None:
    opened(browser, farm, "anna")
    browser.value("document.querySelector('#sign-out').focus()")
    for _ in range(2 + 3):  # Cancel of what runs, then Sooner, Later and Cancel of the first that waits, then Sooner
        browser.press("Tab", 9)
    label = "document.activeElement.getAttribute('aria-label')"
    assert browser.value(label) == "The second before the other jobs of anna"
    browser.press("Enter", 13, "\r")
    browser.wait("document.querySelector('#waiting h3').textContent === 'The second'")
    assert waiting(browser) == ["The second", "The first", MARKUP]
    assert browser.value(label) == "The second before the other jobs of anna", "its item was moved"
    assert "priority +1" in browser.value("document.querySelector('#waiting .state').textContent")
    assert farm.server.job(farm.jobs["The second"])["priority"] == 1

    browser.press("Tab", 9)
    browser.press("Tab", 9)
    browser.press("Enter", 13, "\r")
    browser.wait("document.querySelector('#sure').open")
    assert browser.value("document.activeElement.textContent") == "Keep it", "what is safe comes first"
    browser.press("Escape", 27)
    browser.wait("!document.querySelector('#sure').open")
    assert farm.server.job(farm.jobs["The second"])["state"] == "queued"
    browser.press("Enter", 13, "\r")
    browser.wait("document.querySelector('#sure').open")
    browser.press("Tab", 9)
    browser.press("Enter", 13, "\r")
    browser.wait("document.querySelectorAll('#waiting li').length === 2")
    assert farm.server.job(farm.jobs["The second"])["state"] == "cancelled"
    browser.wait("document.querySelector('#ended h3').textContent === 'The second'")
    assert browser.value("document.querySelector('#said').textContent") == "The second is being cancelled."


def test_an_administrator_sees_whose_each_is(browser: Chromium, farm: Farm) -> None:
    opened(browser, farm, "farm")
    assert browser.value("document.querySelector('#who span').textContent") == "farm, administrator"
    assert "Ben's" in waiting(browser)
    about = browser.value(TEXTS.format("#waiting .about"))
    assert "Steady · for ben" in about and "Steady · for anna" in about


@pytest.mark.parametrize(("width", "dark"), [(320, False), (390, True), (1280, False)])
def test_nothing_is_wider_than_the_window_and_every_word_can_be_read(
    browser: Chromium, farm: Farm, width: int, dark: bool
) -> None:
    browser.look_like(width, 800, dark=dark, mobile=width < 1000)
    opened(browser, farm, "farm")
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.value(CONTRASTS) == []
    sizes = browser.value(
        "[...document.querySelectorAll('button')].filter(one => one.offsetParent).map(one => one.offsetHeight)"
    )
    assert min(sizes) >= (44 if width < 1000 else 32)


def test_a_server_that_goes_is_told_of_and_nothing_was_complained_of(browser: Chromium, farm: Farm) -> None:
    opened(browser, farm, "anna")
    expected = ("verbose", "error: Failed to load resource: the server responded with a status of 401")  # a wrong token
    assert [line for line in browser.logged if not line.startswith(expected)] == []
    farm.server.kill()
    browser.value("document.dispatchEvent(new Event('visibilitychange'))")
    browser.wait("document.querySelector('#trouble').textContent.startsWith('The server does not answer')")
    assert browser.value("Object.values(sessionStorage)") == [farm.server.tokens["anna"]]


CONTRASTS = """(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [red, green, blue] = parts(color).slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if ((parts(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const element of document.querySelectorAll("h1, h2, h3, p, span, button, label")) {
    if (!element.offsetParent || !element.textContent.trim() || element.closest(".unseen")) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
})()"""
"""Texts that stand out from their ground by less than WCAG 2.2 asks for (1.4.3: 4.5 to 1)."""
