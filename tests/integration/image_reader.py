"""An independent reader of images: an OCI archive in, its configuration and files out.

It shares nothing with the program: the standard library's tar, and the rules of the image
specification (layer.md) written once more.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Node:
    """A file of an image."""

    kind: str
    mode: int
    owner: tuple[int, int]
    time: int
    content: bytes = b""
    link: str = ""
    same: str = ""


@dataclass
class Read:
    """An image."""

    config: dict[str, Any]
    manifest: dict[str, Any]
    files: dict[str, Node] = field(default_factory=dict)
    layers: list[list[tarfile.TarInfo]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)


def read_store(data: Path, digest: str) -> Read:
    """Read the image of a manifest in a data directory."""

    def blob(name: str) -> bytes:
        return (data / "content/blobs" / name.replace(":", "/")).read_bytes()

    manifest = json.loads(blob(digest))
    image = Read(json.loads(blob(manifest["config"]["digest"])), manifest)
    for layer in manifest["layers"]:
        _apply(image, blob(layer["digest"]))
    return image


def read_directory(path: Path) -> Read:
    """Read what skopeo and its kin write to dir:PATH."""
    manifest = json.loads((path / "manifest.json").read_bytes())

    def blob(digest: str) -> bytes:
        return (path / digest.partition(":")[2]).read_bytes()

    image = Read(json.loads(blob(manifest["config"]["digest"])), manifest)
    for layer in manifest["layers"]:
        _apply(image, blob(layer["digest"]))
    return image


def read_tar(path: Path) -> dict[str, Node]:
    """Read the files of one layer."""
    image = Read({}, {})
    _apply(image, path.read_bytes())
    return image.files


def read(path: Path) -> Read:
    """Read the first image of an OCI archive."""
    with tarfile.open(path) as archive:
        members = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }
    index = json.loads(members["index.json"])

    def blob(digest: str) -> bytes:
        return members["blobs/" + digest.replace(":", "/")]

    manifest = json.loads(blob(index["manifests"][0]["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    image = Read(config, manifest, blobs=members)
    for layer in manifest["layers"]:
        _apply(image, blob(layer["digest"]))
    return image


def _apply(image: Read, data: bytes) -> None:
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    found = []
    files = image.files
    with tarfile.open(fileobj=io.BytesIO(data)) as layer:
        for member in layer:
            found.append(member)
            name = "/" + member.name.removeprefix("./").strip("/")
            parent, _, last = name.rpartition("/")
            if last == ".wh..wh..opq":
                for path in [one for one in files if one.startswith(parent + "/")]:
                    del files[path]
                continue
            if last.startswith(".wh."):
                gone = f"{parent}/{last[4:]}"
                for path in [one for one in files if one == gone or one.startswith(gone + "/")]:
                    del files[path]
                continue
            if name == "/":
                continue
            if not member.isdir():
                for path in [one for one in files if one.startswith(name + "/")]:
                    del files[path]
            files[name] = _node(layer, member, files)
    image.layers.append(found)


def _node(layer: tarfile.TarFile, member: tarfile.TarInfo, files: dict[str, Node]) -> Node:
    owner = (member.uid, member.gid)
    common = (member.mode & 0o7777, owner, int(member.mtime))
    if member.isdir():
        return Node("/", *common)
    if member.issym():
        return Node("@", *common, link=member.linkname)
    if member.isfifo():
        return Node("|", *common)
    if member.islnk():
        target = "/" + member.linkname.removeprefix("./").strip("/")
        first = files[target]
        return Node("", first.mode, first.owner, first.time, first.content, same=target)
    stream = layer.extractfile(member)
    return Node("", *common, content=stream.read() if stream else b"")
