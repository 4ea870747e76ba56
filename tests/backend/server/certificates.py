"""Certificates made on the spot by the program openssl: a private authority, and what it has signed."""

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the program openssl makes the certificates and is missing")
DAY = datetime.timedelta(days=1)


def openssl(*arguments: str, folder: Path) -> None:
    assert OPENSSL is not None
    done = subprocess.run([OPENSSL, *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Authority:
    """A private authority in a folder: `certificate` is what clients are to trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "authority.pem"
        self._key("authority.key")
        arguments = ("-subj", "/CN=A studio's own", "-days", "30", "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", "-x509", "-new", "-key", "authority.key", "-out", "authority.pem", *arguments, folder=folder)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        (folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\n"
            "default_md = sha256\npolicy = any\ncopy_extensions = copy\nunique_subject = no\n"
            "[any]\ncommonName = supplied\n"
        )

    def sign(
        self,
        name: str,
        names: str = "DNS:localhost,IP:127.0.0.1,IP:::1",
        *,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 20 * DAY,
        usage: str = "serverAuth",
    ) -> tuple[Path, Path]:
        """A certificate and its key."""
        key, request, certificate = f"{name}.key", f"{name}.csr", f"{name}.pem"
        self._key(key)
        extensions = ("-addext", f"subjectAltName={names}", "-addext", f"extendedKeyUsage={usage}")
        openssl(
            "req", "-new", "-key", key, "-out", request, "-subj", "/CN=Set Dresser", *extensions, folder=self.folder
        )
        now = datetime.datetime.now(datetime.UTC)
        period = [(now + each).strftime("%Y%m%d%H%M%SZ") for each in (begins, ends)]
        openssl(
            *("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", request, "-out", certificate),
            *("-keyfile", "authority.key", "-cert", "authority.pem", "-startdate", period[0], "-enddate", period[1]),
            folder=self.folder,
        )
        return self.folder / certificate, self.folder / key

    def _key(self, name: str) -> None:
        arguments = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        openssl("genpkey", *arguments, "-out", name, folder=self.folder)
        (self.folder / name).chmod(0o600)
