"""What gets through and may: each cell of the table that is `broke`, with the reason.

A line has attempts, ways and the reason.  Nothing is here that podman, crun and runc all hold:
`test_no_cell_is_worse_than_the_best_peers` sees to that.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

UNFILTERED = ("run, no filter", "run --privileged", "build RUN --security=insecure",
              "exec, lurker has all capabilities",
              "rootless-runtime *", "startContainer hook")  # fmt: skip
ADMIN = ("*--privileged", "build RUN --security=insecure", "run --cap-add ALL*",
         "run -p, all capabilities",
         "exec, lurker has all capabilities", "rootless-runtime exec",
         "rootless-runtime run, joins user and pid", "startContainer hook")  # fmt: skip

ALLOWED: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (
        ("no-filter", "io-uring", "vsock", "user-namespace-nested", "calls-of-32-bits"),
        UNFILTERED,
        "the flag takes the filter of system calls away, or the bundle has none",
    ),
    (
        ("user-namespace-nested", "calls-of-32-bits"),
        ("run --cap-add ALL*", "run -p, all capabilities", "exec --privileged"),
        "with CAP_SYS_ADMIN the default filter lets namespaces be made, as docker's does",
    ),
    (
        ("readonly-remounted", "readonly-elsewhere", "masked-uncovered"),
        ADMIN,
        "CAP_SYS_ADMIN in the namespace that made the mounts may change them",
    ),
    (
        ("masked-read", "key-listed", "device-open"),
        ("run --privileged", "build RUN --security=insecure"),
        "--privileged masks nothing and gives the devices that the user may open",
    ),
    (
        (
            "loopback-of-the-host",
            "loopback-mapped",
            "loopback-any-address",
            "abstract-socket",
            "descriptor-received",
            "descriptor-kept",
        ),
        ("run --network host", "build RUN --network=host"),
        "--network host is the host's network",
    ),
    (
        ("metadata-of-a-cloud",),
        ("run, beside a cloud, allow_link_local",),
        "allow_link_local=true opens the way",
    ),
    (
        ("setuid-for-others",),
        ("run --userns nomap", "run --userns auto"),
        "it asks for a data directory that others can pass through",
    ),
    (
        ("stdin-written", "stdout-read", "stdout-cut", "stderr-other-end", "flags-shared"),
        ("rootless-runtime create, start",),
        "create hands on the streams that its caller chose for the container, as the standard says",
    ),
)


def reason(attempt: str, way: str) -> str:
    """Why a cell may be `broke`; empty when it may not."""
    way = way.removeprefix("single id: ")
    for attempts, ways, why in ALLOWED:
        if attempt in attempts and any(fnmatchcase(way, one) for one in ways):
            return why
    return ""
