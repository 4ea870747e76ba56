"""Addresses of servers as people type them, and sentences for what is none."""

from __future__ import annotations

import pytest

from blender_addon.ground.messages import SetDresserError
from blender_addon.wire.address import Address, parse


@pytest.mark.parametrize(
    ("typed", "host", "port", "authority"),
    [
        ("farm", "farm", 443, "farm"),
        ("farm.studio.lan:8443", "farm.studio.lan", 8443, "farm.studio.lan:8443"),
        ("https://farm.studio.lan/", "farm.studio.lan", 443, "farm.studio.lan"),
        ("HTTPS://Farm.Studio.LAN:8443//", "farm.studio.lan", 8443, "farm.studio.lan:8443"),
        ("  farm.studio.lan : 8443 \n", "farm.studio.lan", 8443, "farm.studio.lan:8443"),
        ("“farm.studio.lan:8443”,", "farm.studio.lan", 8443, "farm.studio.lan:8443"),
        ("<https://farm.studio.lan>", "farm.studio.lan", 443, "farm.studio.lan"),
        ("farm.studio.lan.:8443", "farm.studio.lan", 8443, "farm.studio.lan:8443"),
        ("farm:", "farm", 443, "farm"),
        ("gpu_2-a:1", "gpu_2-a", 1, "gpu_2-a:1"),
        ("bücher.lan", "xn--bcher-kva.lan", 443, "xn--bcher-kva.lan"),
        ("192.168.1.20:8443", "192.168.1.20", 8443, "192.168.1.20:8443"),
        ("https://10.0.0.7", "10.0.0.7", 443, "10.0.0.7"),
        ("[::1]:8443", "::1", 8443, "[::1]:8443"),
        ("[FD00::0020]", "fd00::20", 443, "[fd00::20]"),
        ("fd00::20", "fd00::20", 443, "[fd00::20]"),
    ],
)
def test_an_address_in_any_form(typed: str, host: str, port: int, authority: str) -> None:
    address = parse(typed)
    assert (address.host, address.port, address.authority, address.tls) == (host, port, authority, True)
    assert parse(authority) == address, "what is shown is an address again"


def test_without_tls_on_this_machine_alone() -> None:
    assert parse("http://127.0.0.1:8080") == Address("127.0.0.1", 8080, tls=False)
    assert parse("http://localhost").authority == "localhost" and parse("http://[::1]:80").port == 80
    with pytest.raises(SetDresserError, match="everybody on the way could read the token"):
        parse("http://farm.studio.lan")


def test_what_is_known_of_it_without_asking() -> None:
    assert parse("127.0.0.1:1").loopback and parse("localhost:1").loopback and parse("[::1]").loopback
    assert not parse("farm").loopback and not parse("127.0.0.1.nip.io").loopback
    assert parse("10.0.0.7").numeric and parse("fd00::20").numeric and not parse("farm").numeric


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "No server is named."),
        (" /  ", "is no address of a server."),
        ("https://", "is no address of a server."),
        ("farm 8443", "is no name of a machine."),
        ("farm:84x3", "is no address of a server."),
        ("farm:0", "There is no port 0."),
        ("farm:65536", "There is no port 65536."),
        ("farm:99999999999999999999", "There is no port 999999999."),
        ("ssh://farm", "is asked over https, not over ssh."),
        ("https://farm.studio.lan/jobs/17", "is the address of a page."),
        ("https://farm.studio.lan?x=1", "is the address of a page."),
        ("anna:secret@farm", "has a user or a password in it."),
        ("192.168.1.300:8443", "that is four numbers from 0 to 255."),
        ("192.168.1", "that is four numbers from 0 to 255."),
        ("0.0.0.0:8443", "is where a server listens"),
        ("[::]:8443", "is where a server listens"),
        ("[farm]:8443", "is no name of a machine."),
        ("fe80::1%eth0", "is no address of a server."),
        ("-farm", "is no name of a machine."),
        ("farm..lan", "is no name of a machine."),
        ("farm\r\nHost: evil", "is no "),
        ("a" * 300, "is no name of a machine."),
        ("\x00", "is no name of a machine."),
    ],
)
def test_what_is_none_gets_a_sentence(typed: str, said: str) -> None:
    with pytest.raises(SetDresserError) as caught:
        parse(typed)
    assert caught.value.code == "address-invalid"
    assert said in caught.value.message and caught.value.message.endswith(".") and caught.value.hint.endswith(".")
    assert "secret" not in caught.value.report() and len(caught.value.message) < 130
