"""Published escapes by way of the engine: copying, looking, images, its directories; as in
test_cves_process.py."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place
from weaken import Change, Engine, engine, variant  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.mark.parametrize("cve", ["2018_15664", "2019_18466"])
def test_cve_a_link_to_the_host_is_copied_from(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    place: Place,
    cve: str,
) -> None:
    """The end state of the exchange that test_cp.py races with."""
    (place.work / "secret").mkdir()
    (place.work / "secret/file").write_text("the host's")
    script = f"mkdir /t; ln -s {place.work}/secret /t/link; touch /ready; sleep 1000"
    engine()("run", "-d", "--name", "box", "--network", "none", busybox_image, "sh", "-c", script)
    while engine()("exec", "box", "test", "-e", "/ready", code=None).code:
        pass
    assert engine()("cp", "box:/t/link/file", "out", code=None).code != 0
    assert not (place.work / "out").exists()
    transfer = "rootless/storage/rootfs/archive_copy.py"
    by_name = (
        Change(transfer, 'fd = kernel.calls.openat2(root.fd, request["get"], flags, '
               "resolve=_INSIDE)",
               'fd = os.open(request["get"].lstrip("/"), flags, dir_fd=root.fd)'),
        Change(transfer, "fd = kernel.calls.openat2(root.fd, path, flags, resolve=_INSIDE)",
               'fd = os.open(path.lstrip("/"), flags, dir_fd=root.fd)'),
    )  # fmt: skip
    engine(*by_name)("cp", "box:/t/link/file", "out")
    assert (place.work / "out").read_text() == "the host's"


@pytest.fixture
def hostile(rootless: Command, busybox_tar: Path, place: Place) -> str:
    """An image in which every program and library that a tool could want leaves a mark."""
    root = place.base / "hostile"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", busybox_tar], check=True)
    for name in ("bin", "usr/bin", "usr/sbin", "lib/x86_64-linux-gnu"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "mark").mkdir()
    for name in ("bin/ps", "bin/tar", "bin/cp", "usr/bin/nsenter", "usr/bin/newuidmap", "bin/cat",
                 "usr/bin/python3", "usr/sbin/chroot", "bin/xz", "usr/bin/unpigz", "bin/zstd",
                 "lib/x86_64-linux-gnu/libnss_files.so.2",
                 "lib/x86_64-linux-gnu/libc.so.6"):  # fmt: skip
        (root / name).unlink(missing_ok=True)
        (root / name).write_text("#!/bin/busybox sh\n>/mark/${0##*/}\n")
        (root / name).chmod(0o755)
    made = place.base / "hostile.tar"
    subprocess.run(["tar", "-C", root, "-cf", made, "."], check=True)
    rootless("import", made, "hostile")
    rootless("run", "-d", "--name", "box", "--network", "none", "hostile", "sleep", "1000")
    return "box"


def marks(rootless: Command, box: str) -> list[str]:
    return rootless("exec", box, "/bin/busybox", "ls", "/mark").stdout.split()


@pytest.mark.parametrize(
    ("cve", "words", "program"),
    [
        ("2019_14271", ["cp", "box:/bin/tar", "-"], ["tar"]),
        ("2019_14271", ["cp", "file", "box:/file"], ["cp"]),
        ("2022_1227", ["top", "box"], ["ps"]),
        ("2022_1227", ["diff", "box"], ["nsenter"]),
        ("2026_41567", ["cp", "-", "box:/"], ["xz"]),
    ],
)
def test_cve_nothing_of_the_image_is_run_by_the_engine(
    rootless: Command, hostile: str, place: Place, cve: str, words: list[str], program: list[str]
) -> None:
    (place.work / "file").touch()
    # an archive that has to be decompressed
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz") as tar:
        tar.add(place.work / "file", "sent")
    rootless(*words, input=archive.getvalue())
    assert marks(rootless, hostile) == []
    # the marks work: asked to run one of these, it does
    rootless("exec", hostile, *program)
    assert marks(rootless, hostile) == program


def layout(directory: Path, config: Any, **more: Any) -> Path:
    """An OCI layout with one layer, this configuration, and `more` in its manifest."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        name = f"application/vnd.oci.image.{kind}"
        return {"mediaType": name, "digest": f"sha256:{digest}", "size": len(data)}

    layer = blob(bytes(10240), "layer.v1.tar")
    if config == "good":
        config = {"architecture": "amd64", "os": "linux", "config": {},
                  "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}  # fmt: skip
    manifest = {"schemaVersion": 2, "layers": [layer], **more,
                "config": blob(json.dumps(config).encode(), "config.v1+json")}  # fmt: skip
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    (directory / "index.json").write_text(
        json.dumps({"schemaVersion": 2, "manifests": [{**entry, "annotations": {
            "org.opencontainers.image.ref.name": "odd:1"}}]})
    )  # fmt: skip
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def test_cve_2021_41190_a_manifest_that_is_an_index_too(engine: Engine, place: Place) -> None:  # noqa: F811
    good = layout(place.base / "good", "good")
    engine()("pull", f"oci:{good}")
    odd = layout(place.base / "odd", "good", manifests=[])
    said = engine()("pull", f"oci:{odd}", code=125).stderr
    assert "a manifest and an index at once" in said
    either = Change(
        "rootless/images/formats/manifests.py",
        'if is_index and ("layers" in document or "config" in document):',
        "if False:",
    )
    said = engine(either)("pull", f"oci:{odd}", code=125).stderr
    assert "at once" not in said


@pytest.mark.parametrize("config", [None, [], 7, {"rootfs": None}, {"rootfs": {"diff_ids": None}}])
def test_cve_2021_21285_a_configuration_that_is_none(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_image: str,
    config: Any,
) -> None:
    """It crashed a daemon, and with it everybody's containers."""
    engine()("run", "-d", "--name", "other", busybox_image, "sleep", "1000")
    odd = layout(place.base / "odd", config)
    said = engine()("pull", f"oci:{odd}", code=125).stderr
    assert "error: the image" in said and "internal error" not in said, said
    assert engine()("ps", "-q").stdout.split()
    if config is None:
        trusting = Change(
            "rootless/images/formats/manifests.py",
            'if not isinstance(value, dict):\n        raise invalid("it is not a JSON object")\n',
            "pass\n",
        )
        assert "internal error" in engine(trusting)("pull", f"oci:{odd}", code=125).stderr


@pytest.mark.parametrize("cve", ["2021_41091", "2021_21284", "2021_41103", "2024_25621"])
def test_cve_2021_other_users_reach_nothing_of_a_container(
    engine: Engine,  # noqa: F811
    busybox_tar: Path,
    place: Place,
    cve: str,
) -> None:
    """A program with the setuid bit in an image or a container is nobody else's to start."""

    def reachable(*changes: Change) -> list[str]:
        command = engine(*changes)
        store = place.base / f"store{len(changes)}"
        where = ("--root", store)
        command(*where, "import", busybox_tar, "bb")
        words = ["busybox", "cp", "/bin/busybox", "/mine"]
        command(*where, "run", "--name", "box", "--network", "none", "bb", *words)
        # what of these a stranger could get to who knows their names
        found = []
        for top, names, files in os.walk(store):
            names[:] = [name for name in names if os.stat(f"{top}/{name}").st_mode & 0o001]
            found += [name for name in files if name in ("mine", "busybox")]
        passable = os.stat(store).st_mode & 0o001
        command(*where, "rm", "-f", "box")
        command(*where, "rmi", "-f", "bb")
        return found if passable else []

    assert reachable() == []
    open_to_all = Change(
        "rootless/paths.py",
        "ensure(path, 0o700, hint=_CHOOSE)",
        "ensure(path, 0o711, hint=_CHOOSE)",
    )
    assert reachable(open_to_all) != []
