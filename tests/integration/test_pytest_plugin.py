"""rootless.pytest_plugin, as somebody's tests use it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import TREE, Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

TESTS = """
import pytest

pytest_plugins = ["rootless.pytest_plugin"]


@pytest.fixture(scope="session")
def server(session_container):
    return session_container("busybox:test", ["sh", "-c", "echo up; exec sleep 1000"], ready="up",
                             network="none", name="server")


def test_one(server, container):
    assert server.exec(["hostname"]).exit_code == 0
    first = container("busybox:test", ["sh", "-c", "touch /there; exec sleep 1000"],
                      network="none", name="first",
                      ready=lambda one: one.exec(["test", "-e", "/there"]).exit_code == 0)
    assert first.status == "running" and "first" in repr(first)
    with pytest.raises(LookupError, match="80/tcp .* not published"):
        first.address(80)


def test_two(server, rootless_engine, image):
    assert [one.name for one in rootless_engine.containers.list(all=True)] == ["server"]
    assert image("busybox:test").tags == ["localhost/busybox:test"]


def test_that_fails(container):
    container("busybox:test", ["sh", "-c", "echo what was wrong >&2; exec sleep 1000"],
              network="none", ready="wrong")
    assert False


def test_that_never_is_ready(container):
    container("busybox:test", ["sh", "-c", "echo ended early; exit 3"], network="none",
              ready="ready")
"""


def test_the_fixtures(rootless: Command, place: Place, busybox_image: str) -> None:
    file = place.work / "test_mine.py"
    file.write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", file],
        env={**place.env, "PYTHONPATH": str(TREE), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=place.work, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    told = done.stdout
    assert "2 failed, 2 passed" in told, told + done.stderr
    one, _, two = told.partition("test_that_never_is_ready")
    assert "Captured container" in one or "- container -" in one, told
    assert "what was wrong" in told
    assert "ended before it was ready" in two and "ended early" in two
    assert rootless("ps", "-aq").stdout == ""
