"""`python -m bench.files IMAGE INSTANCES SIZE COUNT`: writes a picture and its instance map."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.pictures import picture


def main() -> None:
    image_path, instances_path, size, count = sys.argv[1:]
    image, instances = picture(int(size), int(count))
    Path(image_path).write_bytes(image)
    Path(instances_path).write_bytes(instances)
    sys.stdout.write("{}")


if __name__ == "__main__":
    main()
