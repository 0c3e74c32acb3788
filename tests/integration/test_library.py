"""The Python library as its documents show it, in a process of its own, against real containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TREE, Command, Place
from integration.documents import Example, examples
from integration.hub import Hub

pytestmark = [pytest.mark.usefixtures("everyone"), pytest.mark.slow]

EXAMPLES = examples("README.md", "python") + examples("docs/python.md", "python")


def python(place: Place, *words: str | Path, timeout: float = 60) -> str:
    """Run the interpreter that runs the tests, with the library of this tree; its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *map(str, words)],
        env={**place.env, "PYTHONPATH": str(TREE), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=place.work, capture_output=True, timeout=timeout, check=False,
    )  # fmt: skip
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, (
        f"exit status {done.returncode}\n--- stdout\n{out}\n--- stderr\n{err}"
    )
    return out


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.where)
def test_an_example_of_the_documents(
    example: Example, rootless: Command, hub: Hub, place: Place
) -> None:
    hub.use_as_docker_io(place.home)
    needed = "debian" if '"debian"' in example.code else "busybox"
    rootless("pull", needed, timeout=200)
    if "import pytest" in example.code:
        rootless("pull", "redis")
        file = place.work / "test_example.py"
        file.write_text(example.code)
        out = python(place, "-m", "pytest", "-q", "-p", "no:cacheprovider", file)
        assert "1 passed" in out
    else:
        file = place.work / "example.py"
        file.write_text(example.code)
        out = python(place, file)
    if example.shown is not None:
        assert out == example.shown
    assert rootless("ps", "-aq").stdout == ""


def test_types_are_told_apart_by_detach(place: Place) -> None:
    file = place.work / "typed.py"
    file.write_text(
        "import rootless\n"
        "engine = rootless.Engine()\n"
        'name: str = engine.containers.run("x", detach=True).name\n'
        'code: int = engine.containers.run("x", ["true"]).exit_code\n'
        'one = engine.containers.get("x")\n'
        "pairs: list[tuple[str, bytes]] = list(one.logs())\n"
        "pieces: list[bytes] = list(one.logs(stream=True))\n"
        "whole: bytes = one.logs(stream=False)\n"
        'made: str = engine.volumes.create("v").name\n'
        'pulled: list[str] = engine.images.pull("x").tags\n'
        'every: list[str] = [image.id for image in engine.images.pull("x", all_tags=True)]\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", place.work / "cache", file],
        env={**place.env, "MYPYPATH": str(TREE)}, cwd=place.work, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_inherited_or_left_open(
    rootless: Command, place: Place, busybox_image: str
) -> None:
    """A program with secrets in open descriptors runs containers; it has as many afterwards."""
    file = place.work / "open.py"
    file.write_text(
        "import os, rootless\n"
        "read, write = os.pipe()\n"
        "os.set_inheritable(read, True)\n"
        "engine = rootless.Engine()\n"
        "def count(): return len(os.listdir('/proc/self/fd'))\n"
        f"image = {busybox_image!r}\n"
        "engine.containers.run(image, 'true')\n"
        "before = count()\n"
        "for _ in range(3):\n"
        "    found = engine.containers.run(image, 'ls /proc/self/fd', network='none')\n"
        "    with engine.containers.run(image, ['sleep', '9'], detach=True) as one:\n"
        "        one.exec(['true'])\n"
        "        list(one.logs())\n"
        "print(count() - before, found.output.split())\n"
    )
    # 0, 1, 2 and the one that lists the directory
    assert python(place, file) == "0 [b'0', b'1', b'2', b'3']\n"


def test_large_streams_both_ways(rootless: Command, place: Place, busybox_image: str) -> None:
    file = place.work / "large.py"
    file.write_text(
        "import hashlib, os, rootless\n"
        "data = os.urandom(1 << 20) * 20\n"
        "engine = rootless.Engine()\n"
        f"found = engine.containers.run({busybox_image!r}, ['cat'], input=data, network='none')\n"
        "print(found.output == data)\n"
        f"with engine.containers.run({busybox_image!r}, ['sleep', '60'], detach=True) as one:\n"
        "    print(one.exec(['cat'], input=data).output == data)\n"
    )
    assert python(place, file) == "True\nTrue\n"


def test_an_unexpected_end_of_the_program_loses_nothing(
    rootless: Command, place: Place, busybox_image: str
) -> None:
    file = place.work / "ends.py"
    file.write_text(
        "import os, rootless\n"
        "engine = rootless.Engine()\n"
        f"engine.containers.run({busybox_image!r}, ['sleep', '60'], detach=True, name='stays')\n"
        "os._exit(0)\n"
    )
    python(place, file)
    assert rootless("ps", "--format", "{{.Names}} {{.State}}").stdout == "stays running\n"
    assert os.listdir(place.work)


def test_options_are_used_again(rootless: Command, place: Place, busybox_image: str) -> None:
    """What one container makes of its options is not in them when the next one is made."""
    file = place.work / "again.py"
    file.write_text(
        "import rootless\n"
        "from rootless.engine.spec.options import ContainerOptions\n"
        "engine = rootless.Engine()\n"
        f"image = {busybox_image!r}\n"
        "first = engine.containers.run(\n"
        "    image, ['sleep', '1000'], detach=True, network='none', uts='host', name='first')\n"
        "options = ContainerOptions(\n"
        "    image, command=['true'], userns='keep-id', uts='container:first', network='none')\n"
        "before = {name: repr(getattr(options, name)) for name in vars(options)}\n"
        "one = engine.containers.create(options)\n"
        "print({n for n in vars(options) if before.get(n) != repr(getattr(options, n))})\n"
        "for each in (one, first): each.remove(force=True)\n"
    )
    assert python(place, file) == "set()\n"
