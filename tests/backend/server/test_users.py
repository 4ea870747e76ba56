"""The list of users: what is in the file, who may touch it, and that a token is told once."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backend.cli import main
from backend.errors import Problem
from backend.server import users
from backend.server.users import Role, User, Users, hash_of

not_windows = pytest.mark.skipif(sys.platform == "win32", reason="the user's profile sees to it on Windows")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users"


def backend(*arguments: str, path: Path) -> int:
    return main(["users", *arguments, "--users", str(path)])


def test_a_token_is_printed_once_and_kept_nowhere(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backend("add", "anna", path=path) == 0
    told = capsys.readouterr()
    token = told.out.strip()
    assert len(token) == 43 and token not in told.err, "256 bits, alone on standard output"
    assert backend("add", "farm", "--administrator", path=path) == 0
    capsys.readouterr()
    assert token not in path.read_text() and hash_of(token) in path.read_text()
    assert backend("list", "--json", path=path) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown) == [{"name": "anna", "role": "user"}, {"name": "farm", "role": "administrator"}]
    assert hash_of(token) not in shown
    assert Users(path).find(token) == User("anna")
    assert not [place for place in path.parent.iterdir() if place.name.endswith(".partial")]


def test_renewed_and_removed_tokens_are_worth_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = users.add(path, "anna", Role.USER)
    other = users.add(path, "Ben", Role.ADMINISTRATOR)
    known = Users(path)
    assert backend("renew", "ANNA", path=path) == 0
    second = capsys.readouterr().out.strip()
    assert second != first
    assert (known.find(first), known.find(second)) == (None, User("anna"))
    assert backend("remove", "anna", path=path) == 0
    assert (known.find(second), known.find(other)) == (None, User("Ben", Role.ADMINISTRATOR))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "anna"), "There is a user 'anna' already."),
        (("add", "ANNA"), "There is a user 'anna' already."),
        (("add", "a b"), "'a b' is no name for a user."),
        (("add", "../x"), "'../x' is no name for a user."),
        (("renew", "ben"), "There is no user 'ben'."),
        (("remove", "ben"), "There is no user 'ben'."),
        ((), "No command is named."),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    users.add(path, "anna", Role.USER)
    before = path.read_bytes()
    assert main(["users", *arguments, *(["--users", str(path)] if arguments else [])]) == 2
    assert capsys.readouterr().err.splitlines()[0] == said
    assert path.read_bytes() == before


def test_a_list_that_is_not_there_is_said_to_be_missing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("list",), ("renew", "anna"), ("remove", "anna")):
        assert backend(*arguments, path=path) == 1
        sentence, hint = capsys.readouterr().err.splitlines()
        assert sentence == f"There is no list of users {path}." and "users add" in hint
    assert not path.exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("anna user", "Line 3 of users has 2 words; name, role and hash are wanted."),
        (f"anna king {'0' * 64}", "Line 3 of users has no usable role."),
        (f"a/b user {'0' * 64}", "Line 3 of users has no usable name."),
        (f"anna user {'0' * 63}", "Line 3 of users has no usable hash."),
        (f"anna user {'G' * 64}", "Line 3 of users has no usable hash."),
        (f"BEN user {'0' * 64}", "Line 3 of users names a user a second time."),
    ],
)
def test_a_line_that_cannot_be_used_is_named(path: Path, line: str, said: str) -> None:
    path.touch(0o600)
    path.write_text(f"# a comment\nben  administrator  {'1' * 64}\n{line}\n")
    with pytest.raises(Problem) as caught:
        Users(path)
    assert (caught.value.code, caught.value.detail) == ("users-unusable", said)
    assert "0" * 30 not in caught.value.detail


@not_windows
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o606])
def test_a_list_that_others_can_get_at_is_refused(path: Path, mode: int) -> None:
    token = users.add(path, "anna", Role.USER)
    known = Users(path)
    path.chmod(mode)
    with pytest.raises(Problem, match="Other accounts of this machine can get at"):
        Users(path)
    with pytest.raises(Problem) as caught:
        known.find(token)
    assert caught.value.code == "users-unusable" and str(path) not in caught.value.detail
    path.chmod(0o600)
    assert known.find(token) == User("anna")


@not_windows
def test_a_folder_in_which_others_may_put_another_list_is_refused(path: Path) -> None:
    token = users.add(path, "anna", Role.USER)
    known = Users(path)
    path.parent.chmod(0o777)
    with pytest.raises(Problem, match="Whoever may write to its folder"):
        Users(path)
    with pytest.raises(Problem, match="cannot use its list of users"):
        known.find(token)
    path.parent.chmod(0o700)
    assert known.find(token) == User("anna")
    path.parent.chmod(0o777)
    path.unlink()
    with pytest.raises(Problem, match="Whoever may write to its folder"):
        users.add(path, "anna", Role.USER)
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_list_that_belongs_to_another_account_is_refused(path: Path) -> None:
    users.add(path, "anna", Role.USER)
    os.chown(path, 65534, -1)
    with pytest.raises(Problem, match="Another account, to which it belongs"):
        Users(path)


def test_nobody_is_let_in_while_the_list_cannot_be_used(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = users.add(path, "anna", Role.USER)
    known, good = Users(path), path.read_bytes()
    for spoil in (path.unlink, lambda: path.write_text("nonsense\n"), lambda: path.write_bytes(b"\xff\xfe")):
        spoil()
        if path.exists():
            path.chmod(0o600)
        with pytest.raises(Problem, match="cannot use its list of users"):
            known.find(token)
        path.write_bytes(good)
        path.chmod(0o600)
        assert known.find(token) == User("anna")
    assert "nobody is let in" in caplog.text
    assert token not in caplog.text and hash_of(token) not in caplog.text


def test_several_who_change_the_list_at_once_lose_nothing(path: Path) -> None:
    users.add(path, "first", Role.USER)
    at_it = [threading.Thread(target=users.add, args=(path, f"user{number}", Role.USER)) for number in range(12)]
    known = Users(path)
    for thread in at_it:
        thread.start()
    while any(thread.is_alive() for thread in at_it):
        assert known.find("nobody's") is None, "whoever reads finds a whole list at any moment"
        time.sleep(0.002)
    assert len(users.read(path)[0]) == 13


def test_every_hash_is_compared_and_in_constant_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [users.add(path, f"user{number}", Role.USER) for number in range(5)]
    known, compared = Users(path), []
    monkeypatch.setattr(users.hmac, "compare_digest", lambda one, other: compared.append(one) or one == other)
    for token, name in ((tokens[0], "user0"), (tokens[4], "user4"), ("x", None)):
        compared.clear()
        found = known.find(token)
        assert (found.name if found else None) == name
        assert len(compared) == 5


def test_a_token_is_in_no_list_of_processes(path: Path) -> None:
    """It goes out on standard output and comes in with a request; no option and no variable takes one of a user."""
    done = subprocess.run(
        [sys.executable, "-m", "backend", "serve", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    options = {word.strip("[],") for word in done.stdout.split() if word.startswith(("--", "[--"))}
    assert {option for option in options if "token" in option} == {"--token-stdin"}
