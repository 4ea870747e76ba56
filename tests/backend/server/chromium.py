"""Headless Chromium, where there is one, over its pipe: the Chrome DevTools Protocol, each message ends with a zero.

Source: https://chromedevtools.github.io/devtools-protocol/, and --remote-debugging-pipe of its command line.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-extensions", "--mute-audio", "--force-color-profile=srgb"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",  # nothing from elsewhere
)
FIRST_FREE = 10
"""Descriptors below this are not ours to choose: the browser reads from 3 and writes to 4."""

ANSWER_SECONDS = 30.0


class Chromium:
    """A browser with one page; a context manager that ends it.

    profile: an empty folder of its own.
    logged: what the page's console and the browser have to complain of, refusals by the policy among it.
    requested: addresses that the page has asked for.
    """

    def __init__(self, profile: Path, width: int = 1280, height: int = 900) -> None:
        self.logged: list[str] = []
        self.requested: list[str] = []
        self._number = 0
        self._rest = b""
        theirs_in, self._input = self._pipe(theirs=0)
        self._output, theirs_out = self._pipe(theirs=1)
        size = f"--window-size={width},{height}"

        def connect() -> None:
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self._process = subprocess.Popen(
            [PROGRAM, *OPTIONS, size, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=connect,
            pass_fds=(3, 4),
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = ""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    @staticmethod
    def _pipe(theirs: int) -> tuple[int, int]:
        pair = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for end in pair]
        for end in pair:
            os.close(end)
        os.set_inheritable(ends[theirs], True)
        return ends[0], ends[1]

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._input)  # it leaves when nobody asks any more
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        os.close(self._output)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; what happens meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._input, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            answer = self._next(until - time.monotonic())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            self._note(answer)

    def _next(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._output], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self._output, 1 << 16)
            assert data, "the browser has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Log.entryAdded":
                self.logged.append(f"{told['entry']['level']}: {told['entry']['text']}")
            case "Runtime.exceptionThrown":
                self.logged.append(json.dumps(told["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled":
                self.logged.append(json.dumps(told["args"])[:500])
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """The value of an expression in the page; a promise's once it is kept."""
        told = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> Any:
        """The first true value of an expression."""
        until = time.monotonic() + seconds
        while not (value := self.value(f"(() => {expression})()" if expression.startswith("{") else expression)):
            assert time.monotonic() < until, f"never: {expression}\n{self.value('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def press(self, key: str, code: int, text: str = "", shift: bool = False) -> None:
        """A key, as from a keyboard."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **told)
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def look_like(self, width: int, height: int, *, dark: bool = False, mobile: bool = False) -> None:
        """A window of that size, and what the user's system prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """The whole page, as a JPEG or PNG."""
        kind: dict[str, Any] = {"format": "jpeg", "quality": 88} if path.suffix == ".jpg" else {"format": "png"}
        told = self.call("Page.captureScreenshot", captureBeyondViewport=True, **kind)
        path.write_bytes(base64.b64decode(told["data"]))
