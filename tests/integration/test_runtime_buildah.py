"""buildah runs the steps of a build by this runtime."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Place


class Buildah:
    """buildah with a store of this test, this runtime, and one working container."""

    def __init__(self, place: Place, runtime: Path) -> None:
        self.place = place
        base = place.base / "buildah"
        self.words = ["buildah", "--root", str(base / "root"), "--runroot",
                      str(place.runtime / "b"), "--storage-driver", "vfs"]  # fmt: skip
        self.how = ["--runtime", str(runtime), "--isolation", "oci", "--network", "none"]

    def __call__(self, *words: str | Path, code: int = 0) -> str:
        found = subprocess.run(
            [*self.words, *map(str, words)], env=self.place.env, cwd=self.place.work, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200,
        )  # fmt: skip
        assert found.returncode == code, f"{words}: {found.returncode}\n{found.stdout}"
        return found.stdout

    def run(self, *words: str, more: tuple[str, ...] = (), code: int = 0) -> str:
        """A step."""
        return self("run", *self.how, *more, "step", *words, code=code)


@pytest.fixture
def buildah(place: Place, busybox_tar: Path, oci_entry: list[str]) -> Iterator[Buildah]:
    """With busybox in a container named step."""
    runtime = place.base / "rootless-runtime"
    quoted = " ".join(f"'{word}'" for word in oci_entry)
    runtime.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    runtime.chmod(0o755)
    made = Buildah(place, runtime)
    made("from", "--name", "step", "scratch")
    made("add", "-q", "step", busybox_tar, "/")
    yield made
    made("rm", "-a")
    made("unshare", "rm", "-rf", place.base / "buildah")


def test_the_steps_of_a_build(buildah: Buildah) -> None:
    assert buildah.run("sh", "-c", "id -u; echo kept >/made") == "0\n"
    assert buildah.run("cat", "/made") == "kept\n"
    assert "exit status 4" in buildah.run("sh", "-c", "exit 4", code=4)
    said = buildah.run("nosuch", code=1)
    assert '"nosuch": executable file not found in $PATH' in said
    given = buildah.run("sh", "-c", "id; ls -d /u/bin; touch /u/x", code=1,
                        more=("-v", "/usr:/u:ro", "--user", "7:8"))  # fmt: skip
    assert "uid=7 gid=8" in given
    assert "/u/bin" in given
    assert "Read-only file system" in given
