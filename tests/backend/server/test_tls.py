"""TLS as clients meet it: what fails is a sentence at one of the two ends, and what is cut off goes on."""

import asyncio
import logging
import random
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from backend.errors import Problem
from backend.server import tls, users
from backend.server.connections import HEAD_SECONDS, Connections
from backend.server.doorway import Doorway
from backend.server.tls import Certificate
from backend.server.users import Role
from tests.backend.server.certificates import DAY, Authority, needs_openssl, openssl
from tests.backend.server.cut_line import fetch_patiently, send_patiently
from tests.backend.server.relay import CutLine
from tests.backend.server.running_server import ROOT, RunningServer, environment
from tests.backend.server.users_server import UsersServer

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> tuple[Path, Path]:
    return authority.sign("server", "DNS:localhost,DNS:farm.studio.lan,IP:127.0.0.1,IP:::1")


class SecureServer(RunningServer):
    """A server with TLS and one user, on this machine."""

    def __init__(self, folder: Path, authority: Path, pair: tuple[Path, Path], *options: str) -> None:
        self.authority = authority
        self.token = users.add(folder / "users", "anna", Role.ADMINISTRATOR)
        listen = () if "--listen" in options else ("--listen", "127.0.0.1:0")
        tls_options = ("--tls", *map(str, pair), "--users", str(folder / "users"))
        super().__init__(folder / "data", *listen, *tls_options, *options)

    def new_client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.authority))
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(
            base_url=f"https://localhost:{self.port}", headers=headers, verify=context, timeout=20, trust_env=False
        )


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, pair: tuple[Path, Path]
) -> Iterator[SecureServer]:
    with SecureServer(tmp_path_factory.mktemp("secure"), authority.certificate, pair) as server:
        yield server


# what the server says of its own certificate


def test_a_good_certificate_tells_its_names_and_its_end(pair: tuple[Path, Path]) -> None:
    claims = Certificate(*pair).claims
    assert claims.names[:3] == ("localhost", "farm.studio.lan", "127.0.0.1")
    assert abs(claims.ends - time.time() - 20 * 86400) < 3600


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "cannot be read: No such file or directory."),
        ("other key", "does not belong to the certificate"),
        ("no PEM", "cannot be used: "),
        ("password", "The key has a password"),
        ("expired", "has expired."),
        ("not yet", "is not valid yet."),
        ("for clients", "is refused by clients: "),
    ],
)
def test_a_bad_certificate_is_refused_with_a_sentence(
    authority: Authority, pair: tuple[Path, Path], tmp_path: Path, kind: str, said: str
) -> None:
    certificate, key = pair
    if kind == "missing":
        certificate = tmp_path / "nothing.pem"
    elif kind == "other key":
        key = authority.folder / "authority.key"
    elif kind == "no PEM":
        key = tmp_path / "key.pem"
        key.write_text("no key\n")
    elif kind == "password":
        openssl("pkey", "-in", str(key), "-aes256", "-passout", "pass:x", "-out", str(tmp_path / "k"), folder=tmp_path)
        key = tmp_path / "k"
    elif kind == "expired":
        certificate, key = authority.sign("old", begins=-3 * DAY, ends=-DAY)
    elif kind == "not yet":
        certificate, key = authority.sign("new", begins=DAY)
    else:
        certificate, key = authority.sign("client", usage="clientAuth")
    with pytest.raises(Problem) as caught:
        Certificate(certificate, key)
    assert caught.value.code == "certificate-unusable"
    assert said in caught.value.detail
    assert caught.value.hint.endswith((".", "KEY."))


def test_the_program_refuses_an_expired_certificate_in_two_lines(authority: Authority, tmp_path: Path) -> None:
    pair = authority.sign("expired", begins=-3 * DAY, ends=-DAY)
    users.add(tmp_path / "users", "anna", Role.USER)
    options = ("--listen", "0.0.0.0:0", "--tls", *map(str, pair), "--users", str(tmp_path / "users"))
    done = subprocess.run(
        [sys.executable, "-m", "backend", "serve", *options, "--data", str(tmp_path / "data")],
        **{"cwd": ROOT, "env": environment(), "capture_output": True, "text": True, "timeout": 60},
    )
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first == f"The certificate {pair[0]} has expired."
    assert second == "Have it renewed, or correct the computer's clock."


def test_a_certificate_that_ends_soon_is_warned_of_and_read_again_once_renewed(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.0)
    places = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def put(pair: tuple[Path, Path]) -> None:
        for place, path in zip(places, pair, strict=True):
            place.write_bytes(path.read_bytes())

    put(authority.sign("soon", ends=timedelta(days=3)))
    certificate = Certificate(*places)
    assert "the certificate ends on" in caplog.text
    former = certificate.context
    caplog.clear()
    places[0].write_text("half a certificate")
    assert certificate.context is former
    assert "the former certificate stays" in caplog.text
    put(authority.sign("renewed"))
    caplog.clear()
    caplog.set_level(logging.INFO)
    assert certificate.context is not former
    assert "the certificate was read again" in caplog.text and "ends on" not in caplog.text


# what clients hear


def test_who_trusts_the_private_authority_gets_in(secure: SecureServer) -> None:
    assert secure.client.get("/health").status_code == 200
    job = secure.wait(secure.submit()["id"], "done")
    assert [name for _, name, _ in secure.events(job["id"])][-1] == "state"
    assert secure.client.get("/health", headers={"Host": f"farm.studio.lan:{secure.port}"}).status_code == 200
    refused = secure.client.get("/health", headers={"Host": f"evil.example:{secure.port}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "host-refused")
    assert "--host-name" in refused.json()["hint"]


def handshake(server: RunningServer, context: ssl.SSLContext, name: str = "localhost") -> str:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return str(connection.version())


def test_a_client_that_does_not_know_the_authority_refuses(secure: SecureServer) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(secure, ssl.create_default_context(cafile=None, cadata=stranger_authority(secure)))


def stranger_authority(server: SecureServer) -> str:
    other = Authority(server.authority.parent / "stranger")
    return other.certificate.read_text()


def test_a_client_that_asks_for_another_name_refuses(secure: SecureServer) -> None:
    context = ssl.create_default_context(cafile=str(secure.authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(secure, context, "evil.example")
    assert handshake(secure, context, "farm.studio.lan") == "TLSv1.3"


def test_old_versions_of_tls_are_not_spoken(secure: SecureServer) -> None:
    context = ssl.create_default_context(cafile=str(secure.authority))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(secure, context) == "TLSv1.2"
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(secure, context)
    assert secure.client.get("/health").status_code == 200


def test_a_handshake_that_does_not_come_to_its_end_is_ended(secure: SecureServer) -> None:
    began = time.monotonic()
    silent = [socket.create_connection(("127.0.0.1", secure.port), timeout=HEAD_SECONDS + 5) for _ in range(20)]
    silent[1].sendall(b"\x16\x03\x01")  # the beginning of a handshake
    assert secure.client.get("/health").status_code == 200, "they keep nobody out"
    for connection in silent:
        with closing(connection):
            assert connection.recv(1) == b""
    assert HEAD_SECONDS - 1 < time.monotonic() - began < HEAD_SECONDS + 3
    assert "no TLS was agreed upon" in secure.log.read_text()
    assert "Traceback" not in secure.log.read_text()


def large_result(server: RunningServer, client: httpx.Client) -> tuple[str, bytes]:
    """The address of a result of five megabytes, and its bytes."""
    job = server.submit("steady", client)["id"]
    server.wait(job, "done")
    data = random.Random(3).randbytes(5_000_000)
    (server.log.parent / "data" / "jobs" / job / "output" / "scene.glb").write_bytes(data)
    return f"/jobs/{job}/files/scene.glb", data


def test_over_tls_a_line_that_is_cut_every_two_megabytes_goes_on(secure: SecureServer) -> None:
    path, data = large_result(secure, secure.client)
    context = ssl.create_default_context(cafile=str(secure.authority))
    headers = {"Authorization": f"Bearer {secure.token}", "Host": f"localhost:{secure.port}"}
    with CutLine(secure.port, 2_000_000) as line:

        def connect() -> httpx.Client:
            base = f"https://localhost:{line.port}"
            return httpx.Client(base_url=base, headers=headers, verify=context, timeout=20, trust_env=False)

        send_patiently(connect, data[::-1])
        assert fetch_patiently(connect, path) == data
        assert line.cuts >= 4
    assert "Traceback" not in secure.log.read_text()


def test_behind_a_proxy_that_speaks_tls_all_is_the_same(
    authority: Authority, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    options = ("--behind-proxy", "127.0.0.1", "--host-name", "farm.studio.lan")
    with UsersServer(tmp_path, *options) as server:
        path, data = large_result(server, server.client)
        context = ssl.create_default_context(cafile=str(authority.certificate))
        headers = {"Authorization": f"Bearer {server.tokens['farm']}", "Host": "farm.studio.lan"}
        with CutLine(server.port, 2_000_000, tls.server_context(*pair)) as proxy:

            def connect() -> httpx.Client:
                base = f"https://localhost:{proxy.port}"
                return httpx.Client(base_url=base, headers=headers, verify=context, timeout=20, trust_env=False)

            send_patiently(connect, data[::-1])
            assert fetch_patiently(connect, path) == data
            assert proxy.cuts >= 4


def test_handshakes_that_are_not_ended_make_room_for_newcomers(pair: tuple[Path, Path]) -> None:
    """The oldest of an address go first; the newcomers still get their handshake."""
    register, trust = Connections(most=6, most_per_address=3), ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE

    async def still_open(reader: asyncio.StreamReader) -> bool:
        try:
            return await asyncio.wait_for(reader.read(1), 0.2) != b""
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False

    async def scenario() -> tuple[list[bool], str]:
        config = uvicorn.Config(lambda *_: None, lifespan="off")
        certificate = Certificate(*pair)
        server = await asyncio.get_running_loop().create_server(
            lambda: Doorway(register, certificate, None, config, ServerState(), {}), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        async with server:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
            await asyncio.sleep(0.2)
            left = [await still_open(reader) for reader, _ in silent]
            _, newcomer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            version = newcomer.get_extra_info("ssl_object").version()
            for writer in (newcomer, *(writer for _, writer in silent)):
                writer.transport.abort()
        return left, version

    left, version = asyncio.run(scenario())
    assert left == [False] * 7 + [True] * 3
    assert version == "TLSv1.3"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://localhost", "file://"])
def test_pages_of_elsewhere_are_refused(secure: SecureServer, origin: str) -> None:
    answer = secure.client.get("/health", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin-refused")
    of_its_own = {"Origin": f"https://farm.studio.lan:{secure.port}"}
    assert secure.client.get("/health", headers=of_its_own).status_code == 200
