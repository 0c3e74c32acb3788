"""A real registry for tests: `docker-registry` on a free loopback port, in a directory of its own.

    with Registry(tmp_path) as registry:
        registry.push("oci:layout:latest", "team/app:1")
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest


def available() -> bool:
    """Whether the programs are installed."""
    return bool(shutil.which("docker-registry") and shutil.which("skopeo"))


def free_port() -> int:
    """A TCP port on the loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Registry:
    """One running registry; a context manager."""

    def __init__(self, directory: pathlib.Path, *, user: str = "", password: str = "") -> None:
        """`user` and `password` make it ask for basic authentication (an htpasswd file)."""
        self.directory = directory
        self.user = user
        self.password = password
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[str]:
        """The lines of the access log so far: `GET /v2/…`."""
        log = (self.directory / "log").read_text(errors="replace")
        return [line.split('"')[1] for line in log.splitlines() if '"' in line and " HTTP/" in line]

    def __enter__(self) -> Registry:
        self.directory.mkdir(parents=True, exist_ok=True)
        # Between finding a free port and taking it somebody else may take it: try again then.
        for _ in range(5):
            self.port = free_port()
            self._start()
            if self._ready():
                return self
            self.__exit__()
        raise RuntimeError((self.directory / "log").read_text(errors="replace")[-2000:])

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def push(self, source: str, name: str) -> str:
        """Copy an image here with skopeo; returns its whole reference."""
        target = f"{self.host}/{name}"
        command = ["skopeo", "--insecure-policy", "copy", "--all", "--dest-tls-verify=false"]
        if self.user:
            command += ["--dest-creds", f"{self.user}:{self.password}"]
        done = subprocess.run(
            [*command, source, f"docker://{target}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return target

    def _start(self) -> None:
        config = [
            "version: 0.1",
            "log: {level: info}",
            f"storage: {{filesystem: {{rootdirectory: {self.directory}/data}}}}",
            f"http: {{addr: '127.0.0.1:{self.port}'}}",
        ]
        if self.user:
            secret = self.directory / "htpasswd"
            secret.write_text(f"{self.user}:{_bcrypt(self.password)}\n")
            config.append(f"auth: {{htpasswd: {{realm: test, path: {secret}}}}}")
        path = self.directory / "config.yml"
        path.write_text("\n".join(config) + "\n")
        with open(self.directory / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(path)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _ready(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/", timeout=2).close()
                return True
            except urllib.error.HTTPError:
                return True
            except OSError:
                time.sleep(0.02)
        return False


def _bcrypt(password: str) -> str:
    """htpasswd's own program is rarely installed, and crypt(3) of most systems knows bcrypt."""
    if shutil.which("htpasswd"):
        done = subprocess.run(
            ["htpasswd", "-nbB", "x", password], capture_output=True, text=True, check=True
        )
        return done.stdout.strip().partition(":")[2]
    done = subprocess.run(
        ["perl", "-e", "print crypt($ARGV[0], q($2b$05$) . q(abcdefghijklmnopqrstuu))", password],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for the tests of one module."""
    if not available():
        pytest.skip("docker-registry and skopeo are needed")
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running
