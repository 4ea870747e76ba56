"""What a large picture took is given back."""

import subprocess
import sys

import pytest

from tests.backend.server.running_server import ROOT

DECODE = """
import io, threading
from PIL import Image
from backend.server.memory import give_large_blocks_back
give_large_blocks_back()
stream = io.BytesIO()
Image.new("RGBA", (4000, 4000), (1, 2, 3, 200)).save(stream, "PNG", compress_level=1)
def work():
    for _ in range(2):
        Image.open(io.BytesIO(stream.getvalue())).resize((100, 100))
for _ in range(2):
    threads = [threading.Thread(target=work) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it this way, and only glibc would keep it")
def test_threads_that_have_decoded_a_large_picture_keep_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", DECODE], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 50_000, "kilobytes; one picture has 64 000"
