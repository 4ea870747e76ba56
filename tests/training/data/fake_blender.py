#!/usr/bin/env python3
"""Speaks like `training/blender/worker.py` without Blender: writes pictures of one colour, or does what a file says.

A model file is a word: crash, hang, broken, impossible, quiet, slow, or anything else, which is a model.
"""

import base64
import json
import sys
import time
from pathlib import Path

import numpy as np

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def main() -> None:
    def say(answer: dict) -> None:
        print(json.dumps(answer), flush=True)

    print("Blender greets.", flush=True)
    say({"ready": "fake"})
    word = ""
    for line in sys.stdin:
        ((name, job),) = json.loads(line).items()
        if name == "open":
            word = Path(job["file"]).read_text().strip()
            if word == "crash":
                print("last words", file=sys.stderr)
                sys.exit(11)
            if word == "hang":
                time.sleep(600)
            if word in ("broken", "impossible"):
                say({word: f"It is {word}."})
                continue
            half = job["span"] / 2
            np.save(job["triangles"], np.array([[[-half, 0, 0], [half, 0, 0], [0, half / 2, half]]], np.float32))
            box = [[-half, 0, 0], [half, half / 2, half]]
            say({"box": box, "matrix": np.eye(4).tolist(), "count": 1, "missing": ["wood.png"] * (word == "quiet")})
        else:
            for view in job["views"]:
                time.sleep(0.1 if word == "slow" else 0)
                Path(view["file"]).write_bytes(PICTURE)
            say({"views": len(job["views"])})


if __name__ == "__main__":
    main()
