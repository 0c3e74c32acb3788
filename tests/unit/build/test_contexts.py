"""Where a context comes from, which file says what is left out, and addresses of repositories."""

from __future__ import annotations

import http.server
import io
import os
import subprocess
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from rootless.build.contexts import Givers, git, open_context
from rootless.errors import NotFound, RootlessError, StorageError, UsageError

# Python knows filters since 3.11.4
TRUSTED: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}


def unpack(file: object, directory: str) -> None:
    data = file.read()  # type: ignore[attr-defined]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(directory, **TRUSTED)


@pytest.fixture
def givers(tmp_path: Path) -> Givers:
    def fetch(address: str, directory: str) -> str:
        raise NotFound(address)

    return Givers(unpack, fetch, str(tmp_path / "scratch"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM d\n")
    return made


def test_containerfile_comes_before_dockerfile(tree: Path, givers: Givers) -> None:
    (tree / "Containerfile").write_text("FROM c\n")
    with open_context(str(tree), None, givers) as context:
        assert context.dockerfile == b"FROM c\n"
    with open_context(str(tree), None, givers, as_docker=True) as context:
        assert context.dockerfile == b"FROM d\n"


def test_the_dockerfiles_own_ignore_file_comes_first(tree: Path, givers: Givers) -> None:
    (tree / ".dockerignore").write_text("a\n")
    (tree / ".containerignore").write_text("b\n")
    other = tree.parent / "other"
    other.write_text("FROM o\n")
    found = {}
    with open_context(str(tree), None, givers) as context:
        found["usual"] = context.ignore_name
    (tree / "Dockerfile.dockerignore").write_text("c\n")
    with open_context(str(tree), None, givers) as context:
        found["own"] = context.ignore_name
    (tree.parent / "other.dockerignore").write_text("d\n")
    with open_context(str(tree), str(other), givers) as context:
        found["outside"] = context.ignore_name
    assert found == {
        "usual": ".containerignore",
        "own": "Dockerfile.dockerignore",
        "outside": f"{other}.dockerignore",
    }


def test_a_dockerfile_that_is_given_apart_leaves_the_ignore_file_in_force(
    tree: Path, givers: Givers
) -> None:
    (tree / ".dockerignore").write_text("secret\n")
    with open_context(str(tree), "-", givers, stdin=io.BytesIO(b"FROM s\n")) as context:
        assert (context.dockerfile, context.ignore_name) == (b"FROM s\n", ".dockerignore")
    with open_context(str(tree), None, givers, dockerfile=b"FROM g\n") as context:
        assert (context.dockerfile, context.ignore_name) == (b"FROM g\n", ".dockerignore")
        assert context.path == str(tree)
    with open_context(os.devnull, None, givers, dockerfile=b"FROM g\n") as context:
        assert os.listdir(context.path) == []
        made = context.path
    assert not os.path.exists(made)


def test_a_link_out_of_the_context_is_no_dockerfile(tree: Path, givers: Givers) -> None:
    (tree.parent / "secret").write_text("FROM secret\n")
    (tree / "Dockerfile").unlink()
    (tree / "Dockerfile").symlink_to("../secret")
    with pytest.raises(RootlessError):
        open_context(str(tree), None, givers)


def test_standard_input(tree: Path, givers: Givers) -> None:
    with open_context("-", None, givers, stdin=io.BytesIO(b"FROM x\n")) as context:
        assert context.dockerfile == b"FROM x\n"
        assert os.listdir(context.path) == []
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(tree, arcname=".")
    with open_context("-", None, givers, stdin=io.BytesIO(out.getvalue())) as context:
        assert context.dockerfile == b"FROM d\n"
        kept = context.path
    assert not os.path.exists(kept)
    with pytest.raises(UsageError, match="cannot both"):
        open_context("-", "-", givers, stdin=io.BytesIO(b""))
    with pytest.raises(UsageError, match="empty"):
        open_context("-", None, givers, stdin=io.BytesIO(b""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/r.git", ("https://h/r.git", "", "")),
        ("https://h/r.git#main:sub", ("https://h/r.git", "main", "sub")),
        ("https://h/r.git?branch=b&subdir=s", ("https://h/r.git", "refs/heads/b", "s")),
        ("git@h:r.git#v1", ("git@h:r.git", "v1", "")),
        ("github.com/a/b", ("https://github.com/a/b", "", "")),
    ],
)
def test_addresses_of_repositories(text: str, expected: tuple[str, str, str]) -> None:
    assert git.is_repository(text)
    found = git.parse(text)
    assert (found.remote, found.reference, found.subdirectory) == expected


@pytest.mark.parametrize(
    "text", ["https://h/r.git#-x", "https://h/r.git#a:../..", "https://h/r.git?what=1"]
)
def test_addresses_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(UsageError):
        git.parse(text)


@pytest.mark.parametrize("text", ["https://h/x.tar", "dir", "./r.git/sub", "a:b"])
def test_what_is_no_repository(text: str) -> None:
    assert not git.is_repository(text)


def test_a_password_is_not_shown() -> None:
    assert git.shown("https://user:word@h/r.git") == "https://***@h/r.git"


def test_a_repository_of_this_host_is_not_fetched(tmp_path: Path) -> None:
    """Neither as such nor by a submodule: its hooks and links are another user's business."""
    subprocess.run(["git", "init", "-q", tmp_path / "r"], check=True)
    target = tmp_path / "t"
    target.mkdir()
    with pytest.raises(StorageError, match="not allowed"):
        git.checkout(git.Address(f"file://{tmp_path}/r"), str(target))
    other = tmp_path / "u"
    other.mkdir()
    with pytest.raises(StorageError, match="not allowed"):
        git.checkout(git.Address(f"ext::sh -c 'touch {tmp_path}/ran'"), str(other))
    assert not (tmp_path / "ran").exists()


class _Server(http.server.ThreadingHTTPServer):
    """Notes what it is asked with; redirects to `elsewhere`, or has nothing."""

    def __init__(self, elsewhere: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.elsewhere = elsewhere
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Authorization") or "nobody")
        self.send_response(302 if self.server.elsewhere else 404)
        self.send_header("Location", self.server.elsewhere + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_token_stays_with_the_server_that_it_is_for(tmp_path: Path) -> None:
    """curl would send it again to wherever the server redirects."""
    with _Server() as other, _Server(other.address) as server:
        for name, secret in (("with", b"hidden"), ("without", None)):
            target = tmp_path / name
            target.mkdir()
            with pytest.raises(StorageError):
                git.checkout(
                    f"{server.address}/r.git",
                    str(target),
                    secret=lambda word, value=secret: value if word == "GIT_AUTH_TOKEN" else None,
                )
            if secret:
                assert server.asked[0].startswith("basic ") and other.asked == []
        assert other.asked and set(other.asked) == {"nobody"}
        server.shutdown()
        other.shutdown()
