"""The steps of an installation, in their order. Every one can be interrupted and done again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from . import records, uv, wheels
from .builds import AUTOMATIC, choose
from .commands import Lifeline, Progress, Stopped, Tools
from .events import Failure, tell
from .failures import explain
from .machine import find_machine
from .plan import SPARE, Plan
from .records import Record

LOCK_SECONDS = 10.0
MISLEADING = ("VIRTUAL_ENV", "CONDA_PREFIX")
TOOLS_OWN = ("PYTHON", "__PYV", "PIP_", "UV_")
HEARD = (
    "UV_DEFAULT_INDEX",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "UV_HTTP_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_KEYRING_PROVIDER",
)
"""Of the tools' own variables those that say how to reach the index. All others, and their files of settings, could
have things installed elsewhere or from elsewhere."""

OLDEST_PYTHON = (3, 11)

VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"

CHECK = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
facts = {"python": sys.version.split()[0]}
if "torch" in sys.modules:
    import torch
    facts["torch"] = torch.__version__
    metal = getattr(torch.backends, "mps", None)
    facts["device"] = "cuda" if torch.cuda.is_available() else "mps" if metal and metal.is_available() else "cpu"
print("facts " + json.dumps(facts))
"""
"""Imports what the backend will import, and says what torch sees."""


class Installation:
    """One run of the program: from the plan to a complete environment."""

    def __init__(self, plan: Plan, lifeline: Lifeline) -> None:
        self.plan = plan
        self._lifeline = lifeline
        self._variables = variables(plan)
        self._uv: Path | None = None
        self._tools: Tools
        self._progress: Progress

    def run(self) -> Path:
        """Make the environment, or finish it, and return its folder. Raises Failure, Stopped."""
        plan = self.plan
        try:
            plan.environments.mkdir(parents=True, exist_ok=True)
            plan.log.parent.mkdir(parents=True, exist_ok=True)
            with records.only_one(plan.environments, LOCK_SECONDS) as lock:
                return self._run_alone(lock.descriptor)
        except OSError as error:
            raise explain(str(error), "Writing the environment", type(error).__name__) from error

    def _run_alone(self, lock: int) -> Path:
        plan = self.plan
        records.begin(plan.environments, {"build": plan.build, "offline": plan.offline})
        plan.log.unlink(missing_ok=True)
        if plan.build == AUTOMATIC:
            build, _ = choose(find_machine())
            self.plan = plan = replace(plan, build=build)
        self._progress = Progress(plan.disk)
        self._tools = Tools(self._lifeline, self._progress, plan.log, lock, plan.silence)
        self._tools.note(f"Installing the backend, build {plan.build}, into {plan.environments}")
        self._progress.begin("checking", "Checking the disk")
        check_space(plan)
        if plan.repair:
            shutil.rmtree(plan.cache, ignore_errors=True)
        self._progress.begin("installer", "Looking for the installer")
        self._progress.measure(plan.cache, plan.tools)
        self._uv = self._find_uv()
        if self._uv is None:  # pip's cache is packed, uv's is what the environment shares its files with
            self._progress.measure(plan.environments)
        self._progress.begin("python", "Looking for a Python")
        python, version = self._find_python()
        folder = plan.folder(version)
        self._make(folder, python)
        if plan.offline:
            self._progress.begin("packages", "Checking the folder's packages")
            wheels.check(Path(plan.offline), self._beat)
        self._progress.begin("packages", "Installing the packages")
        self._install(folder, [option for path in plan.files for option in ("-r", str(path))], hashed=True)
        if plan.torch_file is not None:
            self._progress.begin("torch", "Installing PyTorch")
            index = ["--index-url", plan.index] if plan.index and not plan.offline else []
            self._install(folder, ["-r", str(plan.torch_file), *index], hashed=False)
        self._progress.begin("check", "Trying it out")
        facts = self._check(folder)
        records.write_marker(folder, Record(plan.build, version, plan.locks, time.time(), facts))
        records.end(plan.environments)
        tidy(plan, folder)
        return folder

    def _beat(self) -> None:
        self._lifeline.check()
        self._progress.look()

    def _find_uv(self) -> Path | None:
        """uv; None if there is none and it cannot be had: venv and pip will do."""
        plan = self.plan
        places = [Path(folder) for folder in (plan.offline and f"{plan.offline}/wheels", plan.wheels) if folder]
        lock = Path(plan.requirements) / "uv.txt"
        found = uv.find_here(plan.tools, places, lock)
        if found is not None or plan.offline:
            return found
        self._progress.text = "Fetching the installer"
        try:
            return uv.fetch(plan.tools, lock, os.environ, lambda count, total: self._beat())
        except Failure as failure:
            if failure.code != "no-wheel":
                raise
            self._tools.note(f"There is no uv: {failure.message}")
            return None

    def _find_python(self) -> tuple[str, str]:
        """The Python to make the environment from, and its version ("3.11").

        Blender's own comes last, and only as what an environment is made from: nothing is installed into it.
        """
        if self._uv is not None:
            for how in self._ways_of_uv(self._uv):
                with contextlib.suppress(Failure):
                    path = self._tools.run(how, self._variables, "Looking for a Python").splitlines()[-1].strip()
                    return path, self._version(path)
        for candidate in self._candidates():
            with contextlib.suppress(Failure):
                version = self._version(candidate)
                fits = version == self.plan.python if self.plan.offline else _numbers(version) >= OLDEST_PYTHON
                if fits:
                    return candidate, version
        raise explain("no interpreter found", "Looking for a Python", "none")

    def _ways_of_uv(self, program: Path) -> Iterator[list[str]]:
        """One of this machine; one that uv fetches into the add-on's own folder; a later one of this machine."""
        here = [str(program), "python", "find", "--system", "--no-project", "--no-python-downloads"]
        yield [*here, self.plan.python]
        if not self.plan.offline:
            self._progress.text = "Fetching Python"
            with contextlib.suppress(Failure):
                self._tools.run(
                    [str(program), "python", "install", self.plan.python], self._variables, "Fetching Python"
                )
            yield [*here, self.plan.python]
            yield [*here, ">=3.12,<3.14"]

    def _candidates(self) -> Iterator[str]:
        for name in ("python3.11", "python3.12", "python3.13", "python3", "python"):
            found = shutil.which(name)
            # macOS's own python3 and Windows's are stubs that open an installer or a shop.
            if found and not (sys.platform == "darwin" and found == "/usr/bin/python3") and "WindowsApps" not in found:
                yield found
        if self.plan.base_python:
            yield self.plan.base_python

    def _version(self, python: str) -> str:
        command = [python, "-I", "-S", "-B", "-c", VERSION]
        return self._tools.run(command, self._variables, "Asking a Python for its version").splitlines()[-1].strip()

    def _make(self, folder: Path, python: str) -> None:
        """An empty environment. What is left of an interrupted one is not built upon: its parts can be told from
        nothing, and the downloads, which are what takes time, lie in the cache."""
        if folder.is_dir():
            records.remove_marker(folder)
            let_go(folder)
            shutil.rmtree(folder)
        self._progress.begin("environment", "Making the environment")
        if self._uv is not None:
            command = [str(self._uv), "venv", "--no-project", "--python", python, str(folder)]
        else:
            command = [python, "-I", "-B", "-m", "venv", str(folder)]
        self._tools.run(command, self._variables, "Making the environment")

    def _install(self, folder: Path, what: list[str], hashed: bool) -> None:
        python = str(records.python_of(folder))
        options = ["--require-hashes"] if hashed else []
        if self.plan.offline:
            options += ["--no-index", "--find-links", str(Path(self.plan.offline) / "wheels")]
        if self._uv is not None:
            command = [str(self._uv), "pip", "install", "--python", python, "--only-binary", ":all:", *options, *what]
        else:
            command = [python, "-I", "-m", "pip", "--isolated", "install", "--no-input", "--disable-pip-version-check"]
            command += ["--progress-bar", "off", "--cache-dir", str(self.plan.cache / "pip"), "--only-binary", ":all:"]
            # Isolated, pip hears no variable: the index of this user's is named to it, unless another is meant.
            if self._variables.get("UV_DEFAULT_INDEX") and not {"--no-index", "--index-url"} & {*options, *what}:
                command += ["--index-url", self._variables["UV_DEFAULT_INDEX"]]
            command += [*options, *what]
        doing = "Installing the packages" if hashed else "Installing PyTorch"
        try:
            self._tools.run(command, self._variables, doing, heard)
        except Failure as failure:
            # Companies look into encrypted connections with certificates that only the system knows.
            if failure.code != "certificate" or self._uv is None:
                raise
            self._tools.note("Again, with the certificates of the system")
            others = {name: value for name, value in self._variables.items() if name not in OWN_CERTIFICATES}
            self._tools.run(command, {**others, **SYSTEM_CERTIFICATES}, doing, heard)

    def _check(self, folder: Path) -> dict[str, str]:
        """Import what the backend will import. Raises Failure: if that fails, the environment is not complete."""
        values = {
            **self._variables,
            "PYTHONPATH": self.plan.backend,
            "PYTHONNOUSERSITE": "1",
            "PYTHONPYCACHEPREFIX": str(Path(self.plan.user) / "pycache"),
            "SET_DRESSER_PLUGINS": "",  # they are the user's, and not what is tried here
        }
        command = [str(records.python_of(folder)), "-P", "-c", CHECK, *self.plan.modules]
        try:
            said = self._tools.run(command, values, "Trying it out")
        except Failure as failure:
            if failure.code in ("disk-full", "locked"):
                raise
            last = failure.details.splitlines()[-1] if failure.details else failure.message
            message = f"Everything is installed, but the backend cannot be loaded: {last[:200]}"
            hint = "Press Repair. If it fails again, choose another build of PyTorch, and look into the log."
            raise Failure("install-check", message, hint, failure.details) from failure
        lines = [line for line in said.splitlines() if line.startswith("facts ")]
        facts = json.loads(lines[-1].removeprefix("facts ")) if lines else {}
        return {str(name): str(value) for name, value in facts.items()}


SYSTEM_CERTIFICATES = {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"}
"""uv's variable has had two names."""

OWN_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Blender may have set them to certificates that it brings along."""


def variables(plan: Plan, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the tools run with: proxies, indexes and certificates of this user's; nothing of another Python's; caches
    and Pythons in the add-on's own folder, so that all of it can be measured and removed."""
    kept = {
        name: value
        for name, value in given.items()
        if name in HEARD or (name not in MISLEADING and not name.startswith(TOOLS_OWN))
    }
    index = next((given[name] for name in uv.INDEX_VARIABLES if given.get(name)), "")
    if index:
        kept["UV_DEFAULT_INDEX"] = index
    return {
        **kept,
        "UV_NO_CONFIG": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(plan.cache / "uv"),
        "UV_PYTHON_INSTALL_DIR": str(plan.tools / "python"),
        "UV_PYTHON_INSTALL_BIN": "0",
        "UV_PYTHON_INSTALL_REGISTRY": "0",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
        "PYTHONUTF8": "1",
    }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def heard(line: str) -> str:
    """What is worth showing of a line of uv's or pip's."""
    size = re.search(r"Downloading (?:\S*/)?([\w.+-]+?)(?:-\d[^ ]*)? \(([^)]+)\)", line)
    if size:
        return f"Downloading {size[1]} ({size[2]})"
    if re.match(r"\s*(Prepared \d+|Installing collected)", line):
        return "Unpacking"
    return ""


def check_space(plan: Plan) -> None:
    """Raises Failure: if the disk has not got what it takes. uv's cache and the environment share their files; with
    pip, downloads lie beside them for a while."""
    needed = plan.disk + SPARE + (0 if plan.offline else plan.download // 4)
    free = shutil.disk_usage(plan.environments).free
    if free < needed:
        message = f"The disk has {free / 1e9:.1f} GB left; about {needed / 1e9:.1f} GB are needed in {plan.user}."
        raise Failure("disk-full", message, "Free some space, or choose a smaller build, then press Install again.")


def let_go(folder: Path) -> None:
    """Wait until nobody runs a backend from an environment. Raises Failure: if somebody goes on doing so."""
    until = time.monotonic() + LOCK_SECONDS
    while records.is_locked(folder / records.HELD):
        if time.monotonic() > until:
            message = "The backend is running from the environment that is to be changed."
            raise Failure("in-use", message, "Stop the backend, or close the other Blender, then press it again.")
        time.sleep(0.1)


def tidy(plan: Plan, keep: Path) -> None:
    """Remove the other environments, but none that a backend runs from; those go another time. With them goes the
    cache: what `keep` needs, it has."""
    removed = False
    for trash in plan.environments.glob(".*.trash"):
        shutil.rmtree(trash, ignore_errors=True)
    for folder in records.folders(plan.environments):
        if folder == keep or records.is_locked(folder / records.HELD):
            continue
        records.remove_marker(folder)
        trash = folder.with_name(f".{folder.name}.trash")
        with contextlib.suppress(OSError):  # Windows: a file in it is open
            folder.rename(trash)
            shutil.rmtree(trash, ignore_errors=True)
            removed = True
    if removed or (plan.cache / "pip").is_dir():
        shutil.rmtree(plan.cache, ignore_errors=True)


def tidy_alone(plan: Plan) -> None:
    """`tidy` for an installation that was complete before."""
    with records.only_one(plan.environments, LOCK_SECONDS):
        found = records.look(plan.environments, plan.locks, plan.build)
        if found.state is records.Disk.COMPLETE and found.folder is not None:
            tidy(plan, found.folder)


def install(plan: Plan, lifeline: Lifeline) -> None:
    """Run it and tell how it ended."""
    try:
        folder = Installation(plan, lifeline).run()
    except Stopped:
        tell("cancelled")
    except Failure as failure:
        tell("failed", code=failure.code, message=failure.message, hint=failure.hint, details=failure.details)
    else:
        tell("complete", folder=str(folder))
