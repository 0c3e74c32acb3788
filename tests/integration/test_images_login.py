"""Logging in and out: against a registry with passwords, and one with tokens."""

from __future__ import annotations

import base64
import json
import pathlib
import stat
import subprocess
from collections.abc import Iterator

import pytest
from conftest import Command, Place
from front import Front, Tokens
from registry import Layout, Registry, registry

__all__ = ["registry"]

USER, PASSWORD = "ann", "s3cret:x"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("locked"), user=USER, password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    made.image("one", [{"bin/true": b"x" * 100}])
    return made


@pytest.fixture
def image(rootless: Command, layout: Layout) -> str:
    rootless("pull", "-q", f"oci:{layout.path}:one")
    rootless("tag", f"localhost/{layout.path.name}:one", "local:1")
    return "local:1"


def kept(place: Place) -> pathlib.Path:
    return place.runtime / "containers/auth.json"


def test_login_push_pull_logout(
    everyone: str, rootless: Command, image: str, locked: Registry, place: Place
) -> None:
    name = f"{locked.host}/team/{everyone}:1"
    told = rootless("push", image, name, code=125)
    assert f"rootless login {locked.host}" in told.stderr
    told = rootless("login", "-u", USER, "--password-stdin", locked.host, input=PASSWORD + "\n")
    assert told.stdout == "Login Succeeded!\n"
    document = json.loads(kept(place).read_text())
    packed = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert document == {"auths": {locked.host: {"auth": packed}}}
    assert stat.S_IMODE(kept(place).stat().st_mode) == 0o600
    assert rootless("login", "--get-login", locked.host).stdout == f"{USER}\n"
    assert "Already logged in" in rootless("login", locked.host).stdout
    rootless("push", "-q", image, name)
    rootless("rmi", image)
    rootless("pull", "-q", name)
    # skopeo and podman read the same file
    subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"],
        check=True, capture_output=True, env=place.env,
    )  # fmt: skip
    told = rootless("logout", locked.host)
    assert told.stdout == f"Removed login credentials for {locked.host}\n"
    told = rootless("logout", locked.host, code=125)
    assert f"you are not logged in to {locked.host}" in told.stderr
    rootless("login", "--get-login", locked.host, code=125)
    rootless("pull", "-q", name, code=125)


def test_a_wrong_password_is_not_kept(rootless: Command, locked: Registry, place: Place) -> None:
    told = rootless("login", "-u", USER, "-p", "wrong", locked.host, code=125)
    assert f"cannot log in to {locked.host}: invalid username or password" in told.stderr
    assert not kept(place).exists()
    # a right one that was kept stays
    rootless("login", "-u", USER, "-p", PASSWORD, locked.host)
    rootless("login", "-u", USER, "-p", "wrong", locked.host, code=125)
    assert rootless("login", "--get-login", locked.host).stdout == f"{USER}\n"
    told = rootless("login", "-u", USER, "-p", PASSWORD, "127.0.0.1:1", code=125)
    assert "cannot talk to 127.0.0.1:1" in told.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-u", "a", "-p", "b", "--password-stdin"], "exclude each other"),
        (["--password-stdin"], "--password-stdin needs --username"),
        (["-u", "a", "--password-stdin"], "standard input has no password"),
        (["-u", "a"], "there is no terminal"),
        (["--get-login"], "you are not logged in"),
    ],
)
def test_words_that_do_not_do(rootless: Command, words: list[str], why: str) -> None:
    assert why in rootless("login", *words, "quay.example", code=125).stderr


def test_bad_names(rootless: Command) -> None:
    told = rootless("login", "-u", "a", "-p", "b", "team", code=125)
    assert "'team' is not the name of a registry" in told.stderr


def test_asking_on_a_terminal(rootless: Command, locked: Registry, place: Place) -> None:
    terminal = rootless.terminal("login", locked.host)
    terminal.expect("Username: ")
    terminal.type(f"{USER}\n")
    terminal.expect("Password: ")
    terminal.type(f"{PASSWORD}\n")
    terminal.expect("Login Succeeded!")
    assert terminal.wait() == 0
    assert PASSWORD.encode() not in terminal.seen
    assert kept(place).exists()


def test_other_entries_and_files_stay(rootless: Command, locked: Registry, place: Place) -> None:
    docker = place.home / ".docker/config.json"
    docker.parent.mkdir()
    packed = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    docker.write_text(json.dumps({"auths": {locked.host: {"auth": packed}}, "psFormat": "x"}))
    file = place.work / "mine.json"
    file.write_text(json.dumps({"auths": {"quay.example": {"auth": "eDp5"}}, "other": 1}))
    # docker's file is read
    assert rootless("login", "--get-login", locked.host).stdout == f"{USER}\n"
    rootless("login", "-u", USER, "-p", PASSWORD, "--authfile", file, locked.host)
    document = json.loads(file.read_text())
    assert document["other"] == 1
    assert document["auths"].keys() == {"quay.example", locked.host}
    rootless("logout", "--authfile", file, locked.host)
    assert json.loads(file.read_text())["auths"].keys() == {"quay.example"}
    told = rootless("logout", locked.host, code=125)
    assert str(docker) in told.stderr
    rootless("login", "-u", USER, "-p", PASSWORD, locked.host)
    told = rootless("logout", locked.host)
    assert f"there is another password for it in {docker}" in told.stderr
    assert json.loads(docker.read_text())["psFormat"] == "x"
    rootless("logout", "--all", "--authfile", file)
    assert json.loads(file.read_text())["auths"] == {}


def test_a_file_that_is_damaged(rootless: Command, locked: Registry, place: Place) -> None:
    kept(place).parent.mkdir()
    kept(place).write_text('{"auths": [')
    told = rootless("login", "-u", USER, "-p", PASSWORD, locked.host, code=125)
    assert str(kept(place)) in told.stderr
    assert kept(place).read_text() == '{"auths": ['


PROGRAM = """#!/bin/sh
here=$(dirname "$0")/kept
case $1 in
get) read -r address
    [ "$(cat "$here" 2>/dev/null)" ] || { echo credentials not found in native keychain; exit 1; }
    cat "$here" ;;
store) cat >"$here" ;;
erase) read -r address; rm -f "$here" ;;
esac
"""


def test_a_program_that_keeps_passwords(rootless: Command, locked: Registry, place: Place) -> None:
    program = place.work / "bin/docker-credential-test"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    env = {"PATH": f"{program.parent}:{place.env['PATH']}"}
    kept(place).parent.mkdir()
    kept(place).write_text(json.dumps({"credHelpers": {locked.host: "test"}}))
    told = rootless("login", "-v", "-u", USER, "-p", PASSWORD, locked.host, env=env)
    assert "Used: docker-credential-test" in told.stdout
    assert json.loads((program.parent / "kept").read_text()) == {
        "ServerURL": locked.host,
        "Username": USER,
        "Secret": PASSWORD,
    }
    assert "auths" not in json.loads(kept(place).read_text())
    assert rootless("login", "--get-login", locked.host, env=env).stdout == f"{USER}\n"
    rootless("logout", locked.host, env=env)
    assert not (program.parent / "kept").exists()
    program.write_text("#!/bin/sh\nprintf 'locked \\033[0m'; exit 3\n")
    told = rootless("login", "--get-login", locked.host, env=env, code=125)
    assert "docker-credential-test get failed: locked ?[0m" in told.stderr


def test_tokens(rootless: Command, image: str, registry: Registry) -> None:
    """Scopes for what is done, a token for everybody where that is enough, and a new token when
    one has ended."""
    tokens = Tokens({USER: PASSWORD}, uses=3)
    with Front(registry, tokens=tokens) as front:
        private, public = f"{front.host}/private/app:1", f"{front.host}/public/app:1"
        told = rootless("push", image, private, code=125)
        assert "refuses access" in told.stderr
        told = rootless("login", "-u", USER, "-p", "wrong", front.host, code=125)
        assert "invalid username or password" in told.stderr
        rootless("login", "-u", USER, "-p", PASSWORD, front.host)
        tokens.scopes.clear()
        rootless("push", "-q", image, private)
        assert ["repository:private/app:pull,push"] in tokens.scopes
        assert len(tokens.scopes) > 2
        # mounting asks for the other repository as well
        rootless("push", "-q", image, public)
        rootless("pull", "-q", private)
        rootless("logout", front.host)
        rootless("pull", "-q", public)
        assert tokens.users[-1] == ""
        told = rootless("pull", "-q", private, code=125)
        assert "refuses access" in told.stderr
        assert len(front.requests) < 100


def test_an_identity_token_is_traded(
    rootless: Command, image: str, registry: Registry, place: Place
) -> None:
    tokens = Tokens({})
    tokens.refresh["long"] = USER
    with Front(registry, tokens=tokens) as front:
        kept(place).parent.mkdir()
        kept(place).write_text(json.dumps({"auths": {front.host: {"identitytoken": "long"}}}))
        rootless("push", "-q", image, f"{front.host}/identity/app:1")
        assert front.asked("POST", "/token")
        assert tokens.users[-1] == USER


def test_refusals_end(rootless: Command, image: str, registry: Registry) -> None:
    """A server that refuses every token is asked twice, not for ever."""
    tokens = Tokens({USER: PASSWORD}, uses=0)
    with Front(registry, tokens=tokens) as front:
        told = rootless("pull", f"{front.host}/public/app:1", code=125)
        assert "refuses access" in told.stderr
        assert len(front.requests) <= 6


def test_creds_for_once(rootless: Command, image: str, locked: Registry, place: Place) -> None:
    name = f"{locked.host}/once/app:1"
    rootless("push", "-q", "--creds", f"{USER}:{PASSWORD}", image, name)
    assert not kept(place).exists()
    told = rootless("push", "-q", "--creds", USER, image, name, code=125)
    assert "--creds has no password" in told.stderr
    rootless("copy", "-q", "--src-creds", f"{USER}:{PASSWORD}", name, "dir:d")
