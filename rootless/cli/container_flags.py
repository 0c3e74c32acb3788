"""The options of containers, in one table: what `run`, `create` and `update` have.

It gives the parser, the help with its groups, the manual page and the completion of these verbs.
`python -m rootless.cli.generate` makes the fields of ContainerOptions
(rootless/engine/spec/options.py), with their types and documentation, and the keys of unit files
(rootless/quadlet/flag_keys.py) from it; a test says so when they differ.
"""

from __future__ import annotations

from rootless.cli.options import FLAG, LIST, NUMBER, TEXT, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class ContainerFlag(Option):
    """An option of containers, with what else there is to know of it.

    `quadlet`: the key of a `.container` file; with `words` behind it each word of it is a value.
    `aliases`: what docker's Python client calls it.  `argv`: its field may also be a list of
    arguments.  `field`: whether ContainerOptions has it.  `only`: the one verb that has it.
    """

    __slots__ = ("aliases", "argv", "field", "only", "quadlet")

    def __init__(
        self,
        kind: str,
        names: str,
        metavar: str,
        text: str,
        complete: str = "",
        dest: str = "",
        quadlet: str = "",
        aliases: str = "",
        fails: str = "",
        only: str = "",
        *,
        argv: bool = False,
        field: bool = True,
    ) -> None:
        super().__init__(kind, names, metavar, text, complete, dest, False, fails)
        self.quadlet = quadlet
        self.aliases = aliases
        self.only = only
        self.argv = argv
        self.field = field


def flag(
    names: str,
    text: str,
    *,
    quadlet: str = "",
    aliases: str = "",
    fails: str = "",
    field: bool = True,
    only: str = "",
) -> ContainerFlag:
    """An option that is there or not."""
    return ContainerFlag(FLAG, names, "", text, "", "", quadlet, aliases, fails, only, field=field)


def text(
    names: str,
    metavar: str,
    text: str,
    *,
    complete: str = "",
    dest: str = "",
    bare: str = "",
    quadlet: str = "",
    aliases: str = "",
    fails: str = "",
    argv: bool = False,
    field: bool = True,
    only: str = "",
) -> ContainerFlag:
    """An option with a value; the last one given wins.  `bare`: see Option."""
    made = ContainerFlag(
        TEXT, names, metavar, text, complete, dest, quadlet, aliases, fails, only,
        argv=argv, field=field,
    )  # fmt: skip
    made.bare = bare
    return made


def several(
    names: str,
    metavar: str,
    text: str,
    *,
    complete: str = "",
    dest: str = "",
    quadlet: str = "",
    aliases: str = "",
    fails: str = "",
    field: bool = True,
    only: str = "",
) -> ContainerFlag:
    """An option that may be given several times."""
    return ContainerFlag(
        LIST, names, metavar, text, complete, dest, quadlet, aliases, fails, only, field=field
    )


def number(
    names: str,
    metavar: str,
    text: str,
    *,
    quadlet: str = "",
    aliases: str = "",
    fails: str = "",
    field: bool = True,
) -> ContainerFlag:
    """An option whose value is a whole number."""
    return ContainerFlag(NUMBER, names, metavar, text, "", "", quadlet, aliases, fails, field=field)


# what `update` changes as well, with LIMITS and HEALTH
RESTART = text(
    "--restart", "POLICY", "Restart policy: no, on-failure[:N], always or unless-stopped",
    complete="no on-failure always unless-stopped", aliases="restart_policy",
)  # fmt: skip

_BASIC = (
    flag("-i --interactive", "Keep standard input open even if not attached", aliases="stdin_open"),
    flag("-t --tty", "Allocate a pseudo-TTY"),
    text("--name", "NAME", "Assign a name to the container (default: a generated one)"),
    flag("--rm", "Remove the container when it exits", aliases="remove auto_remove"),
    flag("--rmi", "Remove the image as well when the container exits, unless it is in use",
         field=False, only="run"),
    several("-e --env", "NAME[=VALUE]", "Set an environment variable, or pass one on from the host",
            quadlet="Environment words", aliases="environment"),
    several("--env-merge", "NAME=VALUE",
            "Set an environment variable to what is made of others, as in PATH=/opt:${PATH}"),
    several("--env-file", "FILE", "Read environment variables from a file", complete="file"),
    flag("--env-host", "Pass all environment variables of the host on to the container",
         quadlet="EnvironmentHost"),
    several("--unsetenv", "NAME", "Unset an environment variable of the image"),
    flag("--unsetenv-all", "Unset all environment variables of the image"),
    text("-w --workdir", "DIR", "Working directory inside the container", quadlet="WorkingDir",
         aliases="working_dir"),
    text("-u --user", "USER[:GROUP]",
         "User name or UID (and optionally group name or GID) of the command"),
    text("--entrypoint", "COMMAND",
         "Overwrite the entrypoint of the image: a command, or a JSON list", quadlet="Entrypoint",
         argv=True),
    flag("--init", "Run an init that forwards signals and reaps processes", quadlet="RunInit"),
    RESTART,
    text("--stop-signal", "SIGNAL", "Signal to stop the container", quadlet="StopSignal"),
    number("--stop-timeout", "SECONDS",
           "Seconds to wait for the container to stop before killing it (default 10)",
           quadlet="StopTimeout"),
    number("--timeout", "SECONDS", "Maximum time that the container may run before it is killed"),
    flag("--replace", "Replace an existing container of the same name"),
    text("--pull", "POLICY",
         "When to pull the image: missing, always, never or newer (default missing)",
         complete="missing always never newer", quadlet="Pull"),
    text("--platform", "OS/ARCH[/VARIANT]", "Select the platform of the image"),
    text("--os", "OS", "Select the operating system of the image", field=False),
    text("--arch", "ARCH", "Select the architecture of the image", field=False,
         complete="amd64 arm64 riscv64"),
    text("--variant", "NAME", "Select the variant of the architecture, as in v8", field=False),
    text("--authfile", "FILE", "Path of the authentication file", complete="file", field=False),
    text("--cert-dir", "DIR", "Directory of TLS certificates: *.crt, *.cert with *.key",
         complete="directory", field=False),
    text("--creds", "USER:PASSWORD",
         "Credentials to use for accessing the registry, not stored", field=False),
    text("--tls-verify", "BOOL", "Require HTTPS and verify certificates (default true)",
         complete="true false", field=False, bare="true"),
    number("--retry", "N", "Times to retry when a request to the registry fails (default 4)",
           field=False),
    text("--retry-delay", "TIME", "Time between two retries, as in 2s (default: ever longer)",
         field=False),
    flag("--disable-content-trust", "Accepted for compatibility: docker's notary is not used",
         field=False),
    several("-l --label", "NAME=VALUE", "Set metadata on the container", quadlet="Label words",
            aliases="labels"),
    several("--label-file", "FILE", "Read labels from a file", complete="file"),
    text("--cidfile", "FILE", "Write the container ID to a file", complete="file"),
    flag("-d --detach", "Run the container in the background and print its ID", only="run"),
    several("-a --attach", "STREAM", "Attach to stdin, stdout or stderr",
            complete="stdin stdout stderr", field=False, only="run"),
    flag("-q --quiet", "Suppress the pull output", field=False),
)  # fmt: skip

_FILES = (
    several("-v --volume", "SOURCE:TARGET[:OPTIONS]",
            "Bind mount a host directory or mount a volume (options: ro, rw, U, O, nocopy)",
            aliases="volumes"),
    several("--mount", "KEY=VALUE,...",
            "Attach a file system mount: type=bind, volume, tmpfs, image, glob, ramfs or devpts, "
            "source=, target=, ro",
            aliases="mounts"),
    several("--tmpfs", "DIR[:OPTIONS]", "Mount a tmpfs directory", quadlet="Tmpfs"),
    several("--volumes-from", "CONTAINER[:ro]", "Mount the volumes of another container",
            complete="container"),
    several("--secret", "NAME[,target=PATH,...]",
            "Show a secret to the container as a file, /run/secrets/NAME (options: target=, uid=, "
            "gid=, mode=)"),
    text("--image-volume", "HOW",
         "How to handle the image's volumes: anonymous, tmpfs or ignore (default anonymous)",
         complete="anonymous tmpfs ignore"),
    flag("--read-only", "Mount the container's root file system read-only", quadlet="ReadOnly"),
    text("--read-only-tmpfs", "BOOL",
         "Mount tmpfs at /run, /tmp and /var/tmp where --read-only is given (default true)",
         complete="true false", bare="true"),
    flag("--writable-tmpfs",
         "Keep changes to the root file system in memory and discard them at exit"),
    several("--device", "HOST[:CONTAINER]", "Add a host device, or all devices of a directory",
            complete="file", aliases="devices"),
    flag("--rootfs", "IMAGE is the path of a root file system (PATH:O leaves it unchanged)"),
    flag("--lazy", "Start before the image is complete; files are fetched as they are read"),
    text("--storage-driver", "NAME",
         "Storage driver to use (default: the best that works; rootless info lists them)",
         complete="storage-driver"),
    several("--storage-opt", "NAME[=VALUE]", "Set an option of the storage driver"),
)  # fmt: skip

_NETWORK = (
    several("--network --net", "MODE",
            "Networks by name (NAME[:ip=,ip6=,mac=,alias=,interface_name=]), or none, host, "
            "slirp4netns[:OPTIONS] or container:NAME",
            complete="none host slirp4netns bridge container:", dest="network",
            aliases="network_mode"),
    text("--ip", "ADDRESS", "Set the IPv4 address on the network", quadlet="IP"),
    text("--ip6", "ADDRESS", "Set the IPv6 address on the network", quadlet="IP6"),
    text("--mac-address", "ADDRESS", "Set the MAC address on the network"),
    several("--network-alias --net-alias", "NAME", "Answer to another name on the networks",
            dest="network_alias", quadlet="NetworkAlias"),
    several("-p --publish", "[IP:][PORT:]PORT[/PROTOCOL]", "Publish a container's port to the host",
            quadlet="PublishPort", aliases="ports"),
    flag("-P --publish-all", "Publish all exposed ports to free ports of the host",
         aliases="publish_all_ports"),
    several("--expose", "PORT[/PROTOCOL]", "Expose a port, so that --publish-all publishes it",
            quadlet="ExposeHostPort"),
    text("-h --hostname", "NAME", "Set the container's hostname (default: the short container ID)",
         quadlet="HostName"),
    flag("--no-hostname", "Do not make /etc/hostname in the container"),
    flag("--no-hosts", "Do not make /etc/hosts in the container"),
    several("--chrootdirs", "DIR",
            "Have /etc/hosts and /etc/resolv.conf also below this directory of the container"),
    several("--add-host", "NAME:ADDRESS",
            "Add a host-to-IP mapping to /etc/hosts (host-gateway is the host's address)",
            quadlet="AddHost", aliases="extra_hosts"),
    several("--dns", "ADDRESS", "Set a custom DNS server", quadlet="DNS"),
    several("--dns-search", "DOMAIN", "Set a custom DNS search domain", quadlet="DNSSearch"),
    several("--dns-option", "OPTION", "Set a DNS option, as in resolv.conf(5)",
            quadlet="DNSOption"),
)  # fmt: skip

_SECURITY = (
    text("--userns", "MODE",
         "User namespace: auto[:size=N], keep-id[:uid=N,gid=N], host, nomap or single",
         complete="auto keep-id host nomap single", quadlet="UserNS", aliases="userns_mode"),
    several("--uidmap", "INSIDE:OUTSIDE:COUNT",
            "Map UIDs; OUTSIDE counts your own IDs, @N is a host UID", quadlet="UIDMap"),
    several("--gidmap", "INSIDE:OUTSIDE:COUNT",
            "Map GIDs; OUTSIDE counts your own IDs, @N is a host GID", quadlet="GIDMap"),
    several("--group-add", "GROUP", "Add a supplementary group", quadlet="GroupAdd"),
    flag("--privileged", "Give the container all privileges that you have yourself, never more"),
    several("--cap-add", "CAPABILITY", "Add a Linux capability, or ALL",
            quadlet="AddCapability words"),
    several("--cap-drop", "CAPABILITY", "Drop a Linux capability, or ALL",
            quadlet="DropCapability words"),
    several("--security-opt", "OPTION",
            "Security options: no-new-privileges, seccomp=unconfined|FILE, mask=PATHS, "
            "unmask=PATHS|ALL"),
    text("--umask", "OCTAL", "Set the umask (default 0022)"),
    text("--ipc", "MODE",
         "IPC namespace to use: private, shareable, none (without /dev/shm), host or "
         "container:NAME", complete="private shareable none host"),
    text("--pid", "MODE", "PID namespace to use: private, host or container:NAME",
         complete="private host"),
    text("--uts", "MODE", "UTS namespace to use: private, host or container:NAME",
         complete="private host"),
    text("--cgroupns", "MODE", "Cgroup namespace to use: private or host", complete="private host"),
    several("--sysctl", "NAME=VALUE", "Set a sysctl of the container's namespaces",
            quadlet="Sysctl words", aliases="sysctls"),
)  # fmt: skip

LIMITS = (
    text("-m --memory", "SIZE", "Memory limit, as in 512m (-1 for unlimited)", quadlet="Memory",
         aliases="mem_limit"),
    text("--memory-swap", "SIZE", "Limit of memory plus swap (-1 for unlimited swap)",
         aliases="memswap_limit"),
    text("--memory-reservation", "SIZE", "Memory soft limit"),
    text("--cpus", "NUMBER", "Number of CPUs, as in 1.5"),
    number("-c --cpu-shares", "NUMBER", "CPU shares (relative weight), 2 to 262144 (default 1024)"),
    number("--cpu-period", "MICROSECONDS",
           "Limit the CPU CFS (Completely Fair Scheduler) period (default 100000)"),
    number("--cpu-quota", "MICROSECONDS",
           "Limit the CPU CFS (Completely Fair Scheduler) quota (-1 for unlimited)"),
    text("--cpuset-cpus", "LIST", "CPUs in which to allow execution, as in 0-2,4"),
    text("--cpuset-mems", "LIST", "Memory nodes (MEMs) in which to allow execution, as in 0,1"),
    number("--pids-limit", "NUMBER", "Limit the number of processes (-1 for unlimited)",
           quadlet="PidsLimit"),
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
    several("--ulimit", "NAME=SOFT[:HARD]", "Set a resource limit (ulimit), as in nofile=1024:2048",
            quadlet="Ulimit", aliases="ulimits"),
    text("--shm-size", "SIZE", "Size of /dev/shm (default 64m)", quadlet="ShmSize"),
    number("--oom-score-adj", "NUMBER", "Tune the host's OOM preferences (-1000 to 1000)"),
    text("--kernel-memory", "SIZE", "Kernel memory limit (not supported with cgroup v2)",
         fails="memory of the kernel counts towards --memory"),
    number("--memory-swappiness", "PERCENT",
           "Memory swappiness, 0 to 100 (not supported with cgroup v2)",
           fails="the kernel decides by /proc/sys/vm/swappiness"),
    flag("--oom-kill-disable", "Disable the OOM killer (not supported with cgroup v2)",
         fails="--memory-reservation protects memory without blocking the processes"),
    several("--device-cgroup-rule", "RULE",
            "Add a rule to the cgroup's list of allowed devices (not supported without root)",
            fails="only root may filter devices; a container has none but those that you may "
                  "open yourself and name with --device"),
    text("--cpu-rt-period", "MICROSECONDS",
         "Limit the CPU real-time period (not supported with cgroup v2)",
         fails="real-time groups are not part of cgroup version 2"),
    text("--cpu-rt-runtime", "MICROSECONDS",
         "Limit the CPU real-time runtime (not supported with cgroup v2)",
         fails="real-time groups are not part of cgroup version 2"),
)  # fmt: skip

HEALTH = (
    text("--health-cmd", "COMMAND",
         "Command to run to check health: a shell command, or a JSON list (none to disable)",
         quadlet="HealthCmd", argv=True),
    text("--health-interval", "TIME",
         "Time between running the check (default 30s; disable for manual checks only)",
         quadlet="HealthInterval"),
    text("--health-timeout", "TIME", "Maximum time to allow one check to run (default 30s)",
         quadlet="HealthTimeout"),
    number("--health-retries", "NUMBER",
           "Consecutive failures needed to report unhealthy (default 3)", quadlet="HealthRetries"),
    text("--health-start-period", "TIME",
         "Start period in which failures do not count towards retries (default 0s)",
         quadlet="HealthStartPeriod"),
    text("--health-start-interval", "TIME",
         "Time between running the check during the start period (default 5s)"),
    text("--health-on-failure", "ACTION",
         "Action to take once the container is unhealthy: none, kill, restart or stop",
         complete="none kill restart stop", quadlet="HealthOnFailure"),
    text("--health-startup-cmd", "COMMAND",
         "Command of the startup check, which must succeed before health checks begin",
         quadlet="HealthStartupCmd", argv=True),
    text("--health-startup-interval", "TIME",
         "Time between running the startup check (default 30s)", quadlet="HealthStartupInterval"),
    number("--health-startup-retries", "NUMBER",
           "Failed startup checks after which the container is restarted (default: never)",
           quadlet="HealthStartupRetries"),
    number("--health-startup-success", "NUMBER",
           "Successful startup checks needed before health checks begin (default 1)",
           quadlet="HealthStartupSuccess"),
    text("--health-startup-timeout", "TIME",
         "Maximum time to allow one startup check to run (default 30s)",
         quadlet="HealthStartupTimeout"),
    text("--health-log-destination", "PLACE",
         "Destination of the health check log: local, events_logger or a directory",
         complete="local events_logger", quadlet="HealthLogDestination"),
    number("--health-max-log-count", "NUMBER",
           "Maximum number of results in the health check log (default 5; 0 for unlimited)",
           quadlet="HealthMaxLogCount"),
    number("--health-max-log-size", "NUMBER",
           "Maximum characters of output kept for each check (default 500; 0 for unlimited)",
           quadlet="HealthMaxLogSize"),
    flag("--no-healthcheck", "Disable any health check specified by the image"),
)  # fmt: skip

_ADVANCED = (
    several("--annotation", "NAME=VALUE", "Add an annotation to the OCI runtime configuration",
            quadlet="Annotation words", aliases="annotations"),
    text("--http-proxy", "BOOL",
         "Pass the proxy variables of the host on to the container (default false)",
         complete="true false", bare="true"),
    text("--systemd", "MODE",
         "Prepare the container for systemd: true (where the command is an init), always or false",
         complete="true false always"),
    text("--seccomp-policy", "NAME", "Seccomp policy: default", complete="default", field=False),
    text("--personality", "NAME", "Execution domain of the command: LINUX or LINUX32",
         complete="LINUX LINUX32"),
    several("--requires", "CONTAINER", "Start these containers before this one",
            complete="container"),
    text("--tz", "ZONE", "Set the time zone, as in Europe/Berlin (local for the host's)",
         quadlet="Timezone"),
    text("--cgroup-parent", "SLICE", "Parent cgroup of the container: a slice or a directory"),
    text("--cgroups", "MODE",
         "Cgroup mode: enabled, disabled, split (below the current unit) or no-conmon",
         complete="enabled disabled split no-conmon", quadlet="CgroupsMode"),
    text("--runtime", "NAME", "OCI runtime to use: rootless (built in), crun, runc or a path",
         complete="rootless crun runc"),
    text("--log-driver", "NAME", "Logging driver: k8s-file, json-file, journald or none",
         complete="k8s-file json-file journald none", quadlet="LogDriver"),
    several("--log-opt", "NAME=VALUE",
            "Logging driver options: max-size=SIZE, max-file=N, path=FILE; for journald "
            "tag=TEXT, labels=, env=", quadlet="LogOpt"),
    text("--detach-keys", "KEYS",
         "Override the key sequence for detaching (default ctrl-p,ctrl-q)"),
    text("--pid-file --pidfile", "FILE",
         "Write the host PID of the container's first process to a file", complete="file",
         dest="pid_file"),
    text("--conmon-pidfile", "FILE", "Write the PID of the container's monitor to a file",
         complete="file"),
    text("--sdnotify", "WHO",
         "Who notifies systemd of readiness: conmon (the monitor, once the container runs), "
         "container, healthy (the monitor, once the container is healthy) or ignore",
         complete="conmon container healthy ignore"),
    number("--preserve-fds", "N",
           "Pass N additional file descriptors, from 3 on, to the container"),
    several("--preserve-fd", "N,...", "Pass these file descriptors to the container", only="run"),
    text("--sig-proxy", "BOOL", "Proxy received signals to the process (default true)",
         field=False, only="run"),
    flag("--dry-run", "Print the launch plan without running anything", field=False, only="run"),
)  # fmt: skip


SECTIONS = (
    ("Basic options", _BASIC),
    ("File system options", _FILES),
    ("Network options", _NETWORK),
    ("User, namespace and security options", _SECURITY),
    ("Resource limit options", (*LIMITS, *_MORE_LIMITS)),
    ("Health check options", HEALTH),
    ("Advanced options", _ADVANCED),
)


def sections(verb: str) -> tuple[tuple[str, Sequence[Option]], ...]:
    """The options of `run` or `create` under the headings of the help."""
    return tuple(
        (title, [one for one in flags if one.only in ("", verb)]) for title, flags in SECTIONS
    )
