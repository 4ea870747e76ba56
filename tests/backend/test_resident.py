"""What was taken of main memory for a while is given back."""

import subprocess
import sys

import pytest

from tests.backend.server.running_server import ROOT

TELL = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""

DECODE = """
import io, threading
from PIL import Image
from backend.resident import keep_little
keep_little()
stream = io.BytesIO()
Image.new("RGBA", (4000, 4000), (1, 2, 3, 200)).save(stream, "PNG", compress_level=1)
def work():
    for _ in range(2):
        Image.open(io.BytesIO(stream.getvalue())).resize((100, 100))
for _ in range(2):
    threads = [threading.Thread(target=work) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""

TAKE_TURNS = """
import threading
from backend.resident import keep_little
keep_little()
kept, turn = [], threading.Lock()
all_have_begun = threading.Barrier(6)
def work():
    all_have_begun.wait()
    with turn:
        blocks = [b"x" * 100_000 for _ in range(300)]
        kept.append(blocks.pop())
        del blocks
threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

LEAVE_HOLES = """
from backend.resident import give_back
blocks = [b"x" * 100_000 for _ in range(1000)]
kept = blocks.pop()
del blocks
give_back()
"""

only_glibc = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells it this way, and only glibc would keep it"
)


def kilobytes_after(work: str) -> int:
    done = subprocess.run([sys.executable, "-c", work + TELL], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@only_glibc
def test_threads_that_have_decoded_a_large_picture_keep_nothing_of_it() -> None:
    assert kilobytes_after(DECODE) < 50_000, "one picture has 64 000"


@only_glibc
def test_a_thread_uses_what_another_has_freed() -> None:
    assert kilobytes_after(TAKE_TURNS) < 80_000, "each of the six had 30 000 for a while"


@only_glibc
def test_holes_between_blocks_that_are_kept_go_back() -> None:
    assert kilobytes_after(LEAVE_HOLES) < 60_000, "there were 100 000"
