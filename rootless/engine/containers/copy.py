"""`cp` and `diff`: a container's files seen from outside."""

from __future__ import annotations

import os

from rootless.engine.common import processes
from rootless.engine.spec import single_id
from rootless.errors import Conflict, NotFound, StorageError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef
    from rootless.userns.calls import Call
    from rootless.userns.idmap import IdMaps


def lowers(container: ContainerRef) -> list[str]:
    """Directories of its layers, topmost first."""
    if container.record.get("lowers"):
        return list(container.record["lowers"])
    from rootless.storage.layers.store import LayerStore

    layers = LayerStore(container.ctx.data_dir, container.storage_maps())
    found = layers.stack(container.record["layers"])
    return found or [os.path.join(container.directory, "empty")]


def _root(container: ContainerRef) -> Json:
    """The request that tells a worker how to come to the root directory (archive_copy.Root)."""
    pid, start = container.process()
    if pid:
        return {"pid": pid, "start": start}
    from rootless.engine.containers import rootfs as container_rootfs

    driver = container_rootfs.driver_of(container)
    binds = [
        [mount["Source"], mount["Destination"]]
        for mount in container.record["mounts"]
        if mount["Type"] in ("bind", "volume")
    ]
    request: Json = {"path": container_rootfs.path_of(container), "binds": binds}
    if driver.of_image:
        request["servers"] = _servers(container)
    if driver.layered:
        from rootless.storage.drivers.driver import RootMount

        mount = RootMount(driver, container.directory, lowers(container))
        request["mounts"] = [one.as_json() for one in driver.mounts(mount)]
    return request


def _servers(container: ContainerRef) -> Json:
    if container.record.get("nested"):
        from rootless.engine.containers import userns_nested

        return userns_nested.servers(container)
    return container.record.get("servers", [])


def _maps(container: ContainerRef) -> IdMaps:
    """For a worker that is given the files by their paths: who may not have the ids of storage
    itself cannot read them."""
    return container.storage_maps() if container.record.get("nested") else container.maps()


def _spawn(
    container: ContainerRef, function: str, request: Json, stdin: int | None, stdout: int | None
) -> Call:
    from rootless.userns import calls

    root = _root(container)
    if root.get("pid"):
        # the worker comes late: by then another container's process may have the pid
        process = _held(root["pid"], root["start"], container.name)
        try:
            return calls.spawn(
                function, {**root, **request, "process": process}, join_pid=root["pid"],
                maps=container.maps(), stdin=stdin, stdout=stdout, pass_fds=(process,),
            )  # fmt: skip
        finally:
            os.close(process)
    return calls.spawn(
        function, {**root, **request}, maps=_maps(container), mount_namespace=True,
        stdin=stdin, stdout=stdout,
    )  # fmt: skip


def _held(pid: int, start: int, name: str) -> int:
    """A descriptor of this very process in /proc.  Raises Conflict when it has ended."""

    try:
        fd = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        fd = -1
    if fd >= 0 and processes.start_time(pid) == start:
        return fd
    if fd >= 0:
        os.close(fd)
    raise Conflict(f"the container {name} has ended meanwhile", hint="try again")


def look(container: ContainerRef, path: str, *, follow: bool = True) -> Json:
    """What is at `path`: {"exists", "parent", "directory", "mode", "size", "mtime", "link"}."""
    request = {"look": _absolute(path), "follow": follow}
    return _spawn(
        container, "rootless.storage.rootfs.archive_copy:look_worker", request, None, None
    ).wait()


def _absolute(path: str) -> str:
    if not path:
        raise UsageError("the path in the container is empty", hint="CONTAINER:/PATH")
    return "/" + path.lstrip("/")


def get_archive(container: ContainerRef, path: str, out: int, *, follow: bool = False) -> Json:
    """Write what is at `path` as a tar stream to the descriptor `out`; {"files": count}.

    The top of the archive has the last component's name, `.` for a path that ends in `/.`.
    Raises NotFound.
    """
    shown = _absolute(path)
    last = shown.rstrip("/").rpartition("/")[2]
    request = {"get": shown, "name": last or ".", "follow": follow or shown.endswith("/")}
    function = "rootless.storage.rootfs.archive_copy:get_worker"
    return _spawn(container, function, request, None, out).wait()


def put_archive(
    container: ContainerRef,
    path: str,
    source: int,
    *,
    renamed: tuple[str, str] | None = None,
    keep_owner: bool = True,
    overwrite: bool = False,
) -> Json:
    """Unpack the tar stream, which may be compressed, of `source` below the directory `path`.

    `renamed` replaces the first component of the names; without `keep_owner` everything belongs to
    the container's root.  Raises NotFound, StorageError, Conflict.
    """
    maps = container.maps()
    request = {
        "put": _absolute(path),
        "renamed": list(renamed) if renamed else None,
        "owner": None if keep_owner else [0, 0],
        "single": maps.single,
        # one that a caller brings, as docker takes it; what `copy_in` makes never is
        "compressed": renamed is None,
        "overwrite": overwrite,
    }
    return _spawn(
        container, "rootless.storage.rootfs.archive_copy:put_worker", request, source, None
    ).wait()


def copy_in(
    container: ContainerRef,
    source: str,
    target: str,
    *,
    archive: bool = False,
    follow: bool = False,
    overwrite: bool = False,
) -> None:
    """Copy a file or directory of the host into the container, by docker-cp(1)'s rules.

    `overwrite`: a file may replace a directory, and a directory a file.
    """
    import tarfile
    import threading

    from rootless.storage.rootfs.archive_copy import Packer

    contents = source.endswith("/.") or source == "."
    flags = os.O_PATH | os.O_CLOEXEC | (0 if follow or source.endswith("/") else os.O_NOFOLLOW)
    try:
        fd = os.open(source, flags)
    except OSError as error:
        raise NotFound(f"cannot read {source}: {error.strerror}") from None
    directory = os.path.isdir(f"/proc/self/fd/{fd}")
    try:
        base, renamed = _destination(container, target, os.path.basename(os.path.abspath(source)),
                                     directory, contents, overwrite)  # fmt: skip
    except BaseException:
        os.close(fd)
        raise
    reading, writing = os.pipe()
    problem: list[BaseException] = []

    def pack() -> None:
        try:
            with (
                open(writing, "wb") as out,
                tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as made,
            ):
                Packer(made).add(fd, "top")
        except BrokenPipeError:
            pass  # the other side has failed and says why
        except OSError as error:
            problem.append(error)

    thread = threading.Thread(target=pack)
    thread.start()
    try:
        put_archive(container, base, reading, renamed=("top", renamed), keep_owner=archive,
                    overwrite=overwrite)  # fmt: skip
    finally:
        os.close(reading)
        thread.join()
    if problem:
        raise NotFound(f"cannot read {source}: {problem[0]}")


def _destination(
    container: ContainerRef,
    target: str,
    name: str,
    directory: bool,
    contents: bool,
    overwrite: bool,
) -> tuple[str, str]:
    """(directory to unpack in, new name of the top; "" for its contents alone)."""
    shown = f"{container.name}:{target}"
    target = _through_links(container, target)
    found = look(container, target)
    if found["exists"] and found["directory"]:
        return target, "" if contents and directory else name
    if found["exists"]:
        if directory and not overwrite:
            raise UsageError(f"cannot copy a directory over the file {shown}")
    elif not found["parent"]:
        raise NotFound(f"the directory of {shown} does not exist")
    elif target.endswith("/") and not directory:
        raise NotFound(f"the directory {shown} does not exist")
    parent, _, last = _absolute(target).rstrip("/").rpartition("/")
    if last in (".", ".."):
        raise NotFound(f"the directory {shown} does not exist")
    return parent or "/", last


def _through_links(container: ContainerRef, path: str) -> str:
    """Where a link that is there leads, within the container's root; it may lead to nothing yet.

    docker-cp(1) writes to a link's target.  The container may exchange links all the while, so
    this only chooses a path: whoever uses it has the kernel resolve it below the root again.
    """
    for _ in range(_LINKS):
        found = look(container, path, follow=False)
        link = found.get("link")
        if not link:
            return path
        # not normalized: what .. means, the kernel knows better where a directory is a link
        path = link if link.startswith("/") else f"{os.path.dirname(path) or '/'}/{link}"
    raise StorageError(f"{container.name}:{path} leads through too many symbolic links")


_LINKS = 40  # as the kernel follows, path_resolution(7)


def copy_out(
    container: ContainerRef,
    path: str,
    target: str,
    *,
    archive: bool = False,
    follow: bool = False,
    overwrite: bool = False,
) -> None:
    """Copy what is at `path` in the container to the host, by docker-cp(1)'s rules.

    `overwrite`: as with `copy_in`.
    """
    from rootless.storage.rootfs import archive_copy

    found = look(container, path, follow=follow or path.endswith("/"))
    if not found["exists"]:
        raise NotFound(f"there is no {path} in the container {container.name}")
    name = os.path.basename(_absolute(path).rstrip("/").removesuffix("/.")) or container.name
    contents = path.endswith("/.") or path == "."
    target = _own_link(target)
    if os.path.isdir(target):
        base, renamed = target, "" if contents and found["directory"] else name
    elif os.path.exists(target) and found["directory"] and not overwrite:
        raise UsageError(f"cannot copy a directory over the file {target}")
    else:
        if target.endswith("/") and not found["directory"]:
            raise NotFound(f"the directory {target} does not exist")
        base = os.path.dirname(os.path.abspath(target))
        renamed = os.path.basename(os.path.abspath(target))
        if not os.path.isdir(base):
            raise NotFound(f"the directory {base} does not exist")
    directory = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    reading, writing = os.pipe()
    request = {"get": _absolute(path), "name": "top", "follow": follow or path.endswith("/")}
    running = _spawn(
        container, "rootless.storage.rootfs.archive_copy:get_worker", request, None, writing
    )
    os.close(writing)
    try:
        # what the container sends is as hostile as an image: the same unpacker takes it
        archive_copy.put(
            directory,
            reading,
            {"single": True, "renamed": ["top", renamed], "overwrite": overwrite},
        )
    finally:
        os.close(reading)
        running.wait()


def _own_link(target: str) -> str:
    """Where a link of the host leads, if the kernel lets us follow it (fs.protected_symlinks)."""
    if not os.path.islink(target):
        return target
    try:
        os.stat(target)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageError(f"cannot follow {target}: {error.strerror}") from None
    return os.path.realpath(target)


def diff(container: ContainerRef) -> list[tuple[str, str]]:
    """(kind, path) pairs: A added, C changed, D deleted; mount points of ours are left out."""
    from rootless.engine.containers import rootfs as container_rootfs
    from rootless.userns import calls

    driver = container_rootfs.driver_of(container)
    if not driver.of_image:
        raise UsageError("a container of --rootfs has no image to compare with")
    request: Json = {"lowers": lowers(container)}
    # those of layers only: beside a running container there may be no second one for the whole
    whole = os.path.join(container.directory, "merged")
    below = [one for one in container.record.get("servers", ()) if one[1] != whole]
    if below:
        request["servers"] = below
    if not driver.layered:
        function = "rootless.storage.rootfs.diff:compare_worker"
        request["merged"] = os.path.join(container.directory, "merged")
    else:
        function = "rootless.storage.rootfs.diff:diff_worker"
        request["upper"] = os.path.join(container.directory, "upper")
    found = calls.call(
        function, request, maps=_maps(container), mount_namespace="servers" in request
    )
    return without_ours(found, places(container))


def places(container: ContainerRef) -> set[str]:
    """Paths that are there because a container is made of it, and that no process has changed."""
    ours = {mount["destination"] for mount in container.config()["mounts"]}
    return ours | {"/dev", "/proc", "/sys", "/etc/mtab", *single_id.files(container.maps())}


def without_ours(found: list[tuple[str, str]], ours: set[str]) -> list[tuple[str, str]]:
    """Changes without those at `ours`."""
    changed = [
        (kind, path)
        for kind, path in found
        if path not in ours and not path.startswith(("/dev/", "/proc/", "/sys/"))
    ]
    return _without_bare_parents(changed, ours)


def _without_bare_parents(changed: list[tuple[str, str]], ours: set[str]) -> list[tuple[str, str]]:
    """A directory that is in the upper only because of something of ours below did not change."""
    parents: set[str] = set()
    for path in ours:
        while path := path.rpartition("/")[0]:
            parents.add(path)
    kept: list[tuple[str, str]] = []
    # what is below comes first, so that a directory of nothing but such directories goes as well
    for kind, path in sorted(changed, key=lambda one: one[1], reverse=True):
        below = path + "/"
        if path not in parents or kind == "D" or any(one.startswith(below) for _, one in kept):
            kept.append((kind, path))
    return sorted(kept, key=lambda one: one[1])
