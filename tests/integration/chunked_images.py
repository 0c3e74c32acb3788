"""Images with tables of contents for tests: zstd:chunked by our own writer, eStargz by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from integration.registry import Layout, Registry

from rootless.chunked import places, writing, zstd

Files = dict[str, bytes]


def many_files(count: int, seed: int = 1) -> Files:
    """Files as programs have them: of 1 to 16 kB, half of which compresses away."""
    source = random.Random(seed)
    made = {}
    for number in range(count):
        data = source.randbytes(source.randint(500, 8000))
        made[f"usr/share/d{number % 40:02}/f{number:05}"] = data + data[::-1].hex().encode()[:4000]
    return made


def tar_of(files: Files, base: Path | None = None, *, mode: int = 0o644) -> bytes:
    """A tar of these files over the members of another (a root file system with programs)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        if base is not None:
            with tarfile.open(base) as old:
                for member in old:
                    tar.addfile(member, old.extractfile(member) if member.isreg() else None)
        for directory in sorted({str(parent) for name in files for parent in Path(name).parents}):
            if directory != ".":
                entry = tarfile.TarInfo(directory)
                entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, 1_700_000_000
                tar.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), mode, 1_700_000_000
            entry.uid = entry.gid = 0
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class Packed:
    """A layer: its bytes, media type and annotations."""

    def __init__(self, data: bytes, media_type: str, annotations: dict[str, str]) -> None:
        self.data = data
        self.media_type = "application/vnd.oci.image.layer.v1.tar+" + media_type
        self.annotations = annotations


def chunked(tar: bytes, level: int = 3) -> Packed:
    """zstd:chunked, by the writer of this project."""
    out = io.BytesIO()
    written = writing.write(io.BytesIO(tar), out, level=level)
    return Packed(out.getvalue(), "zstd", written.annotations)


def with_table(layer: Packed, change: Callable[[Any], None]) -> Packed:
    """A zstd:chunked layer whose table was changed, with annotations that fit."""
    found = places.of_blob(lambda at, count: layer.data[at : at + count], len(layer.data))
    assert found is not None
    start = found[0].start
    library = zstd.module()
    table = json.loads(library.decompress(layer.data[start + 8 : start + 8 + found[0].length]))
    change(table)
    plain = json.dumps(table).encode()
    packed = library.compress(plain)
    numbers = (start + 8, len(packed), len(plain), 1)
    footer = struct.pack("<7Q", *numbers, 0, 0, 0) + b"GNUlInUx"
    data = layer.data[:start]
    for part in (packed, footer):
        data += b"\x50\x2a\x4d\x18" + struct.pack("<I", len(part)) + part
    notes = {
        places.CHECKSUM: "sha256:" + hashlib.sha256(packed).hexdigest(),
        places.POSITION: ":".join(map(str, numbers)),
    }
    return Packed(data, "zstd", notes)


def plain_gzip(tar: bytes) -> Packed:
    """gzip, without a table."""
    return Packed(gzip.compress(tar, 1, mtime=0), "gzip", {})


def estargz(tar: bytes, chunk: int = 1 << 16) -> Packed:
    """eStargz (docs/estargz.md of containerd/stargz-snapshotter)."""
    out = io.BytesIO()
    entries: list[dict[str, Any]] = []
    pending = b""

    def flush() -> None:
        nonlocal pending
        if pending:
            out.write(gzip.compress(pending, 6, mtime=0))
        pending = b""

    position = 0
    kinds = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            pending += tar[position : member.offset_data]
            position = member.offset_data
            entry: dict[str, Any] = {
                "name": member.name, "type": kinds.get(member.type, "reg"), "mode": member.mode,
                "uid": member.uid, "gid": member.gid, "modtime": "2023-11-14T22:13:20Z",
            }  # fmt: skip
            if member.linkname:
                entry["linkName"] = member.linkname
            if not member.isreg() or not member.size:
                entries.append(entry)
                continue
            flush()
            content = tar[position : position + member.size]
            position += member.size
            entry["size"] = member.size
            entry["digest"] = "sha256:" + hashlib.sha256(content).hexdigest()
            for at in range(0, len(content), chunk):
                part = content[at : at + chunk]
                entry["offset"] = out.tell()
                entry["chunkDigest"] = "sha256:" + hashlib.sha256(part).hexdigest()
                if at:
                    entry["chunkOffset"] = at
                if at + chunk < len(content):
                    entry["chunkSize"] = len(part)
                entries.append(entry)
                entry = {"name": member.name, "type": "chunk"}
                out.write(gzip.compress(part, 6, mtime=0))
    while pending.endswith(bytes(512)):
        pending = pending[:-512]
    padding = tar[position : position + -position % 512]
    pending += padding
    flush()
    table = json.dumps({"version": 1, "entries": entries}).encode()
    offset = out.tell()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as index:
        info = tarfile.TarInfo("stargz.index.json")
        info.size = len(table)
        index.addfile(info, io.BytesIO(table))
    out.write(gzip.compress(buffer.getvalue(), 6, mtime=0))
    out.write(
        b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + b"\x1a\0" + b"SG\x16\0" + b"%016xSTARGZ" % offset
        + b"\x01\0\0\xff\xff" + bytes(8)
    )  # fmt: skip
    digest = "sha256:" + hashlib.sha256(table).hexdigest()
    return Packed(out.getvalue(), "gzip", {"containerd.io/snapshot/stargz/toc.digest": digest})


def layout(path: Path, tag: str, layers: list[Packed], *, plain: list[bytes]) -> Layout:
    """An OCI layout of one image with these layers, whose plain tars are `plain`."""
    made = Layout(path)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
        "rootfs": {
            "type": "layers",
            "diff_ids": ["sha256:" + hashlib.sha256(one).hexdigest() for one in plain],
        },
    }
    media_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            **made.blob(json.dumps(config).encode()),
        },
        "layers": [
            {
                "mediaType": layer.media_type,
                **made.blob(layer.data),
                "annotations": layer.annotations,
            }
            for layer in layers
        ],
    }
    made.add(tag, {"mediaType": media_type, **made.blob(json.dumps(manifest).encode())})
    return made


def push(
    registry: Registry,
    directory: Path,
    name: str,
    tars: list[bytes],
    pack: Callable[[bytes], Packed] = chunked,
) -> str:
    """An image of these layers, in the registry; its whole name."""
    directory.mkdir(parents=True)
    layers = [pack(tar) for tar in tars]
    if pack is estargz:
        # its table is a member of the tar
        tars = [gzip.decompress(layer.data) for layer in layers]
    layout(directory, "t", layers, plain=tars)
    return registry.push(f"oci:{directory}:t", name)


def sent(registry: Registry, since: int = 0) -> int:
    """Bytes of blobs that the registry sent, of the lines of its access log from `since` on."""
    total = 0
    for line in access(registry)[since:]:
        words = line.split('"')
        if words[1].startswith("GET") and "/blobs/" in words[1]:
            total += int(words[2].split()[1])
    return total


def access(registry: Registry) -> list[str]:
    """The lines of the access log."""
    log = (registry.directory / "log").read_text(errors="replace")
    return [line for line in log.splitlines() if '"' in line and " HTTP/" in line]
