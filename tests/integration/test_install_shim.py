"""`install-shim`: docker and podman as names of this command."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from conftest import Command


def test_a_shim_behaves_as_its_name_says(
    rootless: Command, busybox_image: str, tmp_path: Path
) -> None:
    place = tmp_path / "bin"
    path = f"{place}:/usr/bin:/bin"
    for name in ("docker", "podman"):
        told = rootless("install-shim", "--dir", place, name, env={"PATH": path})
        assert told.stdout == f"{place}/{name}\n"
        assert told.stderr == ""

    def shim(name: str, *words: str, code: int = 0) -> str:
        made = subprocess.run([place / name, *words], env=rootless.place.env, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)  # fmt: skip
        assert made.returncode == code, made.stderr
        return made.stdout

    shim("docker", "tag", busybox_image, "one:1")
    shim("podman", "tag", busybox_image, "two:1")
    names = rootless("images", "--format", "{{.Repository}}").stdout.split()
    assert {"one", "localhost/two"} <= {*names}
    assert isinstance(json.loads(shim("podman", "images", "--format", "json")), list)
    lines = shim("docker", "images", "--format", "json").splitlines()
    assert len(lines) == 3 and all(isinstance(json.loads(one), dict) for one in lines)
    run = ("run", "-it", "--rm", "--network", "none", "one:1", "true")
    shim("podman", *run)
    shim("docker", *run, code=125)
    # installing it again is no mistake, and it undoes itself
    rootless("install-shim", "--dir", place, "docker", "podman")
    rootless("install-shim", "--dir", place, "--remove", "docker", "podman")
    assert os.listdir(place) == []


def test_nothing_of_others_is_touched(rootless: Command, tmp_path: Path) -> None:
    place, first = tmp_path / "bin", tmp_path / "first"
    for directory in (place, first):
        directory.mkdir()
        (directory / "docker").write_text("#!/bin/sh\n")
        (directory / "docker").chmod(0o755)
    told = rootless("install-shim", "--dir", place, "docker", code=125)
    assert "is not rootless'" in told.stderr
    told = rootless("install-shim", "--dir", place, "--remove", "docker", code=125)
    assert "is not rootless'" in told.stderr
    assert (place / "docker").read_text() == "#!/bin/sh\n"
    (place / "docker").unlink()
    told = rootless("install-shim", "--dir", place, "docker", env={"PATH": f"{first}:{place}"})
    assert f"{first}/docker comes first" in told.stderr
    told = rootless("install-shim", "--dir", place, "podman", env={"PATH": str(first)})
    assert "not on the search path" in told.stderr
    rootless("install-shim", "--dir", place, "kubectl", code=125)
    rootless("install-shim", "--dir", place, "--remove", "podman")
    rootless("install-shim", "--dir", place, "--remove", "podman", code=125)
