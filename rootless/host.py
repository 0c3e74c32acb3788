"""What this host can do.  Nothing is probed before it is asked for."""

from __future__ import annotations

import os

_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(name: str) -> str:
    """The path of a program in $PATH or the usual places, "" if there is none."""
    for directory in (os.environ.get("PATH", "") + ":" + _SEARCH).split(":"):
        path = os.path.join(directory, name)
        if directory.startswith("/") and os.access(path, os.X_OK):
            return path
    return ""


# directories that are empty for ever (proc_create_mount_point, register_sysctl_mount_point)
_HARMLESS = ("/sys/fs/binfmt_misc", "/fs/nfsd", "/openprom")


def covered_in(mountinfo: str) -> str:
    """The path by which a user namespace is refused a new procfs, "" if it is not.

    The kernel mounts one for those who see a whole one already: with something mounted over a part
    of it, as in containers, the new one would show what is hidden (fs/namespace.c,
    mnt_already_visible).  `mountinfo`: see proc(5).
    """
    whole: dict[str, str] = {}
    lines = [line.split(" ") for line in mountinfo.splitlines()]
    for line in lines:
        # optional fields end at "-", and the type follows
        if line[3] == "/" and line[line.index("-", 6) + 1] == "proc":
            whole[line[0]] = line[4]
    first = ""
    for line in lines:
        at = whole.get(line[1])
        if at is not None and line[4].removeprefix(at.rstrip("/")) not in _HARMLESS:
            del whole[line[1]]
            first = first or line[4]
    return "" if whole else first


WHOLE_PROC = "start the outer container with --security-opt systempaths=unconfined"
NO_FILTER = "start the outer container with --security-opt seccomp=unconfined"
"""What opens walls that a container around has, in docker's words, which podman takes as well."""


def contained() -> bool:
    """Whether this is somebody's container, as far as docker and podman say so."""
    return os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def namespace_remedy() -> str:
    """What lets user namespaces be made where they are refused."""

    def switch(name: str, value: str) -> str:
        return f"as root: echo {name}={value} >/etc/sysctl.d/80-rootless.conf && sysctl --system"

    if _read("/proc/sys/user/max_user_namespaces") == "0":
        return switch("user.max_user_namespaces", "28633")
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return switch("kernel.unprivileged_userns_clone", "1")
    if contained():
        profile = _read("/proc/self/attr/current").partition(" ")[0]
        apparmor = " --security-opt apparmor=unconfined"
        return NO_FILTER + (apparmor if profile not in ("", "unconfined") else "")
    if "Seccomp:\t2" in _read("/proc/self/status"):
        # containerd leaves no other sign of itself
        return "leave the seccomp filter that holds here; in a container: " + NO_FILTER
    if _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return switch("kernel.apparmor_restrict_unprivileged_userns", "0")
    return (
        "ask why unshare(CLONE_NEWUSER) is refused: a chroot, a seccomp filter, a security module"
    )


class Host:
    """Facts, each found once."""

    def __init__(self) -> None:
        self._programs: dict[str, str] = {}
        self._covered: str | None = None

    def program(self, name: str) -> str:
        """As find_program, remembered."""
        if name not in self._programs:
            self._programs[name] = find_program(name)
        return self._programs[name]

    @property
    def covered_proc(self) -> str:
        """What is mounted over a part of /proc, so that a container gets no new one; or ""."""
        if self._covered is None:
            data = b""
            fd = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
            try:
                while part := os.read(fd, 1 << 16):
                    data += part
            finally:
                os.close(fd)
            # elsewhere this is all that it costs: every start asks
            found = b" /proc/" in data
            self._covered = covered_in(data.decode("utf-8", "replace")) if found else ""
        return self._covered


_CURRENT = Host()


def current() -> Host:
    """The host this process runs on."""
    return _CURRENT
