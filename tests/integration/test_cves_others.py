"""Further published confusions of engines: what images, archives and numbers can be made to mean;
as in test_cves_process.py."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from test_cves_engine import layout
from test_cves_mounts import BY_NAME, rootfs_of  # noqa: F401  (a fixture)
from test_storage import Layer, write_image
from weaken import Change, Engine, Variant, engine, variant  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("everyone")

IN_ROOT = "resolve=kernel.RESOLVE_IN_ROOT)"


def test_cve_2016_3697_a_number_that_is_a_name(
    engine: Engine,  # noqa: F811
    rootfs_of: Path,  # noqa: F811
) -> None:
    """The image names its root 1000."""
    (rootfs_of / "etc/passwd").write_text("1000:x:0:0::/:/bin/sh\n")
    words = ["run", "--rm", "--network", "none", "-u", "1000", "--rootfs", rootfs_of, "id", "-u"]
    assert engine()(*words).stdout == "1000\n"
    by_name = Change("rootless/engine/spec/user.py", "row[2 if user.isdigit() else 0] == user",
                     "user in (row[0], row[2])")  # fmt: skip
    assert engine(by_name)(*words).stdout == "0\n"


@pytest.mark.parametrize(
    ("cve", "path"), [("2017_16539", "/proc/scsi"), ("2018_10892", "/proc/acpi")]
)
def test_cve_what_of_proc_is_the_hosts(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    cve: str,
    path: str,
) -> None:
    """Also where this host has no such file: the plan is looked at."""
    words = ["run", "--dry-run", "--network", "none", busybox_image, "true"]

    def masked(*changes: Change) -> bool:
        lines = engine(*changes)(*words).stdout.splitlines()
        return any(path in line.split() for line in lines if " mask " in line)

    assert masked()
    assert not masked(Change("rootless/runtime/defaults.py", f'    "{path}",\n', ""))


@pytest.mark.parametrize("field", ["memoryPolicy", "execCPUAffinity"])
def test_cve_2018_20699_a_list_without_an_end(variant: Variant, field: str) -> None:  # noqa: F811
    """A range of numbers that fills the memory of who reads it."""

    def said(*changes: Change) -> str:
        runtime = variant(*changes)
        words = ["sh", "-c", 'ulimit -v 700000; exec "$@"', "sh"]
        runtime.command.words = [*words, *runtime.command.words]
        endless = "0-400000000"
        if field == "memoryPolicy":
            runtime.config["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": endless}
            return runtime.run("true", code=1).stderr
        runtime.create("c", "sleep", "1000")
        runtime("start", "c")
        process = {**runtime.config["process"], "args": ["true"], field: {"final": endless}}
        path = runtime.bundle / "process.json"
        path.write_text(json.dumps(process))
        return runtime("exec", "--process", path, "c", code=1).stderr

    assert f'{field}.{"nodes" if field == "memoryPolicy" else "final"}: "0-400000000"' in said()
    unbounded = (
        Change("rootless/runtime/process_attributes.py", " and len(last or first) < 6", ""),
        Change("rootless/runtime/process_attributes.py", "<= 8191:", "<= 1 << 40:"),
    )
    assert "MemoryError" in said(*unbounded)


def test_cve_2019_10152_a_link_to_the_host_is_copied_to(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    place: Place,
) -> None:
    outside = place.work / "outside"
    outside.mkdir()
    (place.work / "file").write_text("text")
    script = f"mkdir /t; ln -s {outside} /t/link; touch /ready; sleep 1000"
    engine()("run", "-d", "--name", "box", "--network", "none", busybox_image, "sh", "-c", script)
    while engine()("exec", "box", "test", "-e", "/ready", code=None).code:
        pass
    engine()("cp", "file", "box:/t/link/", code=None)
    assert not list(outside.iterdir())
    transfer = "rootless/storage/rootfs/archive_copy.py"
    by_name = (
        Change(transfer, "            fd = kernel.calls.openat2(\n                root.fd,\n"
               '                request["put"],\n                os.O_RDONLY | os.O_DIRECTORY | '
               "os.O_CLOEXEC,\n                resolve=_INSIDE,\n            )\n",
               '            fd = os.open(request["put"].lstrip("/"), os.O_RDONLY | os.O_DIRECTORY,'
               " dir_fd=root.fd)\n"),
        Change(transfer, "fd = kernel.calls.openat2(root.fd, path, flags, resolve=_INSIDE)",
               'fd = os.open(path.lstrip("/"), flags, dir_fd=root.fd)'),
    )  # fmt: skip
    engine(*by_name)("cp", "file", "box:/t/link/")
    assert [path.name for path in outside.iterdir()] == ["file"]


def test_cve_2020_1726_a_volume_in_use_is_not_overwritten(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_tar: Path,
) -> None:
    """What an image has at that place goes into an empty volume only."""
    layers = [busybox_tar.read_bytes(), Layer().add("data/file", b"of the image").bytes()]
    (place.base / "image").mkdir()
    image = engine()("pull", "-q", write_image(place.base / "image", layers)).stdout.split()[-1]
    script = ["sh", "-c", "echo mine >/v/file"]
    engine()("run", "--rm", "--network", "none", "-v", "vol:/v", image, *script)
    words = ["run", "--rm", "--network", "none", "-v", "vol:/data:ro", image, "cat", "/data/file"]
    assert engine()(*words).stdout == "mine\n"
    # the volume's record says that it was used, and its files do
    always = (
        Change("helpers/launch/copy_up.c", 'if (failed || (memcmp(word, "todo", WORD) != 0 && '
               'memcmp(word, "half", WORD) != 0)) {', "if (failed) {"),
        Change("helpers/launch/copy_up.c", 'if (!half && memcmp(word, "todo", WORD) != 0)',
               "if (0)"),
        Change("rootless/storage/volumes/store.py",
               'return "" if used else volume_record.path_of(directory)',
               "return volume_record.path_of(directory)"),
        Change("helpers/launch/copy_up.c", "if (!empty || from < 0)", "if (from < 0)"),
    )  # fmt: skip
    found = engine(*always)(*words, code=None)
    assert found.stdout != "mine\n"
    engine()("volume", "rm", "vol")


def test_cve_2021_43784_a_length_that_wraps(variant: Variant) -> None:  # noqa: F811
    """A value of the bundle so long that what follows it would be read as orders of ours."""

    def lengths(*changes: Change) -> list[str]:
        runtime = variant(*changes)
        runtime.config["process"]["env"] += ["LONG=" + "x" * 70000, "NEXT=1"]
        found = runtime.run("sh", "-c", "echo ${#LONG} $NEXT", code=None)
        return found.stdout.split()

    assert lengths() == ["70000", "1"]
    short = Change("rootless/runtime/plan_format.py", "body += len(data).to_bytes(4",
                   "body += (len(data) & 0xFFFF).to_bytes(4")  # fmt: skip
    assert lengths(short) != ["70000", "1"]


def test_cve_2022_23648_a_volume_of_the_image_that_leads_out(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_tar: Path,
) -> None:
    """What the image has at a VOLUME is copied up; the image names a place of the host."""
    secret = place.work / "secret"
    secret.mkdir()
    (secret / "file").write_text("the host's")
    place.work.chmod(0o755)

    def shown(*changes: Change) -> str:
        command = engine(*changes)
        path = place.base / f"image{len(changes)}"
        path.mkdir()
        link = Layer().symlink("out", str(secret)).bytes()
        image = command("pull", "-q", write_image(path, [busybox_tar.read_bytes(), link]))
        name = image.stdout.split()[-1]
        words = ["run", "--rm", "--network", "none", "-v", f"v{len(changes)}:/out"]
        command(*words, name, "true", code=None)
        words[-1] = f"v{len(changes)}:/x"
        return engine()(*words, name, "cat", "/x/file", code=None).stdout

    assert shown() == ""
    assert shown(*BY_NAME) == "the host's"


@pytest.mark.parametrize("cve", ["2021_32760", "2021_41089", "2025_47290"])
def test_cve_a_layer_that_writes_through_its_own_link(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_tar: Path,
    cve: str,
) -> None:
    outside = place.work / "outside"
    outside.mkdir(mode=0o700)

    def changed(*changes: Change) -> bool:
        path = place.base / f"image{len(changes)}"
        path.mkdir()
        layer = Layer().symlink("link", str(outside)).add("link/harm", b"x").bytes()
        name = write_image(path, [busybox_tar.read_bytes(), layer])
        engine(*changes)("pull", "-q", name, code=None)
        return bool(list(outside.iterdir()))

    assert not changed()
    unpack = "rootless/storage/layers/unpack.py"
    by_name = (
        Change(unpack, f"        try:\n            return kernel.calls.openat2(self.root, path, flags, {IN_ROOT}\n",  # noqa: E501
               "        try:\n            return os.open(path, flags, dir_fd=self.root)\n"),
    )  # fmt: skip
    assert changed(*by_name)


def test_cve_2024_3727_a_digest_that_is_a_path(engine: Engine, place: Place) -> None:  # noqa: F811
    """`sha256:../../file` as the digest of a layer."""
    secret = place.work / "secret"
    secret.write_bytes(bytes(1024))

    def said(digest: str, *changes: Change) -> str:
        path = layout(place.base / f"odd{len(changes)}{len(digest)}", "good")
        blobs = path / "blobs/sha256"
        index = json.loads((path / "index.json").read_text())
        name = index["manifests"][0]["digest"][7:]
        manifest = json.loads((blobs / name).read_text())
        manifest["layers"][0]["digest"] = digest
        data = json.dumps(manifest).encode()
        made = hashlib.sha256(data).hexdigest()
        (blobs / made).write_bytes(data)
        index["manifests"][0].update(digest=f"sha256:{made}", size=len(data))
        (path / "index.json").write_text(json.dumps(index))
        return engine(*changes)("pull", f"oci:{path}", code=None).stderr

    for digest in ("sha256:../../../../work/secret", "sha256:" + "G" * 64, "../x", "sha256:"):
        assert f"the digest '{digest}' is not sha256 and 64 hex digits" in said(digest)
    trusting = Change("rootless/images/formats/manifests.py",
                      "if not isinstance(digest, str) or not is_digest(digest):",
                      "if not isinstance(digest, str):")  # fmt: skip
    weak = said("sha256:../../../../work/secret", trusting)
    assert "is not sha256 and 64 hex digits" not in weak


@pytest.mark.parametrize("cve", ["2023_25153"])
def test_cve_a_document_without_an_end(engine: Engine, place: Place, cve: str) -> None:  # noqa: F811
    """An index of a gigabyte would have to fit into the memory."""

    def said(*changes: Change) -> str:
        path = layout(place.base / f"large{len(changes)}", "good")
        with open(path / "index.json", "r+b") as file:
            file.truncate(1 << 30)
        command = engine(*changes)
        words = ["sh", "-c", 'ulimit -v 700000; exec "$@"', "sh"]
        command.words = [*words, *command.words]
        try:
            return command("pull", f"oci:{path}", code=125).stderr
        finally:
            command.words = command.words[len(words) :]

    assert "MemoryError" not in said()
    endless = Change(
        "rootless/images/transports/layout_images.py",
        "return file.read(manifests.MAXIMUM + 1)", "return file.read()",
    )  # fmt: skip
    assert "MemoryError" in said(endless)


@pytest.mark.parametrize("cve", ["2021_20199"])
def test_cve_who_calls_a_published_port(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    cve: str,
) -> None:
    """A service that trusts its own loopback must not take the host's callers for it."""
    look = "while :; do netstat -tn; sleep 0.2; done"
    script = f"nc -l -p 8080 >/dev/null & sleep 1; touch /ready; {look}"

    def caller(*network: str) -> str:
        command = engine()
        name = "box" + str(len(network))
        command("run", "-d", "--name", name, *network, busybox_image, "sh", "-c", script)
        while command("exec", name, "test", "-e", "/ready", code=None).code:
            pass
        found: Any = command("port", name, code=None).stdout.split()
        host, _, port = (found[-1] if found else "127.0.0.1:8080").rpartition(":")
        with socket.create_connection((host.replace("0.0.0.0", "127.0.0.1"), int(port)), 10):
            end = time.monotonic() + 60
            while time.monotonic() < end:
                rows = [line.split() for line in command("logs", name).stdout.splitlines()]
                seen = [row[4] for row in rows if len(row) > 5 and row[3].endswith(":8080")]
                if seen:
                    break
                time.sleep(0.2)
        command("rm", "-f", name)
        return str(seen[-1]).removeprefix("::ffff:")

    assert not caller("--network", "slirp4netns", "-p", "127.0.0.1::8080").startswith("127.")
    # without a network of its own there is but one loopback
    assert caller("--network", "host").startswith("127.0.0.1:")
