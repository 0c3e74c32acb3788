"""A registry that stands in for docker.io's address (not for its behaviour): real images of Debian,
busybox and Redis in a real registry on the loopback, under the names that documents use."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.registry import Registry

# where tests/run installs it
REDIS = Path("/usr/bin/redis-server")


class Hub(Registry):
    """The registry; `use_as_docker_io(home)` makes a person's short names lead here."""

    def add(self, name: str, root: Path, *settings: str) -> str:
        """Push an image of one layer; settings are umoci's words for the image's configuration."""
        layout = self.directory / "layout"
        tag = f"{layout}:{name}"
        if not layout.exists():
            _run("umoci", "init", "--layout", layout)
        _run("umoci", "new", "--image", tag)
        _run("umoci", "raw", "add-layer", "--image", tag, root)
        _run("umoci", "config", "--image", tag, *settings)
        return self.push(f"oci:{tag}", f"library/{name}:latest")

    def use_as_docker_io(self, home: Path) -> None:
        """Write the person's registries.conf (containers-registries.conf(5))."""
        directory = home / ".config/containers"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "registries.conf").write_text(
            f'[[registry]]\nprefix = "docker.io"\nlocation = "{self.host}"\ninsecure = true\n'
        )


def _run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"


def program_tar(path: Path, program: Path) -> Path:
    """A root file system of one dynamically linked program and the libraries it needs."""
    found = subprocess.run(["ldd", program], capture_output=True, check=True, text=True).stdout
    libraries = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", found, re.M)
    with tarfile.open(path, "w", dereference=True) as archive:
        for directory in ("tmp", "data"):
            member = tarfile.TarInfo(directory)
            member.type = tarfile.DIRTYPE
            member.mode = 0o1777
            archive.addfile(member)
        for name in [str(program), *libraries]:
            archive.add(name, filter=_of_root)
    return path


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


@pytest.fixture(scope="session")
def hub(scratch: Path, debian_tar: Path, busybox_tar: Path) -> Iterator[Hub]:
    """The registry, running, with library/debian, library/busybox and library/redis."""
    directory = scratch / "hub"
    directory.mkdir()
    with Hub(directory) as running:
        running.add("debian", debian_tar, "--config.cmd", "bash")
        running.add("busybox", busybox_tar, "--config.cmd", "sh")
        redis = program_tar(directory / "redis.tar", REDIS)
        running.add("redis", redis, "--config.cmd", "redis-server", "--config.workingdir", "/data",
                    "--config.exposedports", "6379/tcp")  # fmt: skip
        shutil.rmtree(directory / "layout")
        yield running


@pytest.fixture(scope="session")
def debian_image(hub: Hub) -> str:
    """The whole name of the Debian image."""
    return f"{hub.host}/library/debian"
