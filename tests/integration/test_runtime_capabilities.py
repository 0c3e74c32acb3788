"""What the first process holds: capabilities, umask, signals, the score by which memory is taken.

The rows are what crun 1.8 and runc 1.1 give for the same configurations.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from conftest import Command, Place
from test_runtime_probe import (  # noqa: F401  (fixtures)
    Seen,
    probe,
    seen,
    setting,
    status,
)

CHOWN, KILL, RAW = 1 << 0, 1 << 5, 1 << 13
NAMES = {CHOWN: "CAP_CHOWN", KILL: "CAP_KILL", RAW: "CAP_NET_RAW"}
ALL = CHOWN | KILL | RAW

# bounding, permitted, effective, inheritable, ambient -> inheritable, permitted, effective, ambient
# as root and as somebody else
CONFINED = [
    ((ALL, CHOWN | KILL, CHOWN | KILL, 0, 0), (0, CHOWN | KILL, CHOWN | KILL, 0), (0, 0, 0, 0)),
    ((ALL, CHOWN | KILL, CHOWN, KILL, 0), (KILL, CHOWN | KILL, CHOWN | KILL, 0), (KILL, 0, 0, 0)),
    ((ALL, 0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    ((CHOWN, ALL, ALL, 0, 0), (0, CHOWN, CHOWN, 0), (0, 0, 0, 0)),
    ((ALL, KILL, KILL, KILL, KILL), (KILL, KILL, KILL, KILL), (KILL, KILL, KILL, KILL)),
    ((ALL, KILL, KILL, 0, KILL), (0, KILL, KILL, 0), (0, 0, 0, 0)),
    ((ALL, 0, 0, KILL, KILL), (KILL, 0, 0, 0), (KILL, 0, 0, 0)),
]
# without no_new_privs root gets the bounding set, by the kernel's rules and with every runtime
FREE = [
    ((ALL, CHOWN | KILL, CHOWN, KILL, 0), (KILL, ALL, ALL, 0), (KILL, 0, 0, 0)),
    ((ALL, KILL, KILL, KILL, KILL), (KILL, ALL, ALL, KILL), (KILL, KILL, KILL, KILL)),
]


def names(mask: int) -> list[str]:
    return [name for bit, name in NAMES.items() if mask & bit]


def held(found: Any) -> tuple[int, ...]:
    return tuple(
        int(status(found, f"Cap{set_}"), 16) for set_ in ("Bnd", "Inh", "Prm", "Eff", "Amb")
    )


def test_what_is_held_is_what_was_asked_for(seen: Seen) -> None:  # noqa: F811
    kinds = ("bounding", "permitted", "effective", "inheritable", "ambient")
    for confined, rows in ((True, CONFINED), (False, FREE)):
        seen.process["noNewPrivileges"] = confined
        for asked, as_root, as_other in rows:
            sets = zip(kinds, asked, strict=True)
            seen.process["capabilities"] = {kind: names(mask) for kind, mask in sets}
            for uid, wanted in ((0, as_root), (5, as_other)):
                seen.process["user"] = {"uid": uid, "gid": uid}
                got = held(seen.everything())
                assert got == (asked[0], *wanted), (confined, uid, asked)


def test_a_further_process_is_held_to_the_same(seen: Seen) -> None:  # noqa: F811
    """`exec` in it too; and a set that cannot be is named by its place."""
    seen.process["capabilities"] = {
        "bounding": names(ALL), "permitted": names(KILL), "effective": names(KILL),
        "inheritable": names(0), "ambient": names(0),
    }  # fmt: skip
    seen.process["noNewPrivileges"] = True
    if seen.setting != "root":  # there each command is root of a namespace of its own
        seen.runtime.create("c", "/probe", "wait")
        found = seen.runtime("exec", "c", "/probe").json()
        assert held(found) == (ALL, 0, KILL, KILL, 0)
        seen.runtime("delete", "--force", "c")
    seen.process["capabilities"] = {"bounding": [], "permitted": names(KILL),
                                    "inheritable": names(KILL)}  # fmt: skip
    assert "process.capabilities: the kernel refuses these sets" in seen.refused()


def test_a_command_that_its_user_may_not_execute(seen: Seen) -> None:  # noqa: F811
    """What the launcher may do for root of the namespace is no right of the process."""
    closed = seen.runtime.bundle / "rootfs/closed"
    closed.write_bytes((seen.runtime.bundle / "rootfs/probe").read_bytes())
    closed.chmod(0o700)
    assert seen.runtime.run("/closed").code == 0
    seen.process["user"] = {"uid": 5, "gid": 5}
    seen.process["capabilities"].update(permitted=[], effective=[])
    if seen.setting == "single":
        return  # there the file is the process's own, whatever its number
    assert "permission denied" in seen.runtime.run("/closed", code=126).stderr


def test_nothing_is_left_of_the_caller(
    seen: Seen,  # noqa: F811
    probe: Path,  # noqa: F811
    place: Place,
) -> None:
    """Neither its umask nor its ignored signals; and mount points have modes of their own."""
    seen.config["mounts"].append(
        {"destination": "/made/here", "type": "tmpfs", "source": "tmpfs", "options": ["size=4k"]}
    )
    seen.process["user"] = {"uid": 0, "gid": 0}
    seen.process["args"] = ["/probe"]
    seen.runtime.write()
    words = ("--root", seen.runtime.root, "run", "--bundle", seen.runtime.bundle, "c")
    program = Command([str(probe), "ignoring", *seen.runtime.command.words], place)
    old = os.umask(0o077)
    try:
        found = program(*words).json()
    finally:
        os.umask(old)
    assert found["umask"] == 0o022
    assert int(status(found, "SigIgn"), 16) == int(status(found, "SigBlk"), 16) == 0
    made = seen.runtime.bundle / "rootfs/made"
    assert made.stat().st_mode & 0o777 == 0o755


def test_no_file_of_the_image_is_written_for_procfs(seen: Seen) -> None:  # noqa: F811
    """Where the image's /proc is no procfs, but has links where the kernel has files."""
    rootfs = seen.runtime.bundle / "rootfs"
    seen.config["mounts"] = [one for one in seen.config["mounts"] if one["destination"] != "/proc"]
    (rootfs / "proc/self").mkdir(parents=True)
    for name in ("oom_score_adj", "setgroups", "uid_map", "gid_map"):
        (rootfs / name).write_text("kept")
        (rootfs / "proc/self" / name).symlink_to(f"/{name}")
    seen.process["oomScoreAdj"] = 700
    for kind in ("maskedPaths", "readonlyPaths", "sysctl"):
        seen.linux.pop(kind, None)
    seen.runtime.create("c", "/probe", "wait")
    pid = seen.runtime.state("c")["pid"]
    with open(f"/proc/{pid}/oom_score_adj") as file:
        assert file.read() == "700\n"
    seen.runtime("delete", "--force", "c")
    if seen.setting == "single":
        seen.process["user"] = {"uid": 5, "gid": 5}
        seen.runtime.run("/probe", code=1)
    for name in ("oom_score_adj", "setgroups", "uid_map", "gid_map"):
        assert (rootfs / name).read_text() == "kept"
