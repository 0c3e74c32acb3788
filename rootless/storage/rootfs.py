"""A container's root file system: its directories, reading from it, removing it."""

from __future__ import annotations

import os
import stat

from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.storage.drivers import Choice
    from rootless.userns.idmap import IdMaps


class RootMount:
    """What is to be mounted: `lowers` (topmost first), `upper`, `work`, at `merged`.

    `volatile`: nothing is ever written through to the disk, not even when a program in the
    container asks for it; only for what is removed at its end, and never mounted twice.
    """

    __slots__ = (
        "driver",
        "gidmapping",
        "lowers",
        "merged",
        "options",
        "uidmapping",
        "upper",
        "volatile",
        "work",
    )

    def __init__(
        self, driver: str, directory: str, lowers: list[str], *, volatile: bool = False
    ) -> None:
        self.driver = driver
        self.volatile = volatile
        self.lowers = lowers
        self.upper = os.path.join(directory, "upper")
        self.work = os.path.join(directory, "work")
        self.merged = os.path.join(directory, "merged")
        self.options = "userxattr,volatile" if volatile else "userxattr"
        self.uidmapping = self.gidmapping = ""


def prepare(
    container_dir: str, layer_dirs: list[str], choice: Choice, *, volatile: bool = False
) -> RootMount:
    """Make the directories (for `copy`, the whole copy).  Raises StorageError."""
    mount = RootMount(choice.name, container_dir, layer_dirs, volatile=volatile)
    mount.uidmapping, mount.gidmapping = choice.remap
    try:
        mode = stat.S_IMODE(os.stat(layer_dirs[0]).st_mode) if layer_dirs else 0o755
        if not layer_dirs:
            empty = os.path.join(container_dir, "empty")
            os.mkdir(empty, 0o755)
            mount.lowers = [empty]
        os.mkdir(mount.merged, 0o755)
        if choice.name != "copy":
            os.mkdir(mount.upper, 0o755)
            # the upper directory is the root of the container, and looks like the image's
            os.chmod(mount.upper, mode)
            os.mkdir(mount.work, 0o755)
    except OSError as error:
        raise StorageError(
            f"cannot prepare {container_dir}: {error.strerror}", hint="the disk may be full"
        ) from None
    return mount


def copy_layers(mount: RootMount, maps: IdMaps) -> None:
    """For the driver `copy`: the layers one over the other."""
    from rootless.userns import calls

    calls.call(
        "rootless.storage.copying:copy_worker",
        {"layers": list(reversed(mount.lowers)), "target": mount.merged, "single": maps.single},
        maps=maps,
    )


def give(paths: list[str], uid: int, gid: int, maps: IdMaps) -> None:
    """Change the owner of our own directories to ids of the map `maps`."""
    from rootless.userns import calls

    calls.call(
        "rootless.storage.copying:give_worker", {"paths": paths, "uid": uid, "gid": gid}, maps=maps
    )


def read_file(mount: RootMount, path: str, limit: int = 1 << 20) -> bytes | None:
    """The content of a file as the union shows it, without mounting it; None if there is none.

    Each layer is asked from the top; inside a layer the kernel resolves below that layer's own
    directory, so a link of the image's making leads nowhere else.
    """
    layers = mount.lowers if mount.driver != "copy" else [mount.merged]
    for layer in (mount.upper, *layers) if mount.driver != "copy" else layers:
        try:
            return read_below(layer, path, limit)
        except FileNotFoundError:
            continue
        except OSError:
            return None  # a whiteout, or a file that its owner keeps to himself
    return None


def read_below(root: str, path: str, limit: int = 1 << 20) -> bytes | None:
    """The beginning of a regular file below `root`; None for anything else.  Raises OSError.

    The tree may be a stranger's: a link may lead to a file of the person's own, or to a pipe or a
    device that never ends (CVE-2024-9676).
    """
    from rootless import kernel

    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = kernel.calls.openat2(
            top,
            path,
            os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK,
            resolve=kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_MAGICLINKS,
        )
    finally:
        os.close(top)
    try:
        return os.read(fd, limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def remove(directory: str, maps: IdMaps) -> bool:
    """Remove a tree, first as ourselves, then with the ids of the map; whether it is gone."""
    if _plainly(directory):
        return True
    from rootless.userns import calls

    calls.call("rootless.storage.unpack:remove_worker", {"path": directory}, maps=maps)
    return not os.path.lexists(directory)


def _plainly(path: str) -> bool:
    """Remove what needs no other id."""
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        pass
    try:
        os.rmdir(path)
        return True
    except OSError:
        pass
    try:
        names = os.listdir(path)
    except OSError:
        return False
    done = True
    for name in names:
        done = _plainly(os.path.join(path, name)) and done
    try:
        os.rmdir(path)
    except OSError:
        return False
    return done
