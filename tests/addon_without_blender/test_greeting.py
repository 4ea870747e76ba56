"""The first word with a server of a studio: over TLS in slices, and what is wrong is a sentence."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest

from blender_addon.backend_process.greeting import Greeting, Studio, Welcome
from blender_addon.ground.messages import SetDresserError
from blender_addon.wire import names, trust
from blender_addon.wire.address import Address, parse
from blender_addon.wire.client import ServerProblem
from blender_addon.wire.connections import Connection
from blender_addon.wire.endpoints import StudioEndpoint
from blender_addon.wire.http_framing import ConnectionProblem
from blender_addon.wire.trust import Trust
from tests.addon_without_blender.secure_peer import WELCOME, SecurePeer, said
from tests.backend.server.certificates import DAY, Authority, needs_openssl
from tests.blender_addon.peer import turns

TOKEN = "0123456789abcdef" * 2
Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.sign("server")


def greet(address: Address, certificate: Path | None = None, held: list[float] | None = None) -> Welcome:
    greeting = Greeting(Studio(address, TOKEN, certificate))
    try:
        for _ in turns("the answer"):
            began = time.thread_time()
            done = greeting.advance(time.perf_counter() + 0.002)
            if held is not None:
                held.append(time.thread_time() - began)
            if done:
                assert greeting.welcome is not None
                return greeting.welcome
            time.sleep(0.001)
    finally:
        greeting.close()
    raise AssertionError


def refused(address: Address, certificate: Path | None = None) -> SetDresserError:
    with pytest.raises(SetDresserError) as caught:
        greet(address, certificate)
    problem = caught.value
    assert problem.message.endswith(".") and problem.hint.endswith(".")
    assert TOKEN not in problem.report()
    return problem


# it works


@needs_openssl
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_private_authority_is_believed_once_its_certificate_is_chosen(
    authority: Authority, pair: Pair, host: str
) -> None:
    held: list[float] = []
    with SecurePeer(pair, said(WELCOME)) as peer:
        welcome = greet(Address(host, peer.port), authority.certificate, held)
    assert (welcome.version, welcome.user, welcome.administrator) == ("0.3.1", "anna", False)
    lines = peer.heard[0].split(b"\r\n")
    assert lines[0] == b"GET /health HTTP/1.1" and f"Host: {host}:{peer.port}".encode() in lines
    assert f"Authorization: Bearer {TOKEN}".encode() in lines
    # Of the processor, as the machine may have other things to do; the first time OpenSSL makes itself ready.
    assert sorted(held)[-2] < 0.01, held


@needs_openssl
def test_the_certificate_of_the_server_itself_may_be_chosen(pair: Pair) -> None:
    with SecurePeer(pair, said(WELCOME)) as peer:
        assert greet(Address("localhost", peer.port), pair[0]).user == "anna"


def test_a_server_without_users_lets_do_all() -> None:
    with SecurePeer(None, said({"version": "0.3.1", "protocol": 1})) as peer:
        welcome = greet(Address("127.0.0.1", peer.port, tls=False))
    assert (welcome.user, welcome.administrator) == ("", True)


# certificates


@needs_openssl
def test_certificates_that_are_not_believed(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    def code(kind: Pair, certificate: Path | None, host: str = "localhost") -> str:
        with SecurePeer(kind, said(WELCOME)) as peer:
            problem = refused(Address(host, peer.port), certificate)
            assert peer.heard == [], "the token was told to somebody who is not believed"
        return problem.code

    known = authority.certificate
    assert code(authority.sign("old", begins=-3 * DAY, ends=-DAY), known) == "certificate-expired"
    assert code(authority.sign("early", begins=DAY), known) == "certificate-not-yet"
    assert code(authority.sign("elsewhere", "DNS:farm.studio.lan"), known) == "certificate-name"
    assert code(authority.sign("named", "DNS:localhost"), known, "127.0.0.1") == "certificate-name"
    assert code(authority.sign("client", usage="clientAuth"), known) == "certificate-bad"
    assert code(pair, None) == "certificate-unknown"
    assert code(pair, Authority(tmp_path / "stranger").certificate) == "certificate-unknown"


@needs_openssl
def test_a_file_that_is_no_certificate(authority: Authority, tmp_path: Path) -> None:
    address = Address("localhost", 1)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    for path in (tmp_path / "missing.pem", tmp_path, broken, empty, authority.folder / "authority.key"):
        problem = refused(address, path)
        assert problem.code == "certificate-file" and str(path) in problem.message


@needs_openssl
def test_all_that_the_system_believes_is_read_in_slices(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = tmp_path / "bundle.pem"
    several.write_text(authority.certificate.read_text() + Authority(tmp_path / "other").certificate.read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(several))
    monkeypatch.setattr(trust, "CERTIFICATES", ())
    monkeypatch.setattr(trust.ssl, "get_default_verify_paths", lambda: type("Paths", (), {"cafile": None}))
    believed = Trust(None)
    assert believed.context(0.0) is None, "one at least, and not all at once"
    context = believed.context(0.0)
    assert context is not None and len(context.get_ca_certs()) == 2


# who answers


@needs_openssl
def test_a_server_without_tls_behind_https_and_the_reverse(pair: Pair) -> None:
    with SecurePeer(None, said(WELCOME)) as peer:
        assert refused(Address("127.0.0.1", peer.port)).code == "tls-missing"
    with SecurePeer(pair, said(WELCOME)) as peer:
        assert refused(Address("127.0.0.1", peer.port, tls=False)).code == "tls-wanted"
    nginx = b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port"
    with SecurePeer(None, nginx) as peer:
        assert refused(Address("127.0.0.1", peer.port, tls=False)).code == "tls-wanted"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not-set-dresser"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "not-set-dresser"),
        (said({"protocol": "one"}), "not-set-dresser"),
        (said([1]), "not-set-dresser"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://login.example\r\nContent-Length: 0\r\n\r\n", "not-set-dresser"),
        (said({"detail": "Not Found"}, "404 Not Found"), "not-set-dresser"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", "proxy-alone"),
        (said({"code": "token-wrong", "detail": "The token is nobody's.", "hint": "Ask."}, "401 No"), "token-wrong"),
        (said({**WELCOME, "protocol": 0}), "protocol-mismatch"),
        (said({**WELCOME, "protocol": 2}), "protocol-mismatch"),
    ],
)
def test_somebody_else_answers(answer: bytes, code: str) -> None:
    with SecurePeer(None, answer) as peer:
        problem = refused(Address("127.0.0.1", peer.port, tls=False))
    assert problem.code == code
    assert isinstance(problem, ServerProblem) == (code == "token-wrong")


def test_which_of_the_two_is_too_old() -> None:
    told = {}
    for protocol in (0, 2):
        with SecurePeer(None, said({**WELCOME, "protocol": protocol})) as peer:
            told[protocol] = refused(Address("127.0.0.1", peer.port, tls=False)).message
    assert "This server is too old" in told[0] and "This add-on is too old" in told[2]


# nobody answers


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        assert refused(Address(host, port)).code == "refused"


def test_there_is_no_such_machine() -> None:
    problem = refused(parse("no-such-machine.invalid:8443"))
    assert problem.code == "name-unknown" and "no-such-machine.invalid" in problem.message


def test_a_name_that_nobody_looks_up_in_time_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 0.2)
    endpoint = StudioEndpoint(parse("farm"))
    with pytest.raises(ConnectionProblem) as caught:
        for _ in turns("the end of the patience"):
            endpoint.places()
            assert endpoint._lookup is not None
            process = endpoint._lookup._process
    assert caught.value.code == "timeout" and process.poll() is not None and endpoint._lookup is None


@pytest.mark.parametrize("said", ["", "print(7)", "raise SystemExit(3)", "print('[]')"])
def test_a_look_up_that_goes_wrong(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "PROGRAM", said)
    assert refused(parse("farm")).code == "name-unknown"
    monkeypatch.setattr(names, "blenders_python", lambda: "/no/such/python")
    assert refused(parse("farm")).code == "name-unknown"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ECONNREFUSED, "refused"), (errno.EHOSTUNREACH, "no-way"), (errno.ETIMEDOUT, "timeout")],
)
def test_what_the_system_says_is_a_sentence(number: int, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect_ex", lambda self, place: number)
    assert refused(Address("192.0.2.1", 8443)).code == code


@pytest.mark.skipif(sys.platform == "win32", reason="a port that takes nobody is another thing there")
def test_an_address_that_is_silent_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    from blender_addon.wire import connections

    monkeypatch.setattr(connections, "NEXT_SECONDS", 0.1)
    with socket.socket() as silent, SecurePeer(None, said(WELCOME)) as peer:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        full = [socket.create_connection(silent.getsockname()) for _ in range(1)]
        more = socket.socket()
        more.setblocking(False)
        more.connect_ex(silent.getsockname())  # the queue is full now: whoever comes next hears nothing
        greeting = Greeting(Studio(Address("localhost", peer.port, tls=False), TOKEN))
        family = socket.AF_INET
        greeting.endpoint._places = [(family, *silent.getsockname()), (family, "127.0.0.1", peer.port)]
        for _ in turns("the answer of the second"):
            if greeting.advance(time.perf_counter() + 0.002):
                break
        greeting.close()
        for each in (*full, more):
            each.close()


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("WRONG_VERSION_NUMBER", "tls-missing"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "tls-old"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "tls-failed"),
        ("", "tls-failed"),
    ],
)
def test_why_no_tls_comes_about(reason: str, code: str) -> None:
    class Refusing(Connection):
        def establish(self) -> bool:
            error = ssl.SSLError(1, "no")
            error.reason = reason
            raise error

    with pytest.raises(ConnectionProblem) as caught:
        StudioEndpoint(Address("farm", 443)).establish(Refusing([]))
    assert caught.value.code == code and caught.value.message.endswith(".")
