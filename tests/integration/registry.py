"""A real registry for tests: `docker-registry` on a free loopback port, in a directory of its own.

with Registry(tmp_path) as registry:
    registry.push("oci:layout:latest", "team/app:1")
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


def free_port() -> int:
    """A TCP port on the loopback that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Registry:
    """One running registry; a context manager."""

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        user: str = "",
        password: str = "",
        certificate: pathlib.Path | None = None,
        client_ca: pathlib.Path | None = None,
    ) -> None:
        """`user` and `password` make it ask for basic authentication (an htpasswd file);
        `certificate` (with its .key beside it) makes it speak TLS, `client_ca` makes it ask for a
        certificate of that authority."""
        self.directory = directory
        self.certificate = certificate
        self.client_ca = client_ca
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
            f"http: {{addr: '127.0.0.1:{self.port}'{self._tls()}}}",
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

    def _tls(self) -> str:
        if self.certificate is None:
            return ""
        clients = f", clientcas: ['{self.client_ca}']" if self.client_ca else ""
        key = self.certificate.with_suffix(".key")
        return f", tls: {{certificate: '{self.certificate}', key: '{key}'{clients}}}"

    def _ready(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self.certificate is not None:
                    socket.create_connection(("127.0.0.1", self.port), 2).close()
                    return True
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
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


class Layout:
    """An OCI layout made by hand, so that a test knows every byte of it."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        (path / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data: bytes) -> dict[str, Any]:
        """Write a blob; returns digest and size."""
        name = hashlib.sha256(data).hexdigest()
        (self.path / "blobs/sha256" / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}

    def image(
        self,
        tag: str | None,
        files: list[dict[str, bytes]],
        *,
        architecture: str = "amd64",
        variant: str = "",
        compress: str = "gzip",
        config: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write an image, a layer for each dictionary of files; returns its descriptor."""
        layers, diff_ids = [], []
        for content in files:
            plain = tar_of(content)
            diff_ids.append("sha256:" + hashlib.sha256(plain).hexdigest())
            data = gzip.compress(plain, 1, mtime=0) if compress == "gzip" else plain
            suffix = "+gzip" if compress == "gzip" else ""
            layers.append(
                {
                    "mediaType": f"application/vnd.oci.image.layer.v1.tar{suffix}",
                    **self.blob(data),
                }
            )
        document: dict[str, Any] = {
            "created": "2026-01-02T03:04:05Z",
            "architecture": architecture,
            "os": "linux",
            "config": config or {"Cmd": ["/bin/true"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "test"}],
        }
        platform = {"os": "linux", "architecture": architecture}
        if variant:
            platform["variant"] = document["variant"] = variant
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                **self.blob(json.dumps(document).encode()),
            },
            "layers": layers,
        }
        entry: dict[str, Any] = {
            "mediaType": manifest["mediaType"],
            **self.blob(json.dumps(manifest).encode()),
            "platform": platform,
        }
        if tag is not None:
            self.add(tag, entry)
        return entry

    def index(self, tag: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Write an index over several platforms; returns its descriptor."""
        media_type = "application/vnd.oci.image.index.v1+json"
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
        entry = {"mediaType": media_type, **self.blob(json.dumps(document).encode())}
        self.add(tag, entry)
        return entry

    def add(self, tag: str, entry: dict[str, Any]) -> None:
        """Name an image in index.json."""
        notes = {"org.opencontainers.image.ref.name": tag} if tag else {}
        self.entries.append({**entry, "annotations": notes})
        document = {"schemaVersion": 2, "manifests": self.entries}
        (self.path / "index.json").write_text(json.dumps(document))


def tar_of(files: dict[str, bytes]) -> bytes:
    """A tar with these files, the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


Answer = Callable[["Handler"], bool]


class Handler(BaseHTTPRequestHandler):
    """Serves one layout; a test's `fault` sees every request first and may answer it."""

    # head and body are written apart: each answer would wait for the other side's delayed ACK
    disable_nagle_algorithm = True

    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        if self.server.fault is not None and self.server.fault(self):
            return
        _, kind, what = self.path.rsplit("/", 2)
        layout = self.server.layout
        if kind == "manifests":
            entry = next(
                (
                    e
                    for e in layout.entries
                    if what in (e["digest"], e["annotations"]["org.opencontainers.image.ref.name"])
                ),
                None,
            )
            if entry is None and not what.startswith("sha256:"):
                self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
                return
            digest = entry["digest"] if entry else what
            data = self.blob(digest)
            media_type = json.loads(data)["mediaType"]
            self.reply(200, data, {"Content-Type": media_type, "Docker-Content-Digest": digest})
            return
        data = self.blob(what)
        if "Range" in self.headers and self.server.ranges:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, len(data)) if last else len(data)
            extra = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
            self.reply(206, data[start:end], extra)
        else:
            self.reply(200, data)

    def blob(self, digest: str) -> bytes:
        return (self.server.layout.path / "blobs/sha256" / digest[7:]).read_bytes()

    def reply(
        self,
        status: int,
        data: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        promised: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if promised is None else promised))
        self.end_headers()
        if self.command != "HEAD":
            # before the client has it: a test asks when the client has ended
            with self.server.counting:
                self.server.served += len(data)
            self.wfile.write(data)
        if promised is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """The faulty registry."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, layout: Layout, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), Handler)
        self.layout = layout
        self.fault: Answer | None = None
        self.ranges = True
        self.served = 0
        self.counting = threading.Lock()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.release = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def name(self) -> str:
        return f"{self.host}/team/app:one"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass
