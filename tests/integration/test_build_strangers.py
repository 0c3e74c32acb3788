"""`build` with contexts, steps and caches that mean harm, or that somebody has damaged."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import json
import os
import socket
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import image_reader
import pytest
from conftest import Command, Place

LARGE = 17 << 20


@pytest.fixture
def context(place: Place) -> Path:
    made = place.work / "context"
    made.mkdir()
    return made


def test_a_pipe_in_the_place_of_an_ignore_file(rootless: Command, context: Path) -> None:
    """Nobody writes to it, so nobody may wait for it."""
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    os.mkfifo(context / "Dockerfile.dockerignore")
    rootless("build", "-q", "-f", context / "Dockerfile", context, timeout=20)


def test_a_file_that_comes_to_an_early_end(rootless: Command, context: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            other, _ = server.accept()
            # who may not ask has gone by then
            with other, contextlib.suppress(OSError):
                other.recv(4096)
                other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        (context / "Dockerfile").write_text(f"FROM scratch\nADD {address} /x\n")
        # what listens on this machine is not asked without leave
        told = rootless("build", "-q", context, code=125)
        assert "--allow network.host" in told.stderr
        thread.join()
        thread = threading.Thread(target=answer)
        thread.start()
        told = rootless("build", "-q", "--allow", "network.host", context, code=125)
        thread.join()
    assert f"{address} ended 95 bytes too early" in told.stderr


class _Files(http.server.SimpleHTTPRequestHandler):
    """Files below a directory; notes what is asked for, and sends /moved to them."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/moved"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


def test_repositories_of_this_machine(rootless: Command, place: Place, context: Path) -> None:
    """They are asked with leave only, also those that are submodules of others."""
    make = """
        git() { command git -c user.name=n -c user.email=e@x -c init.defaultBranch=main "$@"; }
        git init -q inner && cd inner && echo inner >f && git add f && git commit -qm m && cd ..
        git clone -q --bare inner inner.git && git -C inner.git update-server-info
        git init -q outer && cd outer && echo outer >f && git add f
        printf '[submodule "s"]\\npath = s\\nurl = ../inner.git\\n' >.gitmodules
        git add .gitmodules
        git update-index --add --cacheinfo "160000,$(git -C ../inner rev-parse HEAD),s"
        git commit -qm m && cd ..
        git clone -q --bare outer outer.git && git -C outer.git update-server-info
    """
    top = place.work / "served"
    top.mkdir()
    subprocess.run(["sh", "-ec", make], cwd=top, env=place.env, check=True, capture_output=True)
    handler: Any = type("Noting", (_Files,), {"asked": []})
    serve = functools.partial(handler, directory=str(top))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        here = f"http://127.0.0.1:{port}/outer.git", f"http://localhost:{port}/outer.git"
        others = "git://127.0.0.1:1/o.git", "ssh://u@[::1]:1/o.git", "u@localhost:o.git"
        for where in here + others:
            (context / "Dockerfile").write_text(f"FROM scratch\nADD {where} /\n")
            told = rootless("build", "-q", context, code=125)
            assert "--allow network.host" in told.stderr, where
        assert handler.asked == []
        where = f"http://localhost:{port}/moved/outer.git"
        (context / "Dockerfile").write_text(f"FROM scratch\nADD {where} /\n")
        rootless("build", "-q", "-t", "made", "--allow", "network.host", context)
        server.shutdown()
    rootless("save", "-q", "--format", "oci-archive", "-o", place.work / "made.tar", "made")
    files = image_reader.read(place.work / "made.tar").files
    assert files["/f"].content == b"outer\n" and files["/s/f"].content == b"inner\n"


def test_an_address_that_is_none(rootless: Command, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nADD http://[::1/x /x\n")
    for words in ((context,), ("http://[::1/x",)):
        told = rootless("build", "-q", *words, code=125)
        assert "http://[::1/x cannot be fetched" in told.stderr


def test_nothing_of_an_archive_stays(rootless: Command, place: Place, context: Path) -> None:
    """Neither of a build that was killed, nor because directories in it are read-only."""
    made = place.work / "context.tar"
    with tarfile.open(made, "w") as archive:
        for name, kind in (("closed/f", tarfile.REGTYPE), ("closed", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o555
            archive.addfile(member)
        text = b"FROM scratch\nCOPY . /\n"
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    killed = place.data / "build/contexts/context-killed"
    killed.mkdir(parents=True)
    rootless("build", "-q", made)
    rootless("build", "-q", context, code=125)
    assert list(killed.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", "Dockerfile.dockerignore"])
def test_a_part_of_a_file_is_not_taken_for_all_of_it(
    rootless: Command, context: Path, name: str
) -> None:
    """The end of an ignore file may be what keeps a key out of the image."""
    (context / "key").write_text("secret")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    with open(context / name, "a") as file:
        file.write("#" * LARGE + "\nkey\n")
    told = rootless("build", "-q", context, code=125)
    assert f"{name} is larger than 16 MiB" in told.stderr


def test_an_insecure_step_writes_to_no_layer(
    rootless: Command, context: Path, busybox_image: str
) -> None:
    """It may mount, so it could make a read-only mount writable again."""
    (context / "f").write_text("good\n")
    below = "FROM scratch AS one\nCOPY f /f\nFROM busybox:test\n"
    step = (
        "RUN --security=insecure --mount=type=bind,from=one,target=/m "
        "mount -o remount,rw,bind /m; echo evil >/m/f; true\n"
    )
    (context / "Dockerfile").write_text(below + step)
    rootless("build", "-q", "--allow", "security.insecure", context)
    (context / "Dockerfile").write_text(below + "COPY --from=one /f /f\n")
    rootless("build", "-q", "-t", "made", context)
    assert rootless("run", "--rm", "--network", "none", "made", "cat", "/f").stdout == "good\n"


def _numbers(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"created":', b'"created":"x","y":'))


def _elsewhere(path: Path) -> None:
    value = json.loads(path.read_text())
    if "layer" in value:
        value["layer"] = "build:../../../../" + "x" * 300
    path.write_text(json.dumps(value))


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("keys/*.json", _half),
    ("keys/*.json", _numbers),
    ("keys/*.json", _elsewhere),
    ("keys/*.json", lambda path: path.write_text("[]")),
    ("layers/*/layer.json", _half),
    ("layers/*/layer.json", Path.unlink),
)


@pytest.mark.usefixtures("everyone")
def test_documents_of_the_cache_that_are_damaged(
    rootless: Command, place: Place, context: Path, busybox_image: str
) -> None:
    """A step is made again, whatever is wrong, and its files keep their owners."""
    (context / "f").write_text("content\n")
    (context / "Dockerfile").write_text("FROM busybox:test\nRUN id >/id\nCOPY --chown=5:6 f /f\n")
    rootless("build", "-q", "-t", "made", context)
    for number, (kind, damage) in enumerate(DAMAGES):
        for path in list(place.data.glob(f"build/*/{kind}")):
            damage(path)
        told = rootless("build", "-q", "-t", "made", context, code=None)
        assert told.code == 0, (number, told.stderr)
        # a container with a single id shows no owners; the image has them
        rootless("save", "-q", "--format", "oci-archive", "-o", place.work / "made.tar", "made")
        assert image_reader.read(place.work / "made.tar").files["/f"].owner == (5, 6), number
    rootless("builder", "du")
    rootless("builder", "prune", "-af")
