"""A zip to attach to a report: versions, settings, logs and the last job, without tokens and without the user's name.

What goes in is read from the disk and from what is known already; nothing is sent anywhere, and nothing is started.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from ..backend_process import setting_up, tokens
from ..backend_process.environment import Environment
from ..backend_process.greeting import Studio
from ..ground import folders, package, preferences
from ..ground.messages import SetDresserError
from ..ground.privacy import private_opener
from ..ground.redaction import Redaction
from ..state import desk

LOG_BYTES = 1_000_000
"""Of each log the end."""

NOT_TEXT = ("image-", "instances", "depth")
VARIABLES = re.compile(r"SET_DRESSER_|HF_|HUGGINGFACE_|CUDA_VISIBLE|PYTORCH_|OMP_NUM|HTTPS?_PROXY", re.IGNORECASE)
"""Whose presence is told; never what is in them."""


def support_bundle(path: str | os.PathLike[str], *, pictures: bool = False) -> Path:
    """Write a zip that tells somebody else what is wrong: whole, or not at all.

    In it: versions of Blender, system, add-on, backend and packages; the graphics card as Blender knows it; the
    add-on's settings; the last error; logs; request, result and log of the last job. Tokens are removed, the home
    folder is "~", the user's name "<user>".

    Args:
        path: the file to write; ".zip" is added if it has no such end.
        pictures: the last job's pictures too. They are not changed in any way.

    Returns the file's path. Raises SetDresserError if it cannot be written.
    """
    target = Path(bpy.path.abspath(os.fspath(path)))
    if target.suffix.lower() != ".zip":
        target = target.with_name(f"{target.name}.zip")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    redact = _redaction()
    try:
        try:
            with (
                open(part, "wb", opener=private_opener) as file,
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                for name, text in _texts():
                    archive.writestr(name, redact(text))
                for name, picture in _pictures() if pictures else ():
                    archive.write(picture, name)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        hint = "Choose another folder, or free some space on the disk."
        raise SetDresserError(f"The report cannot be written: {error}.", hint, "file") from error
    return target


def _redaction() -> Redaction:
    current = desk.current
    variables = [os.environ[name] for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(name)]
    try:
        kept = tokens.all_tokens()
    except SetDresserError:  # nobody can read them, so nothing here has them but the server
        kept = []
    studio = current.wanted if isinstance(current.wanted, Studio) else current.server.environment
    # What the machines of a studio are called is nobody's business either.
    host = studio.address.host if isinstance(studio, Studio) and not studio.address.loopback else ""
    return Redaction([current.server.token, *kept, host, *variables])


def _texts() -> Iterator[tuple[str, str]]:
    """Everything that is text: its name in the zip, and what it says."""
    yield "versions.json", _json(_versions())
    yield "settings.json", _json({"preferences": _preferences(), "scene": _scene()})
    yield "state.json", _json(_state())
    for log in _logs():
        yield f"logs/{log.name}", _tail(log)
    folder = _last_job()
    if folder is not None:
        yield "job/request.json", _request(folder / "request.json")
        for file in (folder / "output" / "result.json", folder / "log.txt"):
            if file.is_file():
                yield f"job/{file.name}", _tail(file)


def _request(path: Path) -> str:
    """What a job was asked, without where it was made: paths of the user's files are nobody's business."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return "It is damaged."
    if isinstance(document, dict):
        document.pop("origin", None)
    return _json(document)[-LOG_BYTES:]


def _versions() -> dict[str, Any]:
    wanted = _environment()
    python = wanted.python if wanted else None
    site = _site_packages(python) if python else None
    return {
        "blender": bpy.app.version_string,
        "blender_build": bpy.app.build_hash.decode("ascii", "replace"),
        "background": bpy.app.background,
        "system": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "graphics": _graphics(),
        "cycles_devices": _cycles_devices(),
        "addon": _addon_version(),
        "backend": desk.current.server.version or "not started",
        "python_of_blender": sys.version,
        "python_of_backend": _python_version(python) if python else "none",
        "packages": _packages(site) if site else {},
        "online_access": bpy.app.online_access,
        "variables_set": sorted(name for name in os.environ if VARIABLES.match(name)),
    }


def _graphics() -> str:
    import gpu

    try:
        return f"{gpu.platform.vendor_get()} {gpu.platform.renderer_get()} {gpu.platform.version_get()}"
    except SystemError as error:  # without a window there is no graphics card to ask
        return f"unknown ({error})"


def _cycles_devices() -> list[str]:
    cycles = bpy.context.preferences.addons.get("cycles")
    devices = getattr(cycles.preferences, "devices", ()) if cycles is not None else ()
    return [f"{device.type}: {device.name}{'' if device.use else ' (off)'}" for device in devices]


def _addon_version() -> str:
    manifest = package.ROOT / "blender_manifest.toml"
    found = re.search(r'^version\s*=\s*"([^"]+)"', manifest.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "unknown"


def _python_version(python: Path) -> str:
    """By the folder's own record; the program is not started."""
    for folder in (python.parent, python.parent.parent):
        record = folder / "pyvenv.cfg"
        if record.is_file():
            found = re.search(r"^version\w*\s*=\s*(\S+)", record.read_text(encoding="utf-8"), re.MULTILINE)
            return found[1] if found else "unknown"
    return "unknown"


def _site_packages(python: Path) -> Path | None:
    root = python.parent.parent
    found = [root / "Lib" / "site-packages", *sorted((root / "lib").glob("python3*/site-packages"))]
    return next((folder for folder in found if folder.is_dir()), None)


def _packages(site: Path) -> dict[str, str]:
    found = {}
    for each in importlib.metadata.distributions(path=[str(site)]):
        found[str(each.metadata["Name"])] = each.version
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _preferences() -> dict[str, Any]:
    chosen = preferences.get()
    return _values(chosen, vars(type(chosen)).get("__annotations__") or vars(chosen))


def _scene() -> dict[str, Any]:
    settings = bpy.context.scene.set_dresser
    return _values(settings, [each.identifier for each in settings.bl_rna.properties])


def _environment() -> Environment | None:
    """What the backend of this computer would be started with."""
    wanted = desk.current.wanted
    return wanted if isinstance(wanted, Environment) else None


def _values(holder: Any, names: Any) -> dict[str, Any]:
    """The plain ones among its properties."""
    found = {name: getattr(holder, name, None) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, (bool, int, float, str))}


def _state() -> dict[str, Any]:
    current = desk.current
    server = current.server
    return {
        "backend": "a studio's server" if current.studio else "this computer",
        "server": server.state.name.lower(),
        "server_problem": server.problem.report() if server.problem else "",
        "health": current.health,
        "installation": setting_up.describe(current.installation),
        "last_error": current.problem.report() if current.problem else "",
        "models": {model.id: model.describe() for model in current.models.known.values()},
        "jobs": [
            {
                "id": record.id,
                "pipeline": record.pipeline,
                "state": record.state,
                "created": record.created,
                "stage": record.stage,
                "warnings": record.warnings,
                "problem": record.problem.report() if record.problem else "",
            }
            for record in list(current.jobs.values())[:20]
        ],
    }


def _logs() -> list[Path]:
    """The backend's, newest first, the worker's and the installer's."""
    current = desk.current
    found = sorted((folders.place() / "logs").glob("*.log"), key=_age)
    if (wanted := _environment()) is not None:
        found += sorted((wanted.data / "owners").glob("*.log"), key=_age)[:3]
    if current.installation.plan is not None and current.installation.plan.log.is_file():
        found.append(current.installation.plan.log)
    return list({path.name: path for path in found}.values())


def _last_job() -> Path | None:
    """The folder of the newest job in the data folder of this Blender's backend."""
    wanted = _environment()
    folders_of_jobs = sorted((wanted.data / "jobs").glob("*/request.json"), key=_age) if wanted is not None else []
    return folders_of_jobs[0].parent if folders_of_jobs else None


def _pictures() -> Iterator[tuple[str, Path]]:
    folder = _last_job()
    for path in sorted(folder.rglob("*")) if folder is not None else ():
        if path.is_file() and (path.parent.name == "kept" or path.name.startswith(NOT_TEXT)):
            yield f"job/pictures/{path.parent.name}/{path.name}", path


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - LOG_BYTES))
        return stream.read().decode("utf-8", "replace")


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, default=str)
