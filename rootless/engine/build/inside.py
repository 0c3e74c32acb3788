"""The far end of `workers`: a process in the user and mount namespace of a build.

Scope: mounts what a request names, calls one function, unmounts, answers; one request at a time.
It is root of a namespace that has the ids of the layers, and nothing that comes out of an image
runs here: functions open an image's files below a descriptor of its top.
"""

from __future__ import annotations

import os
import socket

from rootless import documents, kernel
from rootless.errors import StorageError
from rootless.storage.rootfs import fuse_session as serving

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from rootless.build.copying import Copier
    from rootless.documents import Json


def serve(request: Json) -> Json:
    """{"channel": descriptor of a stream socket}: answer until it is closed."""
    channel = socket.socket(fileno=request["channel"])
    served = 0
    while True:
        head, descriptors = _receive(channel)
        if head is None:
            return served
        try:
            answer = {"answer": _carry_out(head, descriptors)}
        except BaseException as error:
            from rootless.userns import worker

            answer = {"error": worker.described(error, head.get("function", ""))}
        finally:
            for fd in descriptors:
                os.close(fd)
        served += 1
        data = documents.dumps(answer).encode()
        channel.sendall(len(data).to_bytes(8, "little") + data)


def _receive(channel: socket.socket) -> tuple[Json, list[int]]:
    head, descriptors, _, _ = socket.recv_fds(channel, 8, 4)
    if not head:
        return None, []
    wanted = 8
    data = head
    while len(data) < wanted:
        part = channel.recv(wanted - len(data))
        if not part:
            return None, list(descriptors)
        data += part
    size = int.from_bytes(data, "little")
    parts = []
    while size:
        part = channel.recv(min(size, 1 << 20))
        if not part:
            return None, list(descriptors)
        parts.append(part)
        size -= len(part)
    return documents.loads(b"".join(parts).decode()), list(descriptors)


def _carry_out(head: Json, descriptors: list[int]) -> Json:
    """{"function", "request", "mounts": [[operation…]…], "servers", "unmount": [path…]}."""
    from importlib import import_module

    module, _, name = head["function"].partition(":")
    function = getattr(import_module(module), name)
    request = head["request"]
    saved = -1
    if descriptors:
        # for functions that write an archive to standard output
        saved = os.dup(1)
        os.dup2(descriptors[0], 1)
        os.close(descriptors.pop(0))
    mounted: list[str] = []
    try:
        with serving.Servers(head.get("servers") or ()):
            try:
                for operations in head.get("mounts") or ():
                    _mount(operations, mounted)
                return function(request)
            finally:
                for path in reversed(mounted):
                    kernel.calls.umount2(path, kernel.MNT_DETACH)
    finally:
        if saved >= 0:
            os.dup2(saved, 1)
            os.close(saved)


def _mount(operations: Json, mounted: list[str]) -> None:
    """The operations of a launch plan that make a root file system, carried out here."""
    for name, arguments in operations:
        if name == "host-chdir":
            os.chdir(arguments[0])
        elif name == "host-mount":
            source, target, kind, flags, data = arguments
            try:
                kernel.calls.mount(source, target, kind, int(flags), data)
            except OSError as error:
                raise StorageError(
                    f"cannot mount the files of a stage at {target}: "
                    f"{(error.strerror or '').lower()}"
                ) from None
            mounted.append(target)
        else:
            raise StorageError(f"the operation {name} is not known here")


def remove_worker(request: Json) -> Json:
    """{"paths"}: remove trees, whoever owns what is in them.  Returns those that are left."""
    from rootless.storage.trees import remove as removing

    left = []
    for path in request["paths"]:
        parent, name = os.path.split(path)
        try:
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            removing.remove_tree(fd, name)
        except FileNotFoundError:
            pass
        except OSError:
            left.append(path)
        finally:
            os.close(fd)
    return left


def unpack(fd: int, copier: Copier, destination: str) -> bool:
    """ADD of an archive into a directory of a stage; False, and nothing done, if it is none.

    Directories that are there keep their owner and mode.  Raises StorageError.
    """
    from rootless.storage.layers import decompress as streams
    from rootless.storage.layers.unpack import Unpacker

    path = f"/proc/self/fd/{fd}"
    with open(path, "rb") as file:
        if not is_archive(file):
            return False
    # opened again: what decompresses reads ahead in a thread
    with open(path, "rb") as file:
        target = copier.directory(destination, moded=False)
        stream = streams.Hashed(streams.decompressed(file))
        unpacker = Unpacker(target, single=copier.single, layer=False, owner=copier.owner)
        unpacker.keeps_directories = True
        base = copier.path_of(destination)

        def note(path: str, uid: int, gid: int) -> None:
            copier.note(f"{base}/{path}" if base else path, copier.owner or (uid, gid))

        if copier.single:
            unpacker.on_owner = note
        umask = os.umask(0o022)
        try:
            unpacker.run(stream.read)
            stream.drain()
        except OSError as error:
            raise StorageError(
                f"cannot unpack an archive into {destination}: "
                f"{(error.strerror or str(error)).lower()}"
            ) from None
        finally:
            os.umask(umask)
            unpacker.close()
            stream.close()
        return True


def is_archive(file: BinaryIO) -> bool:
    """Whether an open file is a tar archive, plain or compressed, by its first bytes."""
    from rootless.storage.layers import decompress as streams

    try:
        stream = streams.decompressed(file)
        block = b""
        while len(block) < 512 and (part := stream.read(512 - len(block))):
            block += bytes(part)
    except Exception:
        # each decompressor has errors of its own, and what it cannot read is copied as it is
        return False
    return looks_like_tar(block)


def looks_like_tar(block: bytes) -> bool:
    """Whether a block is a header of a tar archive with a right sum."""
    if len(block) < 512 or not block.strip(b"\0"):
        return False
    try:
        wanted = int(block[148:156].strip(b"\0 "), 8)
    except ValueError:
        return False
    return sum(block[:148]) + 8 * 32 + sum(block[156:512]) == wanted
