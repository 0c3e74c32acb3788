"""What a file system has to do, as a program that can be pointed at any directory.

    filesystem.py DIRECTORY                       fills it, and checks it where it is
    filesystem.py --driver NAME DIRECTORY         layers below it, put together by a driver
    filesystem.py --interoperate A,B DIRECTORY    changed by driver A, read by driver B

Prints a JSON object: name of the check -> "" or what failed; what failed is told on standard error
as well, with exit status 1, where DIRECTORY itself is checked.  With a driver it runs as root of
a user and mount namespace (`rootless unshare`).  Each check has a directory of its own, with what
`content` puts there: in a driver's case in two lower layers.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from integration import filesystem_attributes, filesystem_checks
from integration.filesystem_checks import CHECKS, THE_PAST

assert filesystem_attributes  # its checks are in CHECKS as well


def content(layers: tuple[Path, Path]) -> None:
    """What every check finds in its directory.  `layers`: upper one and lower one, or twice one."""
    upper, lower = layers
    for name in CHECKS:
        for layer in {upper, lower}:
            (layer / name).mkdir()
        low, high = lower / name, upper / name
        (low / "file").write_bytes(b"text\n")
        (low / "big").write_bytes(bytes(range(256)) * 2048)
        (low / "tree/deep/er").mkdir(parents=True)
        (low / "tree/deep/er/leaf").write_text("leaf")
        (low / "tree/one").write_text("1")
        (high / "tree").mkdir(exist_ok=True)
        (high / "tree/two").write_text("2")
        (high / "plain").mkdir()
        (high / "plain/in").write_text("in")
        (low / "empty").mkdir()
        (low / "link").symlink_to("file")
        (low / "away").symlink_to("/etc")
        (low / "first").write_text("linked")
        os.link(low / "first", low / "second")
        os.mkfifo(low / "pipe", 0o640)
        (low / "private").write_text("secret")
        (low / "private").chmod(0o4600)
        (low / "sparse").touch()
        os.truncate(low / "sparse", 10_000_000)
        for path in ("file", "big", "tree/one", "private"):
            os.utime(low / path, (THE_PAST, THE_PAST))


# ------------------------------------------------- running them


def run(root: Path) -> dict[str, str]:
    """All checks below `root`."""
    made = {}
    for name, act in CHECKS.items():
        try:
            act(root / name)
            made[name] = ""
        except BaseException:
            made[name] = traceback.format_exc()
    return made


def snapshot(root: Path) -> dict[str, list[Any]]:
    """Everything that a tree shows."""
    made = {}
    for directory, names, files in os.walk(root):
        for name in sorted(names + files):
            path = os.path.join(directory, name)
            found = os.lstat(path)
            line: list[Any] = [oct(found.st_mode), found.st_uid, found.st_gid]
            if stat.S_ISREG(found.st_mode):
                with open(path, "rb") as file:
                    line += [hashlib.sha256(file.read()).hexdigest()[:16], int(found.st_mtime)]
                line.append({one: os.getxattr(path, one).hex() for one in os.listxattr(path)})
            elif stat.S_ISLNK(found.st_mode):
                line.append(os.readlink(path))
            made[os.path.relpath(path, root).encode("utf-8", "backslashreplace").decode()] = line
    return made


def mounted(driver: str, base: Path, layers: list[Path], act: Callable[[Path], Any]) -> Any:
    """What `act` returns for a union of the layers; its directories are below `base`."""
    from rootless import kernel
    from rootless.storage.drivers import copy_layers, registry
    from rootless.storage.drivers.driver import RootMount
    from rootless.storage.rootfs import fuse_session

    how = registry.get(driver)
    mount = RootMount(how, str(base), [str(one) for one in layers])
    for name in (mount.merged, mount.upper, mount.work):
        os.makedirs(name, 0o755, exist_ok=True)
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    if not how.layered:
        copy_layers.copy_worker(
            {"layers": list(reversed(mount.lowers)), "target": mount.merged,
             "single": not filesystem_checks.MANY_IDS}
        )  # fmt: skip
        return act(Path(mount.merged))
    server = how.server(mount)
    with fuse_session.Servers([server.as_json()] if server else []):
        try:
            for kind, target, data, start in [one.as_json() for one in how.mounts(mount)]:
                os.chdir(start)
                kernel.calls.mount(kind, target, kind, 0, data)
            return act(Path(mount.merged))
        finally:
            os.chdir("/")
            kernel.calls.umount2(mount.merged, 2)


def main(words: list[str]) -> None:
    """The program."""
    filesystem_checks.MANY_IDS = (
        int(Path("/proc/self/uid_map").read_text().split()[-1]) > 2000 and os.geteuid() == 0
    )
    base = Path(words[-1])
    if len(words) == 1:
        if not base.is_dir():
            raise SystemExit(f"error: {base} is not a directory")
        content((base, base))
        found = run(base)
        print(json.dumps(found))
        failed = [f"--- {name}\n{text}" for name, text in found.items() if text]
        if failed:
            raise SystemExit("\n".join(failed))
        return
    layers = [base / "layer1", base / "layer0"]
    for one in layers:
        one.mkdir()
    content((layers[0], layers[1]))
    names = words[1].split(",")
    # the kernel's own readers of a lower layer's file keep to that
    filesystem_checks.LOCAL = names[0] != "overlay"
    results: dict[str, str] = mounted(names[0], base, layers, run)
    if len(names) == 2:
        one = mounted(names[0], base, layers, snapshot)
        other = mounted(names[1], base, layers, snapshot)
        problems = [
            f"{path}: {one.get(path)} / {other.get(path)}"
            for path in sorted({*one, *other})
            if one.get(path) != other.get(path)
        ]
        results["interoperate"] = "\n".join(problems)
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1:])
