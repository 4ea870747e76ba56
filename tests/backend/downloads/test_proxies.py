"""Proxies as people have them in their environment: they are used, or the variable that is wrong is named."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("huggingface_hub", reason="downloads ask the hub's own library what there is")

from huggingface_hub.utils import close_session

from backend.downloads.hub import Hub
from backend.downloads.patience import Transient
from backend.downloads.process import demand_numbers
from backend.errors import Problem
from backend.weights import WEIGHTS
from tests.backend.downloads.hostile_hub import HostileHub

PASSWORD = "p#ssThatNobodyMaySee"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """None from outside; and the library's one connection, which keeps the proxies it began with, is made anew."""
    for kind in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{kind}_proxy", raising=False)
        monkeypatch.delenv(f"{kind.upper()}_PROXY", raising=False)
    close_session()
    yield
    close_session()


def connect(endpoint: str = "https://hub.invalid") -> Hub:
    return Hub(WEIGHTS["midi"], endpoint, 10.0)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HTTPS_PROXY", "socks://127.0.0.1:9", "HTTPS_PROXY names a proxy of the kind socks,"),
        ("ALL_PROXY", "socks4://127.0.0.1:9", "ALL_PROXY names a proxy of the kind socks4,"),
        ("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:9", "HTTPS_PROXY is no address of a proxy."),
        ("https_proxy", "http://proxy:80 80", "https_proxy is no address of a proxy."),
        ("HTTP_PROXY", "http://", "HTTP_PROXY is no address of a proxy."),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(Problem) as caught:
        connect()
    assert caught.value.code == "hub-unreachable" and words in caught.value.detail
    told = f"{caught.value.detail} {caught.value.hint}"
    assert "HF_ENDPOINT" not in told and PASSWORD not in told


@pytest.mark.parametrize("value", ["http://user:secret@127.0.0.1:9", "127.0.0.1:9", "socks5://user:secret@127.0.0.1:9"])
def test_a_proxy_that_refuses_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if value.startswith("socks"):
        pytest.importorskip("socksio")
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(Transient) as caught:
        connect().listing(None)
    problem = caught.value.problem
    assert "through the proxy 127.0.0.1:9 that HTTPS_PROXY names" in problem.detail and "HTTPS_PROXY" in problem.hint
    assert "secret" not in problem.detail


def test_an_endpoint_that_is_none_is_still_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(Problem, match="HF_ENDPOINT is no address"):
        connect("https://hub:80 80")


def test_a_hub_that_needs_no_proxy_is_not_blamed_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(Transient) as caught:
        connect("http://127.0.0.1:9").listing(None)
    assert "proxy" not in caught.value.problem.detail


@pytest.fixture
def socks() -> Iterator[tuple[str, list[str]]]:
    """A SOCKS5 proxy (RFC 1928) without a password: its address, and where it was asked to connect to."""
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client:
            client.recv(2 + client.recv(2, socket.MSG_PEEK)[1])
            client.sendall(b"\x05\x00")
            kind = client.recv(4)[3]
            host = client.recv(4) if kind == 1 else client.recv(client.recv(1)[0])
            port = struct.unpack(">H", client.recv(2))[0]
            asked.append(socket.inet_ntoa(host) if kind == 1 else host.decode())
            client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            with socket.create_connection(("127.0.0.1", port)) as target:
                back = threading.Thread(target=pump, args=(target, client), daemon=True)
                back.start()
                pump(client, target)
                back.join(5)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}", asked
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_is_used(
    scheme: str, hub: HostileHub, socks: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("socksio")
    address, asked = socks
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://{address}")
    connection = Hub(WEIGHTS["midi"], hub.endpoint, 10.0)
    try:
        _, files = connection.listing(None)
    finally:
        connection.close()
    assert files and asked, "the list came, and it came through the proxy"


@pytest.mark.parametrize("value", ["ten", "-3", "0", "1.5", "9" * 30 + "x"])
def test_seconds_that_are_none_are_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", value)
    with pytest.raises(Problem, match=r"HF_HUB_DOWNLOAD_TIMEOUT is '.*no whole number of seconds"):
        demand_numbers()
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "60")
    demand_numbers()


def test_a_missing_library_for_socks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(Problem, match=r"ALL_PROXY names a SOCKS proxy.*socksio") as caught:
        Hub(WEIGHTS["midi"], "https://hub.invalid", 10.0)
    assert caught.value.code == "engine-missing"
