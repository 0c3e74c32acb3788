"""`doctor`: every precondition of this host, tried, with what it means and how to fix it.

The names of the lines are the headings of docs/troubleshooting.md.
"""

from __future__ import annotations

import os

from rootless import host, paths
from rootless.errors import RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.documents import Json
    from rootless.engine.context import Context

FINE, LIMITED, MISSING = "fine", "limited", "missing"

# file systems that refuse files of subordinate ids, extended attributes, or both (statfs(2))
_NETWORK = {
    0x6969: "NFS", 0xFF534D42: "CIFS", 0xFE534D42: "SMB2", 0x517B: "SMB", 0x0BD00BD0: "Lustre",
    0x47504653: "GPFS", 0x00C36400: "CephFS", 0x5346414F: "AFS", 0x19830326: "BeeGFS",
}  # fmt: skip


_ROOT = "as root: "


def _line(
    name: str,
    status: str,
    text: str,
    remedy: str = "",
    *,
    required: bool = False,
    command: bool = False,
) -> Json:
    """`command`: the remedy is a command for the user; what follows "as root: " is one for root."""
    return {
        "name": name,
        "status": status,
        "text": text,
        "remedy": remedy,
        "command": remedy if command else remedy.partition(_ROOT)[2],
        "as_root": _ROOT in remedy,
        "required": required,
    }


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def checks(ctx: Context) -> list[Json]:
    """Return one object for each precondition.

    `status`: fine, limited (works, and `text` says what does not) or missing; `remedy`: how to fix
    it; `command`: the command alone, where that is one, and whether it is for root in `as_root`;
    `required`: no container can run without it.
    """
    made = [
        *_namespaces(),
        *_ids(),
        _device("/dev/fuse", "fuse-overlayfs", "fuse", "native overlay or copies are used"),
        *_networks(),
        _overlay(ctx),
        *_programs(),
        _home(ctx),
        _cgroups(ctx),
        _linger(),
        _runtime_dir(),
        _directories(),
        _ping(),
        _ports(),
    ]
    return made


def can_run(lines: list[Json]) -> bool:
    """Return whether a container can run here."""
    return not any(line["required"] and line["status"] == MISSING for line in lines)


def _namespaces() -> list[Json]:
    """What a container is made of, tried."""
    from rootless.userns import calls, idmap

    name = "user namespaces"
    try:
        single = idmap.single_maps(os.getuid(), os.getgid(), "")
        # tried with mounts: AppArmor on Ubuntu gives the namespace and takes its rights away
        found = calls.call(
            "rootless.engine.system.doctor:namespace_worker", {}, maps=single, mount_namespace=True
        )
    except RootlessError as error:
        remedy = host.namespace_remedy()
        return [_line(name, MISSING, error.message, remedy, required=True)]
    text = "user namespaces can be created"
    return [
        _line(name, FINE, text, required=True),
        _proc(found["proc"]),
        _host_name(found["hostname"]),
    ]


def namespace_worker(request: Json) -> Json:
    """Try, in a user namespace, a mount and what may be refused within containers.

    {"proc", "hostname"}: why not, "" where it works.
    """
    from rootless import kernel

    kernel.calls.mount("none", "/tmp", "tmpfs", 0, "")
    made: Json = {"proc": "", "hostname": ""}
    try:
        kernel.calls.unshare(kernel.CLONE_NEWUTS)
        kernel.calls.sethostname("rootless")
    except OSError as error:
        made["hostname"] = str(error.strerror)
    kernel.calls.unshare(kernel.CLONE_NEWPID)
    pid = os.fork()
    if not pid:
        try:
            # it shows the namespace of who mounts it, which only a child is in
            kernel.calls.mount("proc", "/tmp", "proc", 0, "")
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    made["proc"] = os.strerror(code) if code else ""
    return made


def _proc(problem: str) -> Json:
    name = "proc"
    covered = host.current().covered_proc
    if not problem:
        return _line(name, FINE, "a container has its own", required=True)
    if not covered:
        return _line(name, MISSING, f"a new one cannot be mounted: {problem}", required=True)
    return _line(
        name, LIMITED,
        f"{covered} is covered, so a new one is refused: containers show the /proc around them, "
        "read-only, with its processes and their numbers, and no sysctl can be set",
        host.WHOLE_PROC, required=True,
    )  # fmt: skip


def _host_name(problem: str) -> Json:
    if not problem:
        return _line("host name", FINE, "a container has its own")
    return _line(
        "host name", LIMITED,
        f"cannot be set: {problem}; containers keep the current one, and --hostname is an error",
        host.NO_FILTER,
    )  # fmt: skip


def _ids() -> list[Json]:
    from rootless.userns import helpers, idmap, subids

    uid = os.getuid()
    uids, gids = subids.ranges(uid)
    who = subids.user_name(uid)
    if uids and gids:
        count = min(sum(size for _, size in uids), sum(size for _, size in gids))
        line = _line("subordinate ids", FINE, f"{count} for {who}")
        if count < subids.USUAL:
            line = _line(
                "subordinate ids", LIMITED,
                f"{count} for {who}: images may contain IDs up to 65535",
                f"as root: {subids.grant(uid)}",
            )  # fmt: skip
    elif helpers.privileged():
        line = _line(
            "subordinate ids", FINE, "not needed for root: the IDs of this namespace are used"
        )
    else:
        missing = " and ".join(
            name for name, found in (("/etc/subuid", uids), ("/etc/subgid", gids)) if not found
        )
        line = _line(
            "subordinate ids", LIMITED,
            f"{missing} has no range for {who}: containers have a single ID and no other users",
            f"as root: {subids.grant(uid)}",
        )  # fmt: skip
    if not (uids and gids) or helpers.privileged():
        return [line, _line("newuidmap", FINE, "not needed")]
    maps = idmap.default_maps()
    if maps.single:
        problem, _, remedy = maps.why.partition("; ")
        return [
            line,
            _line("newuidmap", LIMITED, f"{problem}: containers have a single id", remedy),
        ]
    return [line, _line("newuidmap", FINE, ", ".join(helpers.paths()))]


def _device(path: str, user: str, module: str, otherwise: str) -> Json:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        return _line(path, FINE, "can be opened")
    except FileNotFoundError:
        text, remedy = f"does not exist: {otherwise}", f"as root: modprobe {module}"
    except PermissionError:
        text, remedy = f"permission denied: {otherwise}", f"as root: chmod 666 {path}"
    except OSError as error:
        text = f"cannot be opened ({error.strerror}): {otherwise}"
        remedy = f"as root: modprobe {module}"
    if host.contained():
        remedy = f"start the outer container with --device {path}"
    return _line(path, LIMITED, text, remedy)


def _networks() -> Iterator[Json]:
    from rootless.network.backends import registry

    for backend in registry.all_backends():
        for path, module, otherwise in backend.devices:
            yield _device(path, backend.name, module, otherwise)
        found = backend.diagnosis()
        if found is not None:
            well, text, remedy = found
            yield _line(backend.name, FINE if well else LIMITED, text, remedy)


def _overlay(ctx: Context) -> Json:
    from rootless.storage.drivers import registry as driver_registry

    ctx.prepare()
    problems: list[str] = []
    remedies: list[str] = []
    for driver in driver_registry.all_drivers():
        problem = driver.why_not(ctx.maps, data=ctx.data_dir)
        if not problem:
            break
        problems.append(problem)
        remedies += filter(None, [driver.remedy(problem)])
    if not problems:
        return _line("overlay", FINE, driver.used)
    if not driver.layered:
        remedies.append(
            f"start the outer container with --device /dev/fuse, or with a volume at "
            f"{ctx.data_dir}" if host.contained()
            else "set ROOTLESS_DATA_DIR to a directory on a local disk"
        )  # fmt: skip
    # a host where one of the first two works needs nothing of the others
    text = f"{'; '.join(problems[:2])}: {driver.used}"
    return _line("overlay", LIMITED, text, "".join(remedies[:1]))


def _programs() -> list[Json]:
    """What single files and layers that are still arriving need."""
    from rootless.storage.drivers import python_fuse

    found = host.current().program("squashfuse_ll")
    older = host.current().program("squashfuse")
    if found or not older:
        squashfuse = _line("squashfuse", FINE, found) if found else _line(
            "squashfuse", LIMITED, "is not installed: single-file images cannot be run",
            "as root: apt-get install squashfuse",
        )  # fmt: skip
    else:
        squashfuse = _line(
            "squashfuse", LIMITED,
            f"only {older}, not squashfuse_ll of 0.1.103 or newer, which is faster",
            "as root: apt-get install squashfuse",
        )  # fmt: skip
    program = host.current().program("mksquashfs")
    mksquashfs = _line("mksquashfs", FINE, program) if program else _line(
        "mksquashfs", LIMITED, "is not installed: save --format squashfs does not work",
        "as root: apt-get install squashfs-tools",
    )  # fmt: skip
    library = _line("fuse-python", FINE, "is installed")
    if not python_fuse.library():
        library = _line(
            "fuse-python", LIMITED,
            "is not installed: run --lazy fetches whole images first, and the driver python-fuse "
            "is not there",
            "pip install fuse-python", command=True,
        )  # fmt: skip
    return [squashfuse, mksquashfs, library]


def _home(ctx: Context) -> Json:
    from rootless import kernel

    name = "home file system"
    path = ctx.data_dir
    try:
        kind = kernel.calls.statfs(path).type & 0xFFFFFFFF
        free = os.statvfs(path)
    except OSError as error:
        return _line(name, MISSING, f"{path}: {error.strerror}", required=True)
    gigabytes = free.f_bavail * free.f_frsize / (1 << 30)
    if kind in _NETWORK:
        return _line(
            name, LIMITED,
            f"{path} is on {_NETWORK[kind]}, which does not support other owners and attributes",
            "export ROOTLESS_DATA_DIR=/local/disk/of/yours/rootless", command=True,
        )  # fmt: skip
    if free.f_flag & os.ST_NOEXEC:
        return _line(
            name, MISSING, f"{path} is mounted noexec", "export ROOTLESS_DATA_DIR=/another/place",
            required=True, command=True,
        )  # fmt: skip
    if gigabytes < 1:
        text = f"{path} has only {gigabytes:.1f} GB left"
        return _line(name, LIMITED, text, "rootless prune", command=True)
    return _line(name, FINE, f"{path}, {gigabytes:.0f} GB free", required=True)


def _cgroups(ctx: Context) -> Json:
    manager = ctx.cgroups()
    if manager.kind == "none":
        from rootless.cgroups import managers

        text = f"{manager.why}: no limits, no pause; a limit that is asked for is an error"
        return _line("cgroups", LIMITED, text, managers.remedy())
    missing = sorted({"cpu", "cpuset", "io", "memory", "pids"} - manager.controllers())
    if missing:
        from rootless.cgroups import managers

        text = f"{manager.kind}: {manager.why}; not delegated: {', '.join(missing)}"
        return _line("cgroups", LIMITED if "memory" in missing else FINE, text, managers.remedy())
    return _line("cgroups", FINE, f"{manager.kind}: {manager.why}")


def _linger() -> Json:
    from rootless.engine.common import linger

    if not os.path.isdir("/run/systemd/system"):
        return _line("linger", FINE, "not needed: systemd does not run here")
    who = linger.missing()
    if not who:
        return _line("linger", FINE, "enabled: containers keep running after you log out")
    return _line(
        "linger", LIMITED, "disabled: containers may be killed when you log out",
        f"loginctl enable-linger {who}", command=True,
    )  # fmt: skip


def _runtime_dir() -> Json:
    value = os.environ.get("XDG_RUNTIME_DIR", "")
    used = paths.runtime_dir()
    try:
        paths.ensure(used)
    except RootlessError as error:
        return _line("XDG_RUNTIME_DIR", MISSING, error.message, error.hint, required=True)
    if value and used.startswith(value):
        return _line("XDG_RUNTIME_DIR", FINE, value, required=True)
    what = f"{value} is not yours to write to" if value else "is not set"
    return _line(
        "XDG_RUNTIME_DIR", LIMITED, f"{what}: {used} is used instead",
        "log in with ssh or machinectl shell instead of su or sudo", required=True,
    )  # fmt: skip


def _directories() -> Json:
    """Whether other programs, which ask platformdirs, look for this user's files where we do."""
    import platformdirs

    places = (
        ("XDG_DATA_HOME", paths.data_home(), platformdirs.user_data_dir),
        ("XDG_CONFIG_HOME", paths.config_home(), platformdirs.user_config_dir),
        ("XDG_CACHE_HOME", paths.cache_home(), platformdirs.user_cache_dir),
    )
    for variable, ours, ask in places:
        value = os.environ.get(variable, "")
        if value and not value.startswith("/"):
            return _line(
                "directories", LIMITED,
                f"{variable}={value} is relative and ignored: {ours} is used",
                f"export {variable}={ours}", command=True,
            )  # fmt: skip
        if not value and (theirs := ask()) != ours:
            return _line(
                "directories", LIMITED, f"{ours} is used, and other programs use {theirs}",
                f"export {variable}={theirs}", command=True,
            )  # fmt: skip
    return _line("directories", FINE, ", ".join(ours for _, ours, _ in places))


def _ping() -> Json:
    words = _read("/proc/sys/net/ipv4/ping_group_range").split()
    if len(words) == 2 and int(words[0]) <= os.getgid() <= int(words[1]):
        return _line("ping", FINE, f"allowed for the groups {words[0]} to {words[1]}")
    return _line(
        "ping", LIMITED, "ping from a container does not work for your group",
        "as root: echo 'net.ipv4.ping_group_range=0 2147483647' >/etc/sysctl.d/80-ping.conf "
        "&& sysctl --system",
    )  # fmt: skip


def _ports() -> Json:
    first = _read("/proc/sys/net/ipv4/ip_unprivileged_port_start") or "1024"
    if int(first) <= 80:
        return _line("low ports", FINE, f"ports from {first} on can be published")
    return _line(
        "low ports", LIMITED, f"ports below {first} cannot be published: use -p 8080:80",
        "as root: echo net.ipv4.ip_unprivileged_port_start=80 >/etc/sysctl.d/80-ports.conf "
        "&& sysctl --system",
    )  # fmt: skip
