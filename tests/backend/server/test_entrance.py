"""How a server can be reached: every unsafe way is refused with a sentence, and says what to do."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from backend.errors import Problem
from backend.server import users
from backend.server.entrance import FOR_THIS_MACHINE, Entrance
from backend.server.hosts import Hosts
from backend.server.limits import add_arguments
from backend.server.users import Role
from tests.backend.server.running_server import ROOT, environment

PAIR = (Path("certificate.pem"), Path("key.pem"))
LIST = Path("users")


@pytest.mark.parametrize(
    ("options", "said", "to_do"),
    [
        ({"tls": PAIR}, "--tls is for a server that others reach", "--listen ADDRESS:PORT"),
        ({"users": LIST}, "--users is for a server that others reach", "--listen ADDRESS:PORT"),
        ({"host_names": ("farm",)}, "--host-name is for a server that others reach", "--listen ADDRESS:PORT"),
        ({"behind_proxy": "10.0.0.1"}, "--behind-proxy is for a server", "--listen ADDRESS:PORT"),
        ({"listen": "0.0.0.0:8443"}, "On 0.0.0.0 other machines could reach this server", "users add"),
        ({"listen": "[::]:8443"}, "On :: other machines could reach this server", "users add"),
        ({"listen": "192.168.1.2:8443", "tls": PAIR}, "and it has no users", "users add"),
        ({"listen": "[fe80::1]:8443", "tls": PAIR}, "and it has no users", "users add"),
        ({"listen": "[::ffff:10.0.0.1]:80", "users": LIST}, "for everybody to read", "--tls CERTIFICATE KEY"),
        ({"listen": "0.0.0.0:8443", "users": LIST}, "for everybody to read", "--behind-proxy ADDRESS"),
        ({"listen": "0.0.0.0:80", "behind_proxy": "10.0.0.1"}, "everybody would be the same user", "users add"),
        ({"listen": "127.0.0.1:80", "behind_proxy": "127.0.0.1"}, "everybody would be the same user", "users add"),
        ({"listen": "farm:8443"}, "--listen 'farm:8443' is no address", "Give numbers"),
        ({"listen": "*:8443"}, "is no address", "0.0.0.0:8443"),
        ({"listen": "8443"}, "is no address", "0.0.0.0:8443"),
        ({"listen": "::1:8443"}, "is no address", "[::]:8443"),
        ({"listen": "[::1]"}, "is no address", "[::]:8443"),
        ({"listen": "127.0.0.256:1"}, "is no address", "0.0.0.0:8443"),
        ({"listen": "127.0.0.1:70000"}, "There is no port 70000", "0.0.0.0:8443"),
        ({"listen": "0.0.0.0:80", "users": LIST, "behind_proxy": "nginx"}, "'nginx' is no address", "in numbers"),
        (
            {"listen": "127.0.0.1:80", "host_names": ("https://farm",)},
            "'https://farm' is no host name",
            "without scheme and port",
        ),
    ],
)
def test_what_would_not_be_safe_is_refused(options: dict[str, object], said: str, to_do: str) -> None:
    with pytest.raises(Problem) as caught:
        Entrance(**options)  # type: ignore[arg-type]
    assert caught.value.code == "entrance-unsafe"
    assert said in caught.value.detail
    assert to_do in caught.value.hint


@pytest.mark.parametrize(
    ("options", "address", "proxy"),
    [
        ({}, ("127.0.0.1", 0), None),
        ({"listen": "127.0.0.1:8000"}, ("127.0.0.1", 8000), None),
        ({"listen": "[::1]:0", "users": LIST}, ("::1", 0), None),
        ({"listen": "127.0.0.5:1", "tls": PAIR}, ("127.0.0.5", 1), None),
        ({"listen": "0.0.0.0:8443", "tls": PAIR, "users": LIST}, ("0.0.0.0", 8443), None),
        (
            {"listen": "[::]:1", "users": LIST, "behind_proxy": "::ffff:10.0.0.1"},
            ("::", 1),
            "10.0.0.1",
        ),
    ],
)
def test_what_is_safe_is_taken(options: dict[str, object], address: tuple[str, int], proxy: str | None) -> None:
    entrance = Entrance(**options)  # type: ignore[arg-type]
    assert (entrance.address, entrance.proxy) == (address, proxy)


def test_a_server_for_this_machine_answers_to_the_names_it_always_had() -> None:
    hosts = FOR_THIS_MACHINE.hosts(4711)
    for host in (b"127.0.0.1:4711", b"LOCALHOST:4711", b"[::1]:4711"):
        assert hosts.include(host)
    for host in (b"127.0.0.1", b"localhost:4712", b"[::1]", b"127.0.0.2:4711", b"", b":4711", b"::1:4711", b"\xff"):
        assert not hosts.include(host), host


@pytest.mark.parametrize(
    ("host", "included"),
    [
        (b"farm.studio.lan:8443", True),
        (b"FARM.studio.lan.:8443", True),
        (b"a.render.lan:8443", True),
        (b"a.b.render.lan:8443", False),
        (b"render.lan:8443", False),
        (b"10.0.0.7:8443", True),
        (b"[2001:db8:0::7]:8443", True),
        (b"[2001:db8::8]:8443", False),
        (b"[2001:db8::7:8443", False),
        (b"[2001:db8::7]x:8443", False),
        (b"x[2001:db8::7]:8443", False),
        (b"farm.studio.lan", False),
        (b"farm.studio.lan:443", False),
        (b"farm.studio.lan:", False),
        (b"farm.studio.lan:\xb2", False),
        (b"evil.example:8443", False),
        (b"user@farm.studio.lan:8443", False),
    ],
)
def test_a_host_is_one_of_the_names(host: bytes, included: bool) -> None:
    names = ("farm.studio.lan", "*.render.lan", "10.0.0.7", "2001:db8::7")
    assert Hosts(names, [8443], may_be_left_out=False).include(host) == included
    assert Hosts(names, None, may_be_left_out=True).include(b"farm.studio.lan:1")
    assert Hosts(names, [443], may_be_left_out=True).include(b"farm.studio.lan")
    origin = b"https://" + host
    assert Hosts(names, [8443], may_be_left_out=False).include_origin(origin) == included


@pytest.mark.parametrize("origin", [b"null", b"", b"farm:1", b"file://farm:1", b"https://evil.example", b"https://"])
def test_a_page_of_elsewhere_is_none_of_ours(origin: bytes) -> None:
    assert not Hosts(["farm"], [1], may_be_left_out=True).include_origin(origin)


def started(*options: str, **more: str) -> tuple[int, list[str]]:
    """The status and the last words of a server that does not start."""
    command = [sys.executable, "-m", "backend", "serve", *options]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(**more), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_the_program_itself_refuses_in_two_lines(tmp_path: Path) -> None:
    data = tmp_path / "data"
    status, lines = started("--listen", "0.0.0.0:0", "--data", str(data))
    assert (status, len(lines)) == (1, 2)
    assert lines[0] == "On 0.0.0.0 other machines could reach this server, and it has no users."
    assert lines[1].startswith("Add users: python -m backend users add NAME")
    assert not data.exists()


@pytest.mark.parametrize(("option", "given", "wanted"), [("jobs", "-1", "whole number"), ("requests", "nan", "number")])
def test_a_limit_that_is_none_is_told_in_words(
    capsys: pytest.CaptureFixture[str], option: str, given: str, wanted: str
) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--user-{option}", given])
    assert f"argument --user-{option}: a {wanted} above 0 is wanted, not '{given}'" in capsys.readouterr().err


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users"
    users.add(path, "anna", Role.USER)
    options = ("--listen", "203.0.113.7:0", "--users", str(path), "--behind-proxy", "127.0.0.1")
    status, lines = started(*options, "--data", str(tmp_path / "data"))
    assert status == 1
    assert lines[0].startswith("No port can be opened at 203.0.113.7:0: ")
    assert lines[1] == "Choose an address of this machine and a port that nobody uses."


def test_a_list_of_users_that_is_missing_is_said_so(tmp_path: Path) -> None:
    options = ("--listen", "127.0.0.1:0", "--users", str(tmp_path / "users"), "--data", str(tmp_path / "data"))
    status, lines = started(*options)
    assert (status, len(lines)) == (1, 2)
    assert lines[0] == f"There is no list of users {tmp_path / 'users'}."
    assert "users add NAME" in lines[1]
    users.add(tmp_path / "users", "anna", Role.USER)
    status, lines = started(*options, "--token-stdin")
    assert (status, len(lines)) == (1, 2)
    assert "everybody has a token of their own" in lines[0]
    assert not (tmp_path / "data").exists()
