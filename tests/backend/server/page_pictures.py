"""Pictures of the page at `/`: `python -m tests.backend.server.page_pictures --to FOLDER`, where there is Chromium.
The guide's is `page.jpg`.

A server with three users has jobs in every state. Those that run are of a stand-in that shows its own picture, ever
clearer, as this module is a plug-in, too; those that are done are of `inflate`.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from backend.pipelines.base import Parameters, PipelineInfo, Stage

if TYPE_CHECKING:
    from PIL import Image

    from backend.pipelines.context import Context
    from backend.scene import Scene
    from backend.shot import Shot

MODULE = "tests.backend.server.page_pictures"


class SlowParameters(Parameters):
    steps: int = Field(400, ge=1, le=1000, title="Steps", description="How many there are.")
    reach: float = Field(1.0, ge=0, le=1, title="Reach", description="How far it goes before it waits to be ended.")
    fails: bool = Field(False, title="Fails", description="Whether it finds nothing.")


PIPELINES = [
    PipelineInfo(
        id="slow",
        version="1",
        title="Optimisation (stand-in)",
        description="For pictures.",
        entry=f"{MODULE}:run",
        parameters=SlowParameters,
        stages=(Stage("optimise", 98), Stage("export", 2)),
        finishes_early=True,
    )
]


def run(shot: Shot, parameters: SlowParameters, context: Context) -> Scene:
    import numpy as np
    from PIL import Image, ImageFilter

    from backend.errors import Problem
    from backend.scene import Scene
    from tests.backend.shapes import ball, standing

    with context.stage("optimise"):
        if parameters.fails:
            raise Problem("geometry-failed", "Nothing of the object stands out from its background.")
        for step in range(parameters.steps):
            done = step / parameters.steps
            picture = Image.fromarray(shot.image).filter(ImageFilter.GaussianBlur(24 * (1 - done)))
            context.preview("shape", np.asarray(picture), f"Step {step}")
            context.progress(done, f"Step {step} of {parameters.steps}")
            while done >= parameters.reach:
                context.check()
                time.sleep(0.05)
            time.sleep(0.005)
    return Scene([standing(ball(0.5), key, name, (0, 5, 0)) for key, name in shot.instances.names.items()])


def furniture(kind: str) -> bytes:
    """A PNG of something to furnish a set with, on transparent ground."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (512, 512))
    draw = ImageDraw.Draw(picture)
    match kind:
        case "chair":
            wood, cloth = (146, 96, 58, 255), (58, 110, 140, 255)
            for left in (150, 340):
                draw.rectangle((left, 300, left + 22, 470), fill=wood)
            draw.rounded_rectangle((140, 70, 372, 300), 40, fill=cloth)
            draw.rounded_rectangle((120, 270, 392, 330), 24, fill=(44, 88, 116, 255))
        case "lamp":
            draw.polygon([(190, 70), (322, 70), (380, 230), (132, 230)], fill=(232, 196, 110, 255))
            draw.rectangle((248, 230, 264, 440), fill=(80, 80, 86, 255))
            draw.ellipse((176, 420, 336, 470), fill=(66, 66, 72, 255))
        case "vase":
            draw.ellipse((150, 180, 362, 470), fill=(178, 74, 62, 255))
            draw.rectangle((214, 90, 298, 230), fill=(178, 74, 62, 255))
            draw.ellipse((196, 70, 316, 120), fill=(150, 58, 48, 255))
        case "table":
            draw.rounded_rectangle((60, 190, 452, 236), 12, fill=(150, 108, 70, 255))
            for left in (90, 394):
                draw.polygon(
                    [(left, 236), (left + 30, 236), (left + 20, 460), (left + 6, 460)], fill=(126, 88, 56, 255)
                )
        case _:
            draw.rounded_rectangle((80, 240, 432, 420), 40, fill=(96, 126, 86, 255))
            draw.rounded_rectangle((110, 150, 402, 320), 36, fill=(112, 146, 100, 255))
            for left in (100, 380):
                draw.rectangle((left, 410, left + 30, 450), fill=(60, 50, 44, 255))
    return _png(picture)


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def main() -> None:
    from tests.backend.server.chromium import Chromium
    from tests.backend.server.users_server import UsersServer
    from tests.backend.waiting import until

    parser = argparse.ArgumentParser(description="Photograph the page that the server has at /.")
    parser.add_argument("--to", type=Path, required=True, help="a folder")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with UsersServer(folder, "--slots", "2", SET_DRESSER_PLUGINS=MODULE) as server:
            clients = {user: server.client_of(user) for user in server.tokens}

            def submit(user: str, title: str, kind: str, pipeline: str = "inflate", **parameters: Any) -> str:
                request = {"pipeline": pipeline, "name": title, "parameters": parameters}
                answer = server.post_job(request, {"image": ("a.png", furniture(kind))}, clients[user])
                assert answer.status_code == 201, answer.text
                return str(answer.json()["id"])

            for user, title, kind in (
                ("anna", "Shot 010: chair by the window", "chair"),
                ("ben", "Shot 012: vase", "vase"),
                ("anna", "Shot 010: reading lamp", "lamp"),
                ("ben", "Shot 014: sofa", "sofa"),
            ):
                server.wait(submit(user, title, kind), "done", seconds=120)
            server.wait(submit("farm", "Test", "sofa", "slow", steps=5), "done", seconds=60)
            server.wait(submit("ben", "Shot 014: smoke", "vase", "slow", fails=True), "failed", seconds=60)
            running = [
                submit("anna", "Shot 020: table, from one picture", "table", "slow", reach=0.62),
                submit("ben", "Shot 021: lamp in the hall", "lamp", "slow", reach=0.31),
            ]
            for user, title, kind in (
                ("anna", "Shot 022: second chair", "chair"),
                ("anna", "Shot 023: <b>sofa</b> & cushions", "sofa"),
                ("ben", "Shot 024: vase, broken", "vase"),
                ("ben", "", "table"),
            ):
                submit(user, title, kind)
            for job, reach in zip(running, (0.62, 0.31), strict=True):
                until(lambda job=job, reach=reach: _fraction(server, job) > 0.9 * reach, f"{job} is far", 120)
            time.sleep(3)  # the last preview of those that wait now
            with Chromium(folder / "profile") as browser:
                browser.look_like(1280, 1000)
                browser.open(f"http://127.0.0.1:{server.port}/")
                browser.wait("!document.querySelector('#sign-in').hidden")
                browser.picture(options.to / "page-sign-in.jpg")
                sign_in(browser, server.tokens["farm"])
                browser.wait("document.querySelectorAll('#ended img:not([hidden])').length === 5")
                browser.wait("document.querySelectorAll('#running img:not([hidden])').length === 2")
                browser.picture(options.to / "page.jpg")
                browser.look_like(1280, 1000, dark=True)
                browser.picture(options.to / "page-dark.jpg")
                browser.look_like(390, 844, mobile=True)
                browser.picture(options.to / "page-telephone.jpg")
                browser.value("document.querySelector('#running [data-verb=cancel]').click()")
                browser.look_like(900, 700)
                browser.picture(options.to / "page-sure.jpg")
                print(*browser.logged, sep="\n")
            for client in clients.values():
                client.close()


def _fraction(server: Any, job: str) -> float:
    return float((server.job(job)["progress"] or {}).get("fraction", 0.0))


def sign_in(browser: Any, token: str) -> None:
    """By keyboard alone: the field has the focus, or gets it with Tab."""
    browser.value("document.querySelector('#token').focus()")
    browser.type(token)
    browser.press("Enter", 13, "\r")
    browser.wait("!document.querySelector('#jobs').hidden")


if __name__ == "__main__":
    main()
