"""Collections of models: what they are, whose they are, how they stand."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from training.objects.__main__ import main
from training.objects.catalogue import properties, unpack
from training.objects.listing import ATTRIBUTION, LIST, Entry, ListError, read_list, write_list

CATALOGUE = """# Comment
id=Shop
license=Some licence \\
   of 2008
id#1=Shop#bed
name#1=Bed\\u00e9
category#1=Bedroom
model#1=/shop/bed/bed.obj
width#1=140
depth#1=200
height#1=90.5
creator#1=Ann | Bob
id#2=Shop#lamp
name#2=Lamp
model#2=/shop/lamp.obj
modelRotation#2=1 0 0 0 0 1 0 -1 0
width#2=30
depth#2=20
height#2=50
creator#2=Cid
"""


def catalogue(file: Path, text: str = CATALOGUE, **more: str) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", text.encode("latin-1"))
        archive.writestr("PluginFurnitureCatalog_fr.properties", "x")
        for path in ("shop/bed/bed.obj", "shop/bed/bed.mtl", "shop/lamp.obj"):
            archive.writestr(path, path)
        for path, text in more.items():
            archive.writestr(path, text)
    return file


def test_a_catalogue_tells_sizes_turns_and_authors(tmp_path: Path) -> None:
    bed, lamp = unpack(catalogue(tmp_path / "Shop.sh3f"), tmp_path, "a package")
    assert (bed.name, bed.file, bed.title) == ("Shop-bed", "Shop/shop/bed/bed.obj", "Bedé")
    assert bed.size == (1.4, 2.0, 0.905) and bed.rotation is None
    assert (bed.licence, bed.creator, bed.source) == ("Some licence of 2008", "Ann | Bob", "a package")
    assert (tmp_path / "Shop/shop/bed/bed.mtl").is_file() and not list(tmp_path.rglob("*_fr.properties"))
    # A model with z up is read as if y were up, so what is up in it comes out ahead; the turn stands it up again.
    up_in_file = np.array([0, 0, 1.0])
    imported = np.array([up_in_file[0], -up_in_file[2], up_in_file[1]])
    np.testing.assert_allclose(np.array(lamp.rotation) @ imported, [0, 0, 1], atol=1e-12)


def test_properties_are_read_as_java_writes_them() -> None:
    text = "a=1\n  b : 2\nc 3\n! no\n#d=4\ne\\ f=5\\tx\\u20ac\ng=one,\\\n    two\nh=\n"
    found = properties(text)
    assert found == {"a": "1", "b": "2", "c": "3", "e f": "5tx€", "g": "one,two", "h": ""}


def test_a_catalogue_that_leads_outside_or_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="leads outside"):
        unpack(catalogue(tmp_path / "Bad.sh3f", **{"../evil.obj": "x"}), tmp_path, "")
    assert not (tmp_path.parent / "evil.obj").exists()
    (tmp_path / "no.sh3f").write_bytes(b"PK no")
    with pytest.raises(ListError, match="not a catalogue"):
        unpack(tmp_path / "no.sh3f", tmp_path, "")
    with pytest.raises(ListError, match="not numbers"):
        unpack(catalogue(tmp_path / "Odd.sh3f", CATALOGUE.replace("=140", "=wide")), tmp_path, "")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="packages are built and opened with dpkg-deb")
def test_a_package_becomes_a_collection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = tmp_path / "package"
    (place / "usr/share").mkdir(parents=True)
    (place / "DEBIAN").mkdir()
    control = "Package: shop\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: x\n"
    (place / "DEBIAN/control").write_text(control)

    def build(name: str) -> str:
        file = tmp_path / name
        subprocess.run(["dpkg-deb", "--build", str(place), str(file)], check=True, capture_output=True, timeout=60)
        return str(file)

    empty = build("empty_1_all.deb")
    catalogue(place / "usr/share/Shop.sh3f")
    full = build("shop_1_all.deb")
    out = tmp_path / "models"
    assert main(["debian", str(out), "--deb", full]) == 0
    entries = read_list(out)
    assert [entry.name for entry in entries] == ["Shop-bed", "Shop-lamp"]
    assert all((out / entry.file).is_file() for entry in entries)
    page = (out / ATTRIBUTION).read_text()
    assert "## Some licence of 2008" in page
    assert "| Shop-bed | Bedé | Ann \\| Bob | Debian package shop_1_all, Shop.sh3f |" in page
    assert main(["debian", str(out), "--deb", empty]) == 1 and "no catalogue" in caplog.text
    assert main(["debian", str(out), "--deb", str(tmp_path / "none.deb")]) == 1 and "failed" in caplog.text


def test_a_folder_of_models_is_listed_by_its_paths(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("a/chair.obj", "b/chair.OBJ", "b/chair.glb", "b/chair.mtl", ".git/x.obj", "Ta ble.stl"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x")
    assert main(["folder", str(tmp_path)]) == 0
    assert [entry.name for entry in read_list(tmp_path)] == ["Ta_ble", "a-chair", "b-chair-glb", "b-chair-obj"]
    (tmp_path / LIST).unlink()
    assert len(read_list(tmp_path)) == 4, "without a list too"
    (tmp_path / "empty").mkdir()
    assert main(["folder", str(tmp_path / "empty")]) == 1 and "no model in" in caplog.text


def test_names_that_repeat_get_numbers(tmp_path: Path) -> None:
    written = write_list(tmp_path, [Entry("chair", "1.obj"), Entry("Chair", "2.obj"), Entry("chair", "3.obj")])
    assert {entry.name: entry.file for entry in written} == {"chair": "1.obj", "Chair-2": "2.obj", "chair-3": "3.obj"}
    assert read_list(tmp_path) == written


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ({"file": "../a.obj"}, "outside"),
        ({"file": "/a.obj"}, "outside"),
        ({"name": "a/b"}, "no name for a folder"),
        ({"rotation": [[1, 0, 0]]}, "not 3 × 3"),
        ({"size": [1, 2, 0]}, "not three lengths"),
        ({"sizes": 1}, "not a list of models"),
    ],
)
def test_a_list_that_is_none_gets_a_sentence(damage: dict[str, object], told: str, tmp_path: Path) -> None:
    content = {"objects": [{"name": "a", "file": "a.obj", **damage}]}
    (tmp_path / LIST).write_text(json.dumps(content))
    with pytest.raises(ListError, match=told):
        read_list(tmp_path)


UIDS = ["0123456789abcdef" * 2, "fedcba9876543210" * 2, "00000000000000000000000000000000"]
FILES = {
    "object-paths.json.gz": {UIDS[0]: f"glbs/000-001/{UIDS[0]}.glb", UIDS[1]: f"glbs/000-002/{UIDS[1]}.glb"},
    "metadata/000-001.json.gz": {
        UIDS[0]: {"name": "Chair", "license": "by", "user": {"displayName": "Ann"}, "viewerUrl": "https://a.example/1"}
    },
    "metadata/000-002.json.gz": {UIDS[1]: {"name": "Car", "license": "by-nc", "user": {"username": "bob"}}},
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub with three files of Objaverse and two models; what was asked of it."""
    pytest.importorskip("huggingface_hub")
    contents = {path: gzip.compress(json.dumps(content).encode()) for path, content in FILES.items()}
    contents |= {path: b"glTF" + path.encode() for path in FILES["object-paths.json.gz"].values()}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("/resolve/main/")[2] or self.path.partition(f"/resolve/{'1' * 40}/")[2]
            ours = self.path.startswith("/datasets/allenai/objaverse/resolve/") and path in contents
            body = contents[path] if ours else b""
            asked.append(f"{self.command} {path}")
            self.send_response(200 if ours else 404)
            self.send_header("X-Repo-Commit", "1" * 40)
            self.send_header("ETag", f'"{abs(hash(body)):040d}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            f"http://127.0.0.1:{server.server_address[1]}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        )
        yield asked
        server.shutdown()


def test_objaverse_comes_by_its_uids_with_its_licences(
    hub: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "uids.txt").write_text("\n".join([*UIDS, "# a comment", "", UIDS[0]]))
    out = tmp_path / "models"
    assert main(["objaverse", str(tmp_path / "uids.txt"), str(out)]) == 0
    chair, car = read_list(out)
    assert (chair.name, chair.title, chair.licence, chair.creator) == (UIDS[0], "Chair", "CC BY 4.0", "Ann")
    assert (car.licence, car.creator, car.source) == ("CC BY-NC 4.0", "bob", f"Objaverse {UIDS[1]}")
    assert (out / chair.file).read_bytes().startswith(b"glTF")
    assert f"{UIDS[2]}: Objaverse has no such model." in caplog.text
    bodies = [each for each in hub if each.startswith("GET")]
    assert main(["objaverse", str(tmp_path / "uids.txt"), str(out), "--licence", "by"]) == 0
    assert [entry.name for entry in read_list(out)] == [UIDS[0]]
    assert [each for each in hub if each.startswith("GET")] == bodies, "what is here is not downloaded again"


def test_a_hub_that_does_not_answer_and_uids_that_are_none_are_told(
    hub: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "uids.txt").write_text("no uid\n")
    assert main(["objaverse", str(tmp_path / "uids.txt"), str(tmp_path / "out")]) == 1
    assert "is no uid of Objaverse" in caplog.text and hub == []
    (tmp_path / "uids.txt").write_text(UIDS[0])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["objaverse", str(tmp_path / "uids.txt"), str(tmp_path / "out")]) == 1
    assert "could not be downloaded" in caplog.text
