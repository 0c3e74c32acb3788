"""Published escapes by way of mounts and paths, as in test_cves_process.py."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import Place
from test_runtime import Runtime
from weaken import Change, Engine, Variant, engine, variant  # noqa: F401  (fixtures)

from rootless.kernel import calls
from rootless.kernel.constants import AT_FDCWD, RENAME_EXCHANGE

pytestmark = pytest.mark.usefixtures("everyone")

# names are resolved as any program would, links of the image included
BY_NAME = (
    Change("helpers/launch/mounts.c", ".resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,",
           ".resolve = 0,"),
    Change("helpers/launch/mounts.c",
           "    do\n        fd = (int)syscall(SYS_openat2, plan->root,",
           "    path += strspn(path, \"/\");\n"
           "    path = *path ? path : \".\";\n"
           "    do\n        fd = (int)syscall(SYS_openat2, plan->root,"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("cve", "kind"),
    [
        ("2021_30465", "directory"),
        ("2024_45310", "file"),
        ("2017_1002101", "rw"),
        ("2019_18837", "directory"),
        ("2025_24965", "file"),
    ],
)
def test_cve_a_mount_point_that_is_a_link(
    variant: Variant,  # noqa: F811
    cve: str,
    kind: str,
) -> None:
    """A link of the image's in the way of a mount makes or covers nothing of the host's."""

    def made_outside(runtime: Runtime) -> bool:
        outside = runtime.bundle / "outside"
        outside.mkdir()
        (runtime.bundle / "rootfs/vol").symlink_to(outside)
        source = runtime.bundle / ("file" if kind == "file" else "dir")
        source.touch() if kind == "file" else source.mkdir()
        runtime.config["mounts"].append(
            {"destination": "/vol/made", "source": str(source), "type": "bind", "options": ["bind"]}
        )
        runtime.run("true", code=None)
        return (outside / "made").exists()

    assert not made_outside(variant())
    assert made_outside(variant(*BY_NAME))


def test_cve_2021_30465_exchanged_while_it_is_looked_up(variant: Variant) -> None:  # noqa: F811
    """Another container with the same volume exchanges a directory for a link all the time."""

    def made_outside(runtime: Runtime) -> bool:
        outside, rootfs = runtime.bundle / "outside", runtime.bundle / "rootfs"
        outside.mkdir()
        (rootfs / "vol").mkdir()
        (rootfs / "link").symlink_to(outside)
        runtime.config["mounts"].append({"destination": "/vol/made", "type": "tmpfs"})
        stop = threading.Event()

        def exchange() -> None:
            one, other = str(rootfs / "vol"), str(rootfs / "link")
            while not stop.is_set():
                calls.renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)
                time.sleep(0.0002)

        thread = threading.Thread(target=exchange)
        thread.start()
        try:
            for _ in range(15):
                runtime.run("true", code=None)
                if (outside / "made").exists():
                    return True
            return False
        finally:
            stop.set()
            thread.join()

    assert not made_outside(variant())
    assert made_outside(variant(*BY_NAME))


def no_dev(runtime: Runtime) -> None:
    """A /dev that another container can write to, whose null is a link."""
    config = runtime.config
    config["mounts"] = [one for one in config["mounts"] if one["destination"][:4] != "/dev"]
    config["mounts"].append({"destination": "/dev", "source": "rootfs/dev", "options": ["bind"]})
    (runtime.bundle / "rootfs/etc/mine").write_text("the attacker's")
    (runtime.bundle / "rootfs/dev/null").symlink_to("/etc/mine")


def test_cve_2025_31133_the_null_device_is_a_link(variant: Variant) -> None:  # noqa: F811
    script = "stat -c %F /proc/keys; cat /proc/keys"

    def masked(runtime: Runtime) -> str:
        no_dev(runtime)
        runtime.config["linux"]["maskedPaths"] = ["/proc/keys"]
        return runtime.sh(script)

    assert masked(variant()) == "character special file\n"
    of_the_image = Change(
        "helpers/launch/masks.c",
        'cover = open_tree(plan->null_device, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | '
        "OPEN_TREE_CLOEXEC);",
        'cover = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);',
    )
    assert "the attacker's" in masked(variant(of_the_image))


def test_cve_2025_52565_the_console_by_its_name(variant: Variant) -> None:  # noqa: F811
    """/dev is shared with another container, which puts a file where the terminal's name leads."""
    slow = Change(
        "helpers/launch/privileges.c",
        "    if (r->argv[2][0] == '1') {\n",
        "    if (r->argv[2][0] == '1') {\n        sleep(2);\n",
    )

    def console(runtime: Runtime) -> str:
        dev = runtime.bundle / "dev"
        (dev / "pts").mkdir(parents=True)
        for name in (
            "null",
            "zero",
            "full",
            "random",
            "urandom",
            "tty",
            "console",
            "shm",
            "mqueue",
        ):
            (dev / name).mkdir() if name in ("shm", "mqueue") else (dev / name).touch()
        for mount in runtime.config["mounts"]:
            if mount["destination"] == "/dev":
                mount.update(type="bind", source=str(dev), options=["bind"])
        runtime.config["process"].update(
            terminal=True, args=["stat", "-c", "%F of %t", "/dev/console"]
        )
        runtime.write()
        terminal = runtime.command.terminal(
            "--root", str(runtime.root), "run", "-b", str(runtime.bundle), "c"
        )
        time.sleep(1)
        # meant for the moment in which the terminal exists and is not bound yet
        (dev / "pts").rename(dev / "away")
        (dev / "pts").mkdir()
        (dev / "pts/0").write_text("the attacker's")
        terminal.wait()
        return bytes(terminal.seen).decode()

    assert "character special file of 88" in console(variant(slow))
    named = Change(
        "helpers/launch/privileges.c",
        'syscall(SYS_open_tree, slave, "", AT_EMPTY_PATH | 1 | O_CLOEXEC)',
        'syscall(SYS_open_tree, plan->root, "dev/pts/0", 1 | O_CLOEXEC)',
    )
    assert "regular file" in console(variant(slow, named))


@pytest.mark.parametrize("cve", ["2019_16884", "2019_19921", "2025_52881"])
def test_cve_writes_to_proc_are_not_led_elsewhere(
    variant: Variant,  # noqa: F811
    cve: str,
) -> None:
    """What the runtime writes to /proc must not land in a file that the image put there."""

    def landed(runtime: Runtime) -> str:
        fake = runtime.bundle / "fake"
        target = fake / "sys/kernel/domainname"
        target.parent.mkdir(parents=True)
        target.write_text("untouched")
        config = runtime.config
        config["mounts"] = [one for one in config["mounts"] if one["destination"] != "/proc"]
        if cve == "2019_16884":  # a volume of the image's
            config["mounts"].append(
                {"destination": "/proc", "type": "bind", "source": str(fake), "options": ["rbind"]}
            )
        else:  # a link of the image's
            (runtime.bundle / "rootfs/proc").rmdir()
            (runtime.bundle / "rootfs/elsewhere").mkdir()
            subprocess.run(["cp", "-a", fake, runtime.bundle / "rootfs/elsewhere"], check=True)
            (runtime.bundle / "rootfs/proc").symlink_to("/elsewhere/fake")
            target = runtime.bundle / "rootfs/elsewhere/fake/sys/kernel/domainname"
        config["linux"].update(
            sysctl={"kernel.domainname": "written"}, maskedPaths=[], readonlyPaths=[]
        )
        runtime.run("true", code=None)
        return target.read_text()

    assert landed(variant()) == "untouched"
    trusting = (
        Change("helpers/launch/privileges.c", ".resolve = RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT};",
               ".resolve = RESOLVE_IN_ROOT};"),
        Change("helpers/lib/process.c", "if (!failed && status.f_type != PROC_SUPER_MAGIC) {",
               "if (0) {"),
    )  # fmt: skip
    assert landed(variant(*trusting)).startswith("written")


@pytest.mark.parametrize("cve", ["2023_27561", "2023_28642"])
def test_cve_2023_masks_do_not_depend_on_the_images_proc(
    variant: Variant,  # noqa: F811
    cve: str,
) -> None:
    """/proc is a link in the image: what is masked is masked at every name."""

    def readable(runtime: Runtime, masked: list[str]) -> str:
        (runtime.bundle / "rootfs/proc").rmdir()
        (runtime.bundle / "rootfs/other").mkdir()
        (runtime.bundle / "rootfs/proc").symlink_to("other")
        runtime.config["linux"]["maskedPaths"] = masked
        return runtime.sh("cat /proc/version /other/version")

    assert readable(variant(), ["/proc/version"]) == ""
    assert "Linux version" in readable(variant(), [])


def test_cve_2023_25809_cgroups_cannot_be_written(engine: Engine, busybox_image: str) -> None:  # noqa: F811
    script = "mkdir /sys/fs/cgroup/mine && echo made; mount | grep -c ' /sys/fs/cgroup .*ro,'"

    def read_only(*words: str, change: tuple[Change, ...] = ()) -> str:
        command = engine(*change)
        return command("run", "--rm", *words, busybox_image, "sh", "-c", script, code=None).stdout

    assert read_only() == "1\n"
    assert read_only("--cgroupns", "host") == "1\n"
    # whether something can then be made depends on the host; that it is refused must not
    writable = Change(
        "rootless/runtime/defaults.py", '[*quiet, "relatime", "ro"]', '[*quiet, "relatime"]'
    )
    assert read_only(change=(writable,)).endswith("0\n")


def test_cve_2024_9676_names_are_not_read_through_links(
    engine: Engine,  # noqa: F811
    rootfs_of: Path,
    tmp_path: Path,
) -> None:
    """/etc/passwd of an image is a link to a file of the host's, or something without an end."""
    tmp_path.chmod(0o755)
    host = tmp_path / "passwd"
    host.write_text("fromhost:x:0:0::/:/bin/sh\n")
    (rootfs_of / "etc/passwd").symlink_to(host)
    words = ["run", "--rm", "-u", "fromhost", "--rootfs", rootfs_of, "id", "-u"]
    assert 'no user "fromhost"' in engine()(*words, code=125).stderr
    by_name = (
        Change("rootless/storage/trees/read.py",
               "resolve=kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_MAGICLINKS,", "resolve=0,"),
        Change("rootless/storage/trees/read.py",
               "                top,\n                path,\n",
               '                top,\n                path.lstrip("/"),\n'),
    )  # fmt: skip
    assert engine(*by_name)(*words).stdout == "0\n"
    for endless in ("/dev/zero", "../tmp/fifo"):
        (rootfs_of / "etc/passwd").unlink()
        (rootfs_of / "etc/passwd").symlink_to(endless)
        assert "fromhost" in engine()(*words, code=125).stderr


@pytest.fixture
def rootfs_of(place: Place, busybox_tar: Path) -> Path:
    """An unpacked root file system without an /etc/passwd, with a named pipe."""
    root = place.base / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", busybox_tar], check=True)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").unlink(missing_ok=True)
    (root / "tmp").mkdir(exist_ok=True)
    os.mkfifo(root / "tmp/fifo")
    return root
