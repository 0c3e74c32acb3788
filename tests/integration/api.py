"""A service of the Docker API for a test, and the ways to talk to it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

DOCKER = "/usr/bin/docker"  # Debian's docker.io, 20.10


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=120)
        self.path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(120)
        self.sock.connect(self.path)


class Service:
    """A running service.  `docker(...)` runs docker's client against it."""

    def __init__(self, rootless: Command, *words: str) -> None:
        self.rootless = rootless
        self.path = str(rootless.place.runtime / "rootless" / "docker.sock")
        self.words = words
        self.start()
        config = rootless.place.home / "docker"
        config.mkdir(exist_ok=True)
        self.env = {"DOCKER_HOST": f"unix://{self.path}", "DOCKER_CONFIG": str(config)}
        self.docker = Command([DOCKER], rootless.place)
        self.docker.place.env.update(self.env)

    def start(self) -> None:
        """Start it (again) and wait until it answers."""
        self.process = self.rootless.start("system", "service", *self.words)
        end = time.monotonic() + 60
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as asking:
                    asking.connect(self.path)
                return
            except OSError:
                assert self.process.poll() is None, "the service has ended"
                assert time.monotonic() < end, "the service does not listen"
                time.sleep(0.01)

    def connect(self) -> socket.socket:
        """A connection for raw bytes."""
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(120)
        made.connect(self.path)
        return made

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request: the status, and the answer as JSON or bytes."""
        connection = Connection(self.path)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            if data is not None:
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, target, data, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.headers.get_content_type() == "application/json" and text:
                try:
                    return answer.status, json.loads(text)
                except ValueError:
                    pass
            return answer.status, text
        finally:
            connection.close()

    def threads(self) -> int:
        """How many it has."""
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def stop(self) -> None:
        """End it as systemd does."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                pytest.fail("the service does not end")
        self.docker.close()


@pytest.fixture
def service(rootless: Command) -> Iterator[Service]:
    """A service for one test."""
    made = Service(rootless)
    yield made
    made.stop()


def until(done: Any, what: str, seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def work(service: Service) -> Path:
    """The directory of the test."""
    return service.rootless.place.work
