"""Confusions of engines that were published in 2026; as in test_cves_process.py."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from registry import Layout
from test_cves_mounts import BY_NAME, rootfs_of  # noqa: F401  (a fixture)
from test_runtime import Runtime
from test_runtime_probe import probe  # noqa: F401  (a fixture)
from test_storage import Layer
from weaken import Change, Engine, Variant, engine, variant  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("everyone")


def image_of(place: Place, layers: list[bytes], config: dict[str, Any]) -> str:
    """An OCI layout with one image of this configuration; its name for `pull`."""
    made = Layout(place.base / f"image{len(list(place.base.iterdir()))}")
    kind = "application/vnd.oci.image."
    document = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [
            "sha256:" + hashlib.sha256(data).hexdigest() for data in layers]},
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
        "config": {"mediaType": kind + "config.v1+json",
                   **made.blob(json.dumps(document).encode())},
        "layers": [{"mediaType": kind + "layer.v1.tar", **made.blob(data)} for data in layers],
    }  # fmt: skip
    made.add("1", {"mediaType": manifest["mediaType"], **made.blob(json.dumps(manifest).encode())})
    return f"oci:{made.path}:1"


def test_cve_2026_30892_the_user_one_is_not_root(variant: Variant) -> None:  # noqa: F811
    """`exec -u 1` was taken for `-u 0`."""

    def who(*changes: Change) -> str:
        runtime = variant(*changes)
        runtime.create("c", "sleep", "1000")
        runtime("start", "c")
        return runtime("exec", "-u", "1", "c", "id", "-u").stdout

    assert who() == "1\n"
    wrong = Change(
        "rootless/cli/oci/container_actions.py", "uid=int(uid),", "uid=int(uid) if gid else 0,"
    )
    assert who(wrong) == "0\n"


def test_cve_2026_31431_the_kernels_cryptography(
    engine: Engine,  # noqa: F811
    rootfs_of: Path,  # noqa: F811
    probe: Path,  # noqa: F811
) -> None:
    """Sockets of AF_ALG, behind which files of the whole host could be written."""
    shutil.copy(probe, rootfs_of / "probe")
    call = {"x86_64": "41", "aarch64": "198"}[os.uname().machine]
    words = ["--network", "none", "--rootfs", rootfs_of, "/probe", "call", call, "38", "5", "0"]
    run = ["run", "--rm"]
    assert json.loads(engine()(*run, *words).stdout) == [-1, errno.EPERM]
    # where the kernel has none it says EAFNOSUPPORT
    found = engine()(*run, "--security-opt", "seccomp=unconfined", *words).stdout
    assert json.loads(found)[1] in (0, errno.EAFNOSUPPORT)


def test_cve_2026_41579_a_dev_that_leads_out(variant: Variant) -> None:  # noqa: F811
    """The image's /dev is a link, and the links that belong there are made before the pivot."""

    def left(runtime: Runtime) -> list[str]:
        outside, dev = runtime.bundle / "outside", runtime.bundle / "rootfs/dev"
        outside.mkdir()
        (outside / "ptmx").write_text("the host's")
        dev.rmdir()
        dev.symlink_to(outside)
        mounts = runtime.config["mounts"]
        runtime.config["mounts"] = [one for one in mounts if one["destination"][:4] != "/dev"]
        runtime.run("true", code=None)
        assert (outside / "ptmx").read_text() == "the host's"
        return sorted(path.name for path in outside.iterdir())

    assert left(variant()) == ["ptmx"]
    assert "fd" in left(variant(*BY_NAME))


@pytest.mark.parametrize("way", ["run -u", "USER", "exec -u"])
def test_cve_2026_46680_a_number_too_large_to_be_one(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_tar: Path,
    way: str,
) -> None:
    """It is then taken for a name, and the image calls its root so."""
    large = str(1 << 32)
    passwd = Layer().add("etc/passwd", f"{large}:x:0:0::/:/bin/sh\n".encode()).bytes()
    config = {"Cmd": ["sleep", "1000"], **({"User": large} if way == "USER" else {})}
    name = image_of(place, [busybox_tar.read_bytes(), passwd], config)
    image = engine()("pull", "-q", name).stdout.split()[-1]
    words = ["run", "--rm", "--network", "none", *(["-u", large] if way == "run -u" else [])]
    words += [image, "id", "-u"]
    if way == "exec -u":
        engine()("run", "-d", "--name", "box", "--network", "none", image)
        words = ["exec", "-u", large, "box", "id", "-u"]
    assert f'"{large}" is no id of a user' in engine()(*words, code=125).stderr
    by_name = Change("rootless/engine/spec/user.py", "row[2 if user.isdigit() else 0] == user",
                     "user in (row[0], row[2])")  # fmt: skip
    assert engine(by_name)(*words).stdout == "0\n"


@pytest.mark.parametrize("file", ["passwd", "group"])
def test_cve_2026_47262_an_image_that_fills_the_memory(
    engine: Engine,  # noqa: F811
    rootfs_of: Path,  # noqa: F811
    file: str,
) -> None:
    """What is read of an image to make a container of it has no end."""
    with open(rootfs_of / "etc" / file, "wb") as made:
        made.truncate(1 << 30)
    words = ["run", "--rm", "--network", "none", "-u", "1:1", "--rootfs", rootfs_of, "true"]

    def said(*changes: Change) -> str:
        command = engine(*changes)
        limited = ["sh", "-c", 'ulimit -v 700000; exec "$@"', "sh"]
        command.words = [*limited, *command.words]
        try:
            found = command(*words, code=None)
            return found.stdout + found.stderr
        finally:
            command.words = command.words[len(limited) :]

    assert "MemoryError" not in said()
    assert "MemoryError" in said(
        Change("rootless/storage/trees/read.py", "return os.read(fd, limit) if",
               "return os.read(fd, 1 << 30) if")
    )  # fmt: skip


def test_cve_2026_55686_a_working_directory_behind_a_link(variant: Variant) -> None:  # noqa: F811
    """It is made when it is missing, and must not be made on the host."""

    def made_outside(runtime: Runtime) -> bool:
        outside = runtime.bundle / "outside"
        outside.mkdir()
        (runtime.bundle / "rootfs/link").symlink_to(outside)
        runtime.config["process"]["cwd"] = "/link/made"
        runtime.run("true", code=None)
        return bool(list(outside.iterdir()))

    assert not made_outside(variant())
    before = Change(
        "rootless/runtime/launch_plan.py",
        "    ops.append(operations.pivot())\n",
        '    ops.append(("cwd", (config["root"]["path"] + process["cwd"], "1")))\n'
        "    ops.append(operations.pivot())\n",
    )
    assert made_outside(variant(before))


def test_cve_2026_57231_variables_of_the_host(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_tar: Path,
) -> None:
    """A name without a value means the caller's own variable, but only where a caller says it."""
    config = {"Cmd": ["env"], "Env": ["PATH=/bin", "SECRET", "SEC*", "A=1"]}
    image = image_of(place, [busybox_tar.read_bytes()], config)
    name = engine()("pull", "-q", image).stdout.split()[-1]
    words = ["run", "--rm", "--network", "none", name]
    shown = engine()(*words, env={"SECRET": "of the host"}).stdout
    assert "of the host" not in shown
    assert "A=1\n" in shown
    trusting = Change(
        "rootless/engine/spec/oci_config.py",
        "common_environment.of_image(",
        "common_environment.assign(",
    )
    assert "SECRET=of the host\n" in engine(trusting)(*words, env={"SECRET": "of the host"}).stdout
    # who calls may pass it on
    given = engine()(*words[:-1], "-e", "SECRET", name, env={"SECRET": "of the host"}).stdout
    assert "SECRET=of the host\n" in given


def test_cve_2026_42306_a_volume_bound_for_a_copy(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_tar: Path,
) -> None:
    """The end state of the race: a link of the container's in the way to a volume's place."""
    outside = place.work / "outside"
    outside.mkdir()
    (place.work / "file").write_text("text")
    link = Layer().symlink("link", str(outside)).bytes()
    image = image_of(place, [busybox_tar.read_bytes(), link], {"Cmd": ["true"]})
    name = engine()("pull", "-q", image).stdout.split()[-1]
    engine()("create", "--name", "box", "--network", "none", "-v", "vol:/link/made", name)
    engine()("cp", "file", "box:/", code=None)
    assert list(outside.iterdir()) == []
    transfer = "rootless/storage/rootfs/archive_copy.py"
    by_name = (
        Change(transfer, "        try:\n            return kernel.calls.openat2(self.fd, target, "
               "flags, resolve=_INSIDE)\n        except FileNotFoundError:",
               "        try:\n            return os.open(target.lstrip('/') or '.', flags, "
               "dir_fd=self.fd)\n        except FileNotFoundError:"),
        Change(transfer, "        finally:\n            os.close(above)\n        return "
               "kernel.calls.openat2(self.fd, target, flags, resolve=_INSIDE)",
               "        finally:\n            os.close(above)\n        return "
               "os.open(target.lstrip('/') or '.', flags, dir_fd=self.fd)"),
    )  # fmt: skip
    engine(*by_name)("cp", "file", "box:/", code=None)
    assert [path.name for path in outside.iterdir()] == ["made"]
    engine()("rm", "box")
    engine()("volume", "rm", "vol")
