"""Layers become a root file system: the same for every driver, whatever the archive holds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place, leftovers
from integration.registry import Layout

pytestmark = pytest.mark.usefixtures("everyone")

DRIVERS = ("overlay", "fuse-overlayfs", "python-fuse", "copy")


class Layer:
    """A tar that is made member by member."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()
        # closed by bytes()
        self.archive = tarfile.open(  # noqa: SIM115
            fileobj=self.buffer, mode="w", format=tarfile.PAX_FORMAT
        )

    def add(self, name: str, data: bytes = b"", **fields: Any) -> Layer:
        """A member; fields are those of tarfile.TarInfo."""
        member = tarfile.TarInfo(name)
        member.mode = 0o755 if fields.get("type") == tarfile.DIRTYPE else 0o644
        member.mtime = 1_600_000_000
        for key, value in fields.items():
            setattr(member, key, value)
        if member.isreg():
            member.size = len(data)
        self.archive.addfile(member, io.BytesIO(data))
        return self

    def directory(self, name: str, **fields: Any) -> Layer:
        """A directory."""
        return self.add(name, type=tarfile.DIRTYPE, **fields)

    def symlink(self, name: str, target: str) -> Layer:
        """A symbolic link."""
        return self.add(name, type=tarfile.SYMTYPE, linkname=target)

    def link(self, name: str, target: str) -> Layer:
        """A hard link."""
        return self.add(name, type=tarfile.LNKTYPE, linkname=target)

    def bytes(self) -> bytes:
        """The finished archive."""
        self.archive.close()
        return self.buffer.getvalue()


def write_image(path: Path, layers: list[bytes]) -> str:
    """An OCI layout with one image; its name for `pull`."""
    layout = Layout(path)
    described = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", **layout.blob(data)}
        for data in layers
    ]
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {
            "type": "layers",
            "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers],
        },
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            **layout.blob(json.dumps(config).encode()),
        },
        "layers": described,
    }
    entry = {"mediaType": manifest["mediaType"], **layout.blob(json.dumps(manifest).encode())}
    layout.add("image", entry)
    return f"oci:{path}:image"


@pytest.fixture
def make_image(rootless: Command, place: Place, busybox_tar: Path) -> Callable[..., str]:
    """Makes an image of busybox and further layers; returns its id."""

    def make(*layers: bytes) -> str:
        path = place.work / f"layout{len(os.listdir(place.work))}"
        path.mkdir()
        name = write_image(path, [busybox_tar.read_bytes(), *layers])
        return rootless("pull", "-q", name).stdout.split()[-1]

    return make


@pytest.fixture(params=DRIVERS)
def shell(request: pytest.FixtureRequest, rootless: Command) -> Iterator[Callable[..., str]]:
    """Runs a script in a new container of an image, with one of the drivers; its output."""

    def run(image: str, script: str) -> str:
        words = ["--storage-driver", request.param, "run", "--rm", "--network", "none", image]
        return rootless(*words, "sh", "-c", script).stdout

    yield run


def test_upper_layers_win(make_image: Callable[..., str], shell: Callable[..., str]) -> None:
    image = make_image(
        Layer().directory("d").add("d/kept", b"1").add("d/gone", b"1").add("changed", b"old")
        .directory("full").add("full/a").add("full/b").directory("tree").add("tree/x")
        .add("becomes-directory", b"f").directory("becomes-file").add("becomes-file/x").bytes(),
        Layer().add("d/.wh.gone").add("changed", b"new").add("full/.wh..wh..opq")
        .add("full/c").add(".wh.tree").directory("becomes-directory").add("becomes-directory/y")
        .add("becomes-file", b"now a file").bytes(),
        Layer().add("d/again", b"3").directory("tree").add("tree/z").bytes(),
    )  # fmt: skip
    script = (
        "ls d full tree becomes-directory; cat changed becomes-file; ls /.wh* d/.wh* full/.wh* 2>&1"
        " | grep -v 'No such file' | head"
    )
    assert shell(image, script) == (
        "becomes-directory:\ny\n\nd:\nagain\nkept\n\nfull:\nc\n\ntree:\nz\nnewnow a file"
    )


def test_kinds_modes_times_and_links(
    make_image: Callable[..., str], shell: Callable[..., str]
) -> None:
    long_name = "/".join(["n" * 100] * 8) + "/" + "m" * 255
    image = make_image(
        Layer().add("plain", b"text", mode=0o640).add("setuid", b"", mode=0o4755)
        .directory("sticky", mode=0o1777).directory("closed", mode=0o500).add("closed/in")
        .symlink("dangling", "/no/where").symlink("absolute", "/etc/passwd")
        .link("second", "plain").link("third", "/second").link("link-to-link", "dangling")
        .add("pipe", type=tarfile.FIFOTYPE, mode=0o600).add(long_name, b"deep")
        .add("name with \n newline", b"").add("Ünï", b"").add("-rf", b"").bytes(),
    )  # fmt: skip
    script = (
        "stat -c '%A %h %Y %n' plain second third setuid sticky closed pipe; readlink dangling;"
        "readlink absolute; readlink link-to-link; stat -c %i plain third | uniq | wc -l;"
        f'cat {long_name}; for f in Ünï ./-rf name*; do echo "$f"; done; test -p pipe && echo fifo'
    )
    assert shell(image, script) == (
        "-rw-r----- 3 1600000000 plain\n-rw-r----- 3 1600000000 second\n"
        "-rw-r----- 3 1600000000 third\n-rwsr-xr-x 1 1600000000 setuid\n"
        "drwxrwxrwt 2 1600000000 sticky\ndr-x------ 2 1600000000 closed\n"
        "prw------- 1 1600000000 pipe\n/no/where\n/etc/passwd\n/no/where\n1\n"
        "deepÜnï\n./-rf\nname with \n newline\nfifo\n"
    )


def _sparse(size: int, pieces: list[tuple[int, bytes]]) -> bytes:
    """A member in GNU's old sparse format, which tar -S writes; tarfile cannot write it."""
    header = bytearray(512)

    def put(at: int, text: bytes) -> None:
        header[at : at + len(text)] = text

    data = b"".join(piece for _, piece in pieces)
    put(0, b"sparse")
    put(100, b"0000644\0")
    put(108, b"0000000\0")
    put(116, b"0000000\0")
    put(124, b"%011o\0" % len(data))
    put(136, b"%011o\0" % 1_600_000_000)
    put(148, b" " * 8)
    put(156, b"S")
    put(257, b"ustar  \0")
    for number, (offset, piece) in enumerate(pieces):
        put(386 + 24 * number, b"%011o\0%011o\0" % (offset, len(piece)))
    put(483, b"%011o\0" % size)
    put(148, b"%06o\0 " % sum(header))
    return bytes(header) + data + b"\0" * (-len(data) % 512) + b"\0" * 1024


def test_sparse_files(make_image: Callable[..., str], shell: Callable[..., str]) -> None:
    size = 50_000_000
    image = make_image(_sparse(size, [(0, b"a" * 512), (20_000_256, b"b" * 512), (size, b"")]))
    script = (
        "stat -c %s sparse; test $(stat -c %b sparse) -lt 100 && echo sparse;"
        "head -c 512 sparse | tr -d a | wc -c;"
        "dd if=sparse bs=256 skip=78126 count=2 2>/dev/null | tr -d b | wc -c;"
        "tr -d '\\000ab' <sparse | wc -c; tr -d '\\000' <sparse | wc -c"
    )
    assert shell(image, script) == f"{size}\nsparse\n0\n0\n0\n1024\n"


def test_attributes_and_capabilities(
    make_image: Callable[..., str], rootless: Command, everyone: str
) -> None:
    # vfs_cap_data, version 2: cap_net_raw, permitted and effective
    capability = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0).decode("latin-1")
    image = make_image(
        Layer().add("ping", b"", pax_headers={"SCHILY.xattr.security.capability": capability})
        .add("noted", b"", pax_headers={"SCHILY.xattr.user.note": "worth having",
                                        "SCHILY.xattr.user.overlay.opaque": "y",
                                        "SCHILY.xattr.trusted.overlay.opaque": "y"})
        .bytes(),
    )  # fmt: skip
    rootless("create", "--name", "c", image, "true")
    record = json.loads(rootless("inspect", "c").stdout)[0]
    data = Path(record["GraphDriver"]["Data"]["LowerDir"].split(":")[0])
    names = os.listxattr(data / "noted")
    assert names == ["user.note"]
    assert os.getxattr(data / "noted", "user.note") == b"worth having"
    mapped = everyone == "mapped"
    if mapped:
        # seen from outside the kernel gives the namespaced form, version 3, with root's id
        found = os.getxattr(data / "ping", "security.capability")
        assert struct.unpack("<I", found[:4])[0] & 0xFF000000 == 0x03000000
        assert struct.unpack("<I", found[4:8])[0] == 1 << 13


def test_owners(make_image: Callable[..., str], shell: Callable[..., str],
                everyone: str) -> None:  # fmt: skip
    image = make_image(
        Layer().add("hers", b"", uid=1000, gid=2000, uname="other", mode=0o4711)
        .directory("his", uid=33, gid=33).add("last", b"", uid=65535, gid=65535).bytes(),
    )  # fmt: skip
    found = shell(image, "stat -c '%u:%g %a %n' hers his last")
    if everyone == "mapped":
        assert found == "1000:2000 4711 hers\n33:33 755 his\n65535:65535 644 last\n"
    else:
        assert found == "0:0 4711 hers\n0:0 755 his\n0:0 644 last\n"


def test_a_private_umask_closes_nothing(
    make_image: Callable[..., str], rootless: Command, everyone: str
) -> None:
    layer = Layer().add("not/told/of/file", b"x").add("setgid", b"", mode=0o2755)
    old = os.umask(0o077)
    try:
        image = make_image(layer.bytes())
    finally:
        os.umask(old)
    script = "stat -c %a not not/told not/told/of not/told/of/file setgid; cat not/told/of/file"
    who = ["--user", "1000:1000"] if everyone == "mapped" else []
    words = ["run", "--rm", "--network", "none", *who, image, "sh", "-c", script]
    assert rootless(*words).stdout.split() == ["755", "755", "755", "644", "2755", "x"]


@pytest.mark.parametrize(
    "driver", DRIVERS,
)  # fmt: skip
def test_changes_stay_in_the_container(rootless: Command, busybox_image: str, driver: str) -> None:
    words = ["--storage-driver", driver, "run", "--name", "one", "--network", "none"]
    rootless(*words, busybox_image, "sh", "-c",
             "echo changed >>/etc/passwd; rm /etc/group; mkdir /new; echo x >/new/file;"
             "chmod 700 /root")  # fmt: skip
    assert sorted(rootless("diff", "one").stdout.splitlines()) == [
        "A /new", "A /new/file", "C /etc", "C /etc/passwd", "C /root", "D /etc/group",
    ]  # fmt: skip
    fresh = rootless("--storage-driver", driver, "run", "--rm", busybox_image, "cat", "/etc/group")
    assert "root:x:0:" in fresh.stdout
    # started again it is as it was left
    rootless("cp", "one:/new/file", "-", code=0)
    rootless("rm", "one")


# ------------------------------------------------- archives that mean harm


def hostile() -> Iterator[tuple[str, bytes]]:
    """(what it tries, archive): each tries to write `harm` outside of its directory."""
    yield "dot dot", Layer().add("../../../../../../tmp/harm", b"x").bytes()
    yield "dot dot inside", Layer().directory("a").add("a/../../../harm", b"x").bytes()
    yield (
        "a link to a link",
        (Layer().symlink("l", "/").symlink("m", "l/tmp").add("m/harm", b"x").bytes()),
    )
    yield "an absolute link", Layer().symlink("l", "/tmp").add("l/harm", b"x").bytes()
    yield "a relative link", Layer().symlink("l", "../../../../tmp").add("l/harm", b"x").bytes()
    yield (
        "a hard link to the host",
        (Layer().link("h", "/etc/passwd-not-in-image").add("h", b"x").bytes()),
    )
    yield (
        "a hard link through a link",
        (Layer().symlink("l", "/etc").link("h", "l/hostname").bytes()),
    )
    yield "a file over a link", Layer().symlink("f", "/tmp/harm").add("f", b"x").bytes()
    yield "a whiteout of dot dot", Layer().directory("a").add("a/.wh...", b"").bytes()
    yield "a whiteout of dot", Layer().directory("a").add("a/.wh..", b"").bytes()
    yield (
        "an opaque marker in a link",
        (Layer().symlink("l", "/tmp").add("l/.wh..wh..opq", b"").bytes()),
    )
    yield "a whiteout in a link", Layer().symlink("l", "/tmp").add("l/.wh.harm-not", b"").bytes()
    yield (
        "a directory over a link",
        (Layer().symlink("l", "/tmp").directory("l").add("l/harm", b"x").bytes()),
    )
    yield (
        "a link over a directory with files",
        (Layer().directory("d").add("d/x").symlink("d", "/tmp").add("d/harm", b"x").bytes()),
    )
    yield "an absolute name", Layer().add("/tmp/harm", b"x").bytes()
    yield "a device", (Layer().add("dev/sda", type=tarfile.BLKTYPE, devmajor=8, devminor=0).bytes())


@pytest.mark.parametrize("archive", [pytest.param(a, id=n) for n, a in hostile()])
def test_nothing_is_written_outside(
    rootless: Command, place: Place, busybox_tar: Path, archive: bytes
) -> None:
    outside = {path: path.lstat().st_mtime_ns for path in (place.work, place.home)}
    sentinel = place.work / "sentinel"
    path = place.base / "layout"
    path.mkdir()
    name = write_image(path, [busybox_tar.read_bytes(), archive])
    found = rootless("pull", "-q", name, code=None)
    assert found.code in (0, 125), found
    assert found.code == 0 or found.stderr.startswith("error: "), found
    assert not Path("/tmp/harm").exists()
    assert not sentinel.exists()
    assert {p: p.lstat().st_mtime_ns for p in outside} == outside
    if found.code:
        # nothing half-unpacked stays, and the next one is not disturbed
        assert not list((place.data / "layers").glob("*/.tmp-*"))
    else:
        image = found.stdout.split()[-1]
        # inside, links lead to the container's own /tmp
        rootless("run", "--rm", "--network", "none", image, "true")


def _with_header(kind: bytes, size: int, rest: bytes = b"", field: bytes = b"") -> bytes:
    """A member header that promises `size` bytes, or has this in the field of the size."""
    header = bytearray(512)
    header[0:4] = b"name"
    header[100:108] = b"0000644\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[124:136] = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    header[124:136] = field or header[124:136]
    header[136:148] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + rest


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("half a header", b"x" * 300),
        ("no tar at all", os.urandom(4096)),
        ("a member cut short", Layer().add("f", b"y" * 5000).bytes()[:3000]),
        ("a checksum that is wrong", b"g" + Layer().add("f", b"y").bytes()[1:]),
        ("a long name of a gigabyte", _with_header(b"L", 1 << 30, b"n" * 4096)),
        ("a pax header of a gigabyte", _with_header(b"x", 1 << 30, b"n" * 4096)),
        ("a file of eight exabytes", _with_header(b"0", 1 << 63, b"n" * 4096)),
        ("a pax record without length", _with_header(b"x", 512, b"nonsense".ljust(512, b"\0"))),
        ("a pax record too long", _with_header(b"x", 512, b"999 path=x\n".ljust(512, b"\0"))),
        ("a negative size", _with_header(b"0", 0, b"n" * 512, field=b"-0000000007\0")),
        # an octal number to Python's int(), something else to other readers
        ("a size with a line in it", _with_header(b"0", 0, b"n" * 512, field=b"0000000_010\0")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_archive_is_a_sentence(
    rootless: Command, place: Place, what: str, data: bytes
) -> None:
    path = place.base / "layout"
    path.mkdir()
    found = rootless("pull", "-q", write_image(path, [data]), code=None)
    if found.code == 0:
        pytest.fail(f"{what}: was taken for an image")
    assert found.code == 125
    assert found.stderr.startswith("error: "), found
    assert "Traceback" not in found.stderr
    assert "internal error" not in found.stderr, found
    assert leftovers(place) == []
    assert not list((place.data / "layers").glob("*/*/fs"))


# ------------------------------------------------- volumes


# ------------------------------------------------- bad luck


def test_an_interrupted_unpacking_is_done_again(
    rootless: Command, place: Place, busybox_tar: Path
) -> None:
    layer = Layer()
    for number in range(3000):
        layer.add(f"files/{number:05}", b"data" * 100)
    path = place.base / "layout"
    path.mkdir()
    name = write_image(path, [busybox_tar.read_bytes(), layer.bytes()])
    for pause in (0.15, 0.25, 0.35):
        process = rootless.start("pull", "-q", name, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(pause)
        process.kill()
        process.wait()
    image = rootless("pull", "-q", name).stdout.split()[-1]
    count = rootless("run", "--rm", "--network", "none", image, "sh", "-c", "ls /files | wc -l")
    assert count.stdout == "3000\n"
    assert not list((place.data / "layers").glob("*/.tmp-*"))


def test_many_unpack_the_same_image_at_once(
    rootless: Command, place: Place, busybox_tar: Path
) -> None:
    layer = Layer()
    for number in range(300):
        layer.add(f"files/{number:05}", b"data")
    path = place.base / "layout"
    path.mkdir()
    name = write_image(path, [busybox_tar.read_bytes(), layer.bytes()])
    results: list[str] = []

    def pull() -> None:
        results.append(rootless("pull", "-q", name, timeout=200).stdout.split()[-1])

    threads = [threading.Thread(target=pull) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert len(set(results)) == 1
    run = rootless("run", "--rm", results[0], "sh", "-c", "ls /files | wc -l")
    assert run.stdout == "300\n"


def test_an_image_in_use_and_removed(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("create", "--name", "c", busybox_image, "cat", "/etc/group")
    refused = rootless("rmi", busybox_image, code=None)
    assert refused.code != 0
    assert "c" in refused.stderr
    rootless("start", "-a", "c")
    rootless("rm", "c")
    rootless("rmi", busybox_image)
    assert rootless("images", "-q").stdout == ""
    blobs = [p for p in (place.data / "content/blobs").rglob("*") if p.is_file()]
    assert blobs == []
    assert not list((place.data / "layers").glob("*/*/fs"))
