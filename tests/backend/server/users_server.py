"""A server with several users, on this machine without TLS: as behind a proxy of the same machine."""

from pathlib import Path

import httpx

from backend.server import users
from backend.server.users import Role
from tests.backend.server.running_server import RunningServer


class UsersServer(RunningServer):
    """Anna and Ben are users, Farm is an administrator; `client` is Farm's.

    tokens: of each, by name.
    """

    def __init__(self, folder: Path, *options: str, **more: str) -> None:
        self.list = folder / "users"
        self.tokens = {
            "anna": users.add(self.list, "anna", Role.USER),
            "ben": users.add(self.list, "ben", Role.USER),
            "farm": users.add(self.list, "farm", Role.ADMINISTRATOR),
        }
        listen = ("--listen", "127.0.0.1:0", "--users", str(self.list), "--grace-seconds", "0.5")
        super().__init__(folder / "data", *listen, *options, **more)

    def new_client(self) -> httpx.Client:
        return self.client_of("farm")

    def client_of(self, name: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.tokens[name]}"}
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=20, trust_env=False, verify=False
        )
