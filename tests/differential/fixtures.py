"""The two tools, one pair for each worker."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Place, _remove_tree
from differential import stand_ins
from differential.tools import Podman, Rootless
from integration.registry import Registry


def _place(scratch: Path, name: str) -> Place:
    base = Path(tempfile.mkdtemp(prefix=name, dir=scratch))
    base.chmod(0o711)
    runtime_base = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.access(runtime_base, os.W_OK):
        runtime_base = str(scratch)
    return Place(base, Path(tempfile.mkdtemp(prefix=name, dir=runtime_base)))


@pytest.fixture(scope="session")
def images(scratch: Path, busybox: Path) -> Path:
    """The archive with all stand-ins."""
    path = scratch / "stand-ins.tar"
    stand_ins.write_archive(path, busybox)
    return path


@pytest.fixture(scope="session")
def registry(scratch: Path, images: Path) -> Iterator[Registry]:
    """docker.io for the lines of the list."""
    with Registry(scratch / "registry") as running:
        for name in ("alpine", "nginx", "busybox"):
            running.push(f"docker-archive:{images}:docker.io/library/{name}:latest",
                         f"library/{name}:latest")  # fmt: skip
        yield running


@pytest.fixture(scope="session")
def podman(scratch: Path, images: Path, registry: Registry) -> Iterator[Podman]:
    """podman as installed."""
    tool = Podman(_place(scratch, "p"), images, registry.host)
    yield tool
    tool.close()
    shutil.rmtree(tool.place.runtime, ignore_errors=True)
    _remove_tree(tool.place.base)


@pytest.fixture(scope="session")
def rootless_tools(
    scratch: Path, images: Path, registry: Registry, entry: list[str]
) -> Iterator[Callable[[str], Rootless]]:
    """rootless, by the name that it is called."""
    made: dict[str, Rootless] = {}

    def tool(called: str) -> Rootless:
        if called not in made:
            made[called] = Rootless(_place(scratch, "r"), images, registry.host, entry, called)
        return made[called]

    yield tool
    for one in made.values():
        one.close()
        shutil.rmtree(one.place.runtime, ignore_errors=True)
        _remove_tree(one.place.base)
