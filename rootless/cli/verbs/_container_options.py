"""The options of `run` and `create`: docker's and podman's names."""

from __future__ import annotations

from rootless.cli.options import flag, number, several, text
from rootless.cli.verbs._health_options import OPTIONS as HEALTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.cli.options import Option

_BASIC = (
    flag("-i --interactive", "Keep standard input open even if not attached"),
    flag("-t --tty", "Allocate a pseudo-TTY"),
    text("--name", "NAME", "Assign a name to the container (default: a generated one)"),
    flag("--rm", "Remove the container when it exits"),
    several("-e --env", "NAME[=VALUE]",
        "Set an environment variable, or pass one on from the host"),
    several("--env-file", "FILE", "Read environment variables from a file", complete="file"),
    flag("--env-host", "Pass all environment variables of the host on to the container"),
    several("--unsetenv", "NAME", "Unset an environment variable of the image"),
    flag("--unsetenv-all", "Unset all environment variables of the image"),
    text("-w --workdir", "DIR", "Working directory inside the container"),
    text("-u --user", "USER[:GROUP]",
        "User name or UID (and optionally group name or GID) of the command"),
    text("--entrypoint", "COMMAND",
        "Overwrite the entrypoint of the image: a command, or a JSON list"),
    flag("--init", "Run an init that forwards signals and reaps processes"),
    text("--restart", "POLICY", "Restart policy: no, on-failure[:N], always or unless-stopped",
         complete="no on-failure always unless-stopped"),
    text("--stop-signal", "SIGNAL", "Signal to stop the container"),
    number("--stop-timeout", "SECONDS",
        "Seconds to wait for the container to stop before killing it (default 10)"),
    number("--timeout", "SECONDS", "Maximum time that the container may run before it is killed"),
    flag("--replace", "Replace an existing container of the same name"),
    text("--pull", "POLICY",
        "When to pull the image: missing, always, never or newer (default missing)",
         complete="missing always never newer"),
    text("--platform", "OS/ARCH[/VARIANT]", "Select the platform of the image"),
    several("-l --label", "NAME=VALUE", "Set metadata on the container"),
    several("--label-file", "FILE", "Read labels from a file", complete="file"),
    text("--cidfile", "FILE", "Write the container ID to a file", complete="file"),
)  # fmt: skip

_FILES = (
    several("-v --volume", "SOURCE:TARGET[:OPTIONS]",
            "Bind mount a host directory or mount a volume (options: ro, rw, U, O, nocopy)"),
    several("--mount", "KEY=VALUE,...",
        "Attach a file system mount: type=bind, volume or tmpfs, source=, target=, ro"),
    several("--tmpfs", "DIR[:OPTIONS]", "Mount a tmpfs directory"),
    several("--volumes-from", "CONTAINER[:ro]", "Mount the volumes of another container",
            complete="container"),
    text("--image-volume", "HOW",
        "How to handle the image's volumes: anonymous, tmpfs or ignore (default anonymous)",
         complete="anonymous tmpfs ignore"),
    flag("--read-only", "Mount the container's root file system read-only"),
    flag("--writable-tmpfs",
        "Keep changes to the root file system in memory and discard them at exit"),
    several("--device", "HOST[:CONTAINER]", "Add a host device, or all devices of a directory",
            complete="file"),
    flag("--rootfs", "IMAGE is the path of a root file system (PATH:O leaves it unchanged)"),
    flag("--lazy", "Start before the image is complete; files are fetched as they are read"),
    text("--storage-driver", "NAME", "Storage driver: overlay, fuse-overlayfs, python-fuse or copy",
         complete="overlay fuse-overlayfs python-fuse copy"),
    several("--storage-opt", "NAME[=VALUE]", "Set an option of the storage driver"),
)  # fmt: skip

_NETWORK = (
    text("--network --net", "MODE",
        "Network mode: none, host, slirp4netns[:OPTIONS] or container:NAME",
         complete="none host slirp4netns container:", dest="network"),
    several("-p --publish", "[IP:][PORT:]PORT[/PROTOCOL]",
            "Publish a container's port to the host"),
    flag("-P --publish-all", "Publish all exposed ports to free ports of the host"),
    several("--expose", "PORT[/PROTOCOL]", "Expose a port, so that --publish-all publishes it"),
    text("-h --hostname", "NAME", "Set the container's hostname (default: the short container ID)"),
    several("--add-host", "NAME:ADDRESS",
        "Add a host-to-IP mapping to /etc/hosts (host-gateway is the host's address)"),
    several("--dns", "ADDRESS", "Set a custom DNS server"),
    several("--dns-search", "DOMAIN", "Set a custom DNS search domain"),
    several("--dns-option", "OPTION", "Set a DNS option, as in resolv.conf(5)"),
)  # fmt: skip

_SECURITY = (
    text("--userns", "MODE",
        "User namespace: auto[:size=N], keep-id[:uid=N,gid=N], host, nomap or single",
         complete="auto keep-id host nomap single"),
    several("--uidmap", "INSIDE:OUTSIDE:COUNT",
        "Map UIDs; OUTSIDE counts your own IDs, @N is a host UID"),
    several("--gidmap", "INSIDE:OUTSIDE:COUNT",
        "Map GIDs; OUTSIDE counts your own IDs, @N is a host GID"),
    several("--group-add", "GROUP", "Add a supplementary group"),
    flag("--privileged", "Give the container all privileges that you have yourself, never more"),
    several("--cap-add", "CAPABILITY", "Add a Linux capability, or ALL"),
    several("--cap-drop", "CAPABILITY", "Drop a Linux capability, or ALL"),
    several("--security-opt", "OPTION",
            "Security options: no-new-privileges, seccomp=unconfined|FILE, "
            "mask=PATHS, unmask=PATHS|ALL"),
    text("--umask", "OCTAL", "Set the umask (default 0022)"),
    text("--ipc", "MODE",
        "IPC namespace to use: private, host or container:NAME", complete="private host"),
    text("--pid", "MODE",
        "PID namespace to use: private, host or container:NAME", complete="private host"),
    text("--uts", "MODE",
        "UTS namespace to use: private, host or container:NAME", complete="private host"),
    text("--cgroupns", "MODE", "Cgroup namespace to use: private or host", complete="private host"),
    several("--sysctl", "NAME=VALUE", "Set a sysctl of the container's namespaces"),
)  # fmt: skip

# what `update` changes as well
LIMITS = (
    text("-m --memory", "SIZE", "Memory limit, as in 512m (-1 for unlimited)"),
    text("--memory-swap", "SIZE", "Limit of memory plus swap (-1 for unlimited swap)"),
    text("--memory-reservation", "SIZE", "Memory soft limit"),
    text("--cpus", "NUMBER", "Number of CPUs, as in 1.5"),
    number("-c --cpu-shares", "NUMBER", "CPU shares (relative weight), 2 to 262144 (default 1024)"),
    number("--cpu-period", "MICROSECONDS",
        "Limit the CPU CFS (Completely Fair Scheduler) period (default 100000)"),
    number("--cpu-quota", "MICROSECONDS",
        "Limit the CPU CFS (Completely Fair Scheduler) quota (-1 for unlimited)"),
    text("--cpuset-cpus", "LIST", "CPUs in which to allow execution, as in 0-2,4"),
    text("--cpuset-mems", "LIST", "Memory nodes (MEMs) in which to allow execution, as in 0,1"),
    number("--pids-limit", "NUMBER", "Limit the number of processes (-1 for unlimited)"),
    number("--blkio-weight", "NUMBER", "Block I/O weight (relative weight), 10 to 1000"),
    several("--blkio-weight-device", "DEVICE:NUMBER",
        "Block I/O weight of a device (relative weight)"),
    several("--device-read-bps", "DEVICE:SIZE",
        "Limit read rate from a device (bytes per second), as in /dev/sda:1m"),
    several("--device-write-bps", "DEVICE:SIZE", "Limit write rate to a device (bytes per second)"),
    several("--device-read-iops", "DEVICE:NUMBER",
        "Limit read rate from a device (I/O operations per second)"),
    several("--device-write-iops", "DEVICE:NUMBER",
        "Limit write rate to a device (I/O operations per second)"),
    several("--cgroup-conf", "FILE=VALUE", "Set a file of cgroup v2, as in memory.high=64M"),
)  # fmt: skip

_MORE_LIMITS = (
    several("--ulimit", "NAME=SOFT[:HARD]",
        "Set a resource limit (ulimit), as in nofile=1024:2048"),
    text("--shm-size", "SIZE", "Size of /dev/shm (default 64m)"),
    number("--oom-score-adj", "NUMBER", "Tune the host's OOM preferences (-1000 to 1000)"),
    # docker's and podman's, refused by name: cgroup v2 or a kernel without root has no such thing
    text("--kernel-memory", "SIZE",
        "Kernel memory limit (not supported with cgroup v2)", hidden=True),
    number("--memory-swappiness", "PERCENT",
        "Memory swappiness, 0 to 100 (not supported with cgroup v2)", hidden=True),
    flag("--oom-kill-disable",
        "Disable the OOM killer (not supported with cgroup v2)", hidden=True),
    several("--device-cgroup-rule", "RULE",
        "Add a rule to the cgroup's list of allowed devices (not supported without root)",
        hidden=True),
    text("--cpu-rt-period", "MICROSECONDS",
        "Limit the CPU real-time period (not supported with cgroup v2)", hidden=True),
    text("--cpu-rt-runtime", "MICROSECONDS",
        "Limit the CPU real-time runtime (not supported with cgroup v2)", hidden=True),
)  # fmt: skip

_ADVANCED = (
    several("--annotation", "NAME=VALUE", "Add an annotation to the OCI runtime configuration"),
    text("--tz", "ZONE", "Set the time zone, as in Europe/Berlin (local for the host's)"),
    text("--cgroup-parent", "SLICE", "Parent cgroup of the container: a slice or a directory"),
    text("--cgroups", "MODE",
        "Cgroup mode: enabled, disabled, split (below the current unit) or no-conmon",
         complete="enabled disabled split no-conmon"),
    text("--runtime", "NAME", "OCI runtime to use: rootless (built in), crun, runc or a path",
         complete="rootless crun runc"),
    text("--log-driver", "NAME", "Logging driver: k8s-file, json-file, journald or none",
         complete="k8s-file json-file journald none"),
    several("--log-opt", "NAME=VALUE",
            "Logging driver options: max-size=SIZE, max-file=N, path=FILE; for "
            "journald tag=TEXT, labels=, env="),
    text("--detach-keys", "KEYS",
        "Override the key sequence for detaching (default ctrl-p,ctrl-q)"),
    text("--pid-file --pidfile", "FILE",
        "Write the host PID of the container's first process to a file",
         complete="file", dest="pid_file"),
    text("--conmon-pidfile", "FILE",
        "Write the PID of the container's monitor to a file", complete="file"),
    text("--sdnotify", "WHO",
        "Who notifies systemd of readiness: conmon (the monitor, once the container "
        "runs), container, healthy (the monitor, once the container is healthy) or ignore",
         complete="conmon container healthy ignore"),
    number("--preserve-fds", "N",
        "Pass N additional file descriptors, from 3 on, to the container"),
)  # fmt: skip


def sections(
    basic: Sequence[Option] = (), advanced: Sequence[Option] = ()
) -> tuple[tuple[str, Sequence[Option]], ...]:
    """The options under the headings of the help, with those that one verb alone has."""
    return (
        ("Basic options", (*_BASIC, *basic)),
        ("File system options", _FILES),
        ("Network options", _NETWORK),
        ("User, namespace and security options", _SECURITY),
        ("Resource limit options", (*LIMITS, *_MORE_LIMITS)),
        ("Health check options", HEALTH),
        ("Advanced options", (*_ADVANCED, *advanced)),
    )
