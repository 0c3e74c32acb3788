"""What can be asked of a container: the options of `run` and `create`, `-` written `_`.

Made from rootless/cli/container_flags.py by `python -m rootless.cli.generate`; not to be edited.
"""

from __future__ import annotations

from rootless.engine.spec.option_values import ContainerValues

TYPE_CHECKING = False


class ContainerOptions(ContainerValues):
    """Options of `create` and `run`, as the command line has them.

    command (list of str, or str): The command and its arguments
    healthcheck (dict): A health check as docker's Python client describes it
    add_host (list of str): Add a host-to-IP mapping to /etc/hosts (host-gateway is the host's
        address)
    annotation (list of str): Add an annotation to the OCI runtime configuration
    blkio_weight (int): Block I/O weight (relative weight), 10 to 1000
    blkio_weight_device (list of str): Block I/O weight of a device (relative weight)
    cap_add (list of str): Add a Linux capability, or ALL
    cap_drop (list of str): Drop a Linux capability, or ALL
    cgroup_conf (list of str): Set a file of cgroup v2, as in memory.high=64M
    cgroup_parent (str): Parent cgroup of the container: a slice or a directory
    cgroupns (str): Cgroup namespace to use: private or host
    cgroups (str): Cgroup mode: enabled, disabled, split (below the current unit) or no-conmon
    chrootdirs (list of str): Have /etc/hosts and /etc/resolv.conf also below this directory of the
        container
    cidfile (str): Write the container ID to a file
    conmon_pidfile (str): Write the PID of the container's monitor to a file
    cpu_period (int): Limit the CPU CFS (Completely Fair Scheduler) period (default 100000)
    cpu_quota (int): Limit the CPU CFS (Completely Fair Scheduler) quota (-1 for unlimited)
    cpu_shares (int): CPU shares (relative weight), 2 to 262144 (default 1024)
    cpus (str): Number of CPUs, as in 1.5
    cpuset_cpus (str): CPUs in which to allow execution, as in 0-2,4
    cpuset_mems (str): Memory nodes (MEMs) in which to allow execution, as in 0,1
    detach (bool): Run the container in the background and print its ID
    detach_keys (str): Override the key sequence for detaching (default ctrl-p,ctrl-q)
    device (list of str): Add a host device, or all devices of a directory
    device_read_bps (list of str): Limit read rate from a device (bytes per second), as in
        /dev/sda:1m
    device_read_iops (list of str): Limit read rate from a device (I/O operations per second)
    device_write_bps (list of str): Limit write rate to a device (bytes per second)
    device_write_iops (list of str): Limit write rate to a device (I/O operations per second)
    dns (list of str): Set a custom DNS server
    dns_option (list of str): Set a DNS option, as in resolv.conf(5)
    dns_search (list of str): Set a custom DNS search domain
    entrypoint (str, or list of str): Overwrite the entrypoint of the image: a command, or a JSON
        list
    env (list of str): Set an environment variable, or pass one on from the host
    env_file (list of str): Read environment variables from a file
    env_host (bool): Pass all environment variables of the host on to the container
    env_merge (list of str): Set an environment variable to what is made of others, as in
        PATH=/opt:${PATH}
    expose (list of str): Expose a port, so that --publish-all publishes it
    gidmap (list of str): Map GIDs; OUTSIDE counts your own IDs, @N is a host GID
    group_add (list of str): Add a supplementary group
    health_cmd (str, or list of str): Command to run to check health: a shell command, or a JSON
        list (none to disable)
    health_interval (str): Time between running the check (default 30s; disable for manual checks
        only)
    health_log_destination (str): Destination of the health check log: local, events_logger or a
        directory
    health_max_log_count (int): Maximum number of results in the health check log (default 5; 0 for
        unlimited)
    health_max_log_size (int): Maximum characters of output kept for each check (default 500; 0 for
        unlimited)
    health_on_failure (str): Action to take once the container is unhealthy: none, kill, restart or
        stop
    health_retries (int): Consecutive failures needed to report unhealthy (default 3)
    health_start_interval (str): Time between running the check during the start period (default 5s)
    health_start_period (str): Start period in which failures do not count towards retries (default
        0s)
    health_startup_cmd (str, or list of str): Command of the startup check, which must succeed
        before health checks begin
    health_startup_interval (str): Time between running the startup check (default 30s)
    health_startup_retries (int): Failed startup checks after which the container is restarted
        (default: never)
    health_startup_success (int): Successful startup checks needed before health checks begin
        (default 1)
    health_startup_timeout (str): Maximum time to allow one startup check to run (default 30s)
    health_timeout (str): Maximum time to allow one check to run (default 30s)
    hostname (str): Set the container's hostname (default: the short container ID)
    http_proxy (str): Pass the proxy variables of the host on to the container (default false)
    image_volume (str): How to handle the image's volumes: anonymous, tmpfs or ignore (default
        anonymous)
    init (bool): Run an init that forwards signals and reaps processes
    interactive (bool): Keep standard input open even if not attached
    ip (str): Set the IPv4 address on the network
    ip6 (str): Set the IPv6 address on the network
    ipc (str): IPC namespace to use: private, shareable, none (without /dev/shm), host or
        container:NAME
    label (list of str): Set metadata on the container
    label_file (list of str): Read labels from a file
    lazy (bool): Start before the image is complete; files are fetched as they are read
    log_driver (str): Logging driver: k8s-file, json-file, journald or none
    log_opt (list of str): Logging driver options: max-size=SIZE, max-file=N, path=FILE; for
        journald tag=TEXT, labels=, env=
    mac_address (str): Set the MAC address on the network
    memory (str): Memory limit, as in 512m (-1 for unlimited)
    memory_reservation (str): Memory soft limit
    memory_swap (str): Limit of memory plus swap (-1 for unlimited swap)
    mount (list of str): Attach a file system mount: type=bind, volume, tmpfs, image, glob, ramfs or
        devpts, source=, target=, ro
    name (str): Assign a name to the container (default: a generated one)
    network (list of str): Networks by name (NAME[:ip=,ip6=,mac=,alias=,interface_name=]), or none,
        host, slirp4netns[:OPTIONS] or container:NAME
    network_alias (list of str): Answer to another name on the networks
    no_healthcheck (bool): Disable any health check specified by the image
    no_hostname (bool): Do not make /etc/hostname in the container
    no_hosts (bool): Do not make /etc/hosts in the container
    oom_score_adj (int): Tune the host's OOM preferences (-1000 to 1000)
    personality (str): Execution domain of the command: LINUX or LINUX32
    pid (str): PID namespace to use: private, host or container:NAME
    pid_file (str): Write the host PID of the container's first process to a file
    pids_limit (int): Limit the number of processes (-1 for unlimited)
    platform (str): Select the platform of the image
    preserve_fd (list of str): Pass these file descriptors to the container
    preserve_fds (int): Pass N additional file descriptors, from 3 on, to the container
    privileged (bool): Give the container all privileges that you have yourself, never more
    publish (list of str): Publish a container's port to the host
    publish_all (bool): Publish all exposed ports to free ports of the host
    pull (str): When to pull the image: missing, always, never or newer (default missing)
    read_only (bool): Mount the container's root file system read-only
    read_only_tmpfs (str): Mount tmpfs at /run, /tmp and /var/tmp where --read-only is given
        (default true)
    replace (bool): Replace an existing container of the same name
    requires (list of str): Start these containers before this one
    restart (str): Restart policy: no, on-failure[:N], always or unless-stopped
    rm (bool): Remove the container when it exits
    rootfs (bool): IMAGE is the path of a root file system (PATH:O leaves it unchanged)
    runtime (str): OCI runtime to use: rootless (built in), crun, runc or a path
    sdnotify (str): Who notifies systemd of readiness: conmon (the monitor, once the container
        runs), container, healthy (the monitor, once the container is healthy) or ignore
    secret (list of str): Show a secret to the container as a file, /run/secrets/NAME (options:
        target=, uid=, gid=, mode=)
    security_opt (list of str): Security options: no-new-privileges, seccomp=unconfined|FILE,
        mask=PATHS, unmask=PATHS|ALL
    shm_size (str): Size of /dev/shm (default 64m)
    stop_signal (str): Signal to stop the container
    stop_timeout (int): Seconds to wait for the container to stop before killing it (default 10)
    storage_driver (str): Storage driver to use (default: the best that works; rootless info lists
        them)
    storage_opt (list of str): Set an option of the storage driver
    sysctl (list of str): Set a sysctl of the container's namespaces
    systemd (str): Prepare the container for systemd: true (where the command is an init), always or
        false
    timeout (int): Maximum time that the container may run before it is killed
    tmpfs (list of str): Mount a tmpfs directory
    tty (bool): Allocate a pseudo-TTY
    tz (str): Set the time zone, as in Europe/Berlin (local for the host's)
    uidmap (list of str): Map UIDs; OUTSIDE counts your own IDs, @N is a host UID
    ulimit (list of str): Set a resource limit (ulimit), as in nofile=1024:2048
    umask (str): Set the umask (default 0022)
    unsetenv (list of str): Unset an environment variable of the image
    unsetenv_all (bool): Unset all environment variables of the image
    user (str): User name or UID (and optionally group name or GID) of the command
    userns (str): User namespace: auto[:size=N], keep-id[:uid=N,gid=N], host, nomap or single
    uts (str): UTS namespace to use: private, host or container:NAME
    volume (list of str): Bind mount a host directory or mount a volume (options: ro, rw, U, O,
        nocopy)
    volumes_from (list of str): Mount the volumes of another container
    workdir (str): Working directory inside the container
    writable_tmpfs (bool): Keep changes to the root file system in memory and discard them at exit
    """

    LISTS = (
        "command", "create_command",
        "env", "env_merge", "env_file", "unsetenv", "label", "label_file", "volume", "mount",
        "tmpfs", "volumes_from", "secret", "device", "storage_opt", "network", "network_alias",
        "publish", "expose", "chrootdirs", "add_host", "dns", "dns_search", "dns_option", "uidmap",
        "gidmap", "group_add", "cap_add", "cap_drop", "security_opt", "sysctl",
        "blkio_weight_device", "device_read_bps", "device_write_bps", "device_read_iops",
        "device_write_iops", "cgroup_conf", "ulimit", "device_cgroup_rule", "annotation",
        "requires", "log_opt", "preserve_fd",
    )  # fmt: skip
    FLAGS = (
        "interactive", "tty", "rm", "env_host", "unsetenv_all", "init", "replace", "detach",
        "read_only", "writable_tmpfs", "rootfs", "lazy", "publish_all", "no_hostname", "no_hosts",
        "privileged", "oom_kill_disable", "no_healthcheck",
    )  # fmt: skip
    # and numbers: what has no value without being given
    TEXTS = (
        "name", "workdir", "user", "entrypoint", "restart", "stop_signal", "stop_timeout",
        "timeout", "pull", "platform", "cidfile", "image_volume", "read_only_tmpfs",
        "storage_driver", "ip", "ip6", "mac_address", "hostname", "userns", "umask", "ipc", "pid",
        "uts", "cgroupns", "memory", "memory_swap", "memory_reservation", "cpus", "cpu_shares",
        "cpu_period", "cpu_quota", "cpuset_cpus", "cpuset_mems", "pids_limit", "blkio_weight",
        "shm_size", "oom_score_adj", "kernel_memory", "memory_swappiness", "cpu_rt_period",
        "cpu_rt_runtime", "health_cmd", "health_interval", "health_timeout", "health_retries",
        "health_start_period", "health_start_interval", "health_on_failure", "health_startup_cmd",
        "health_startup_interval", "health_startup_retries", "health_startup_success",
        "health_startup_timeout", "health_log_destination", "health_max_log_count",
        "health_max_log_size", "http_proxy", "systemd", "personality", "tz", "cgroup_parent",
        "cgroups", "runtime", "log_driver", "detach_keys", "pid_file", "conmon_pidfile", "sdnotify",
        "preserve_fds",
    )  # fmt: skip
    NUMBERS = (
        "stop_timeout", "timeout", "cpu_shares", "cpu_period", "cpu_quota", "pids_limit",
        "blkio_weight", "oom_score_adj", "memory_swappiness", "health_retries",
        "health_startup_retries", "health_startup_success", "health_max_log_count",
        "health_max_log_size", "preserve_fds",
    )  # fmt: skip
    ARGV = ("entrypoint", "health_cmd", "health_startup_cmd")
    # the names of docker's Python client
    ALIASES = {
        "stdin_open": "interactive",
        "remove": "rm",
        "auto_remove": "rm",
        "environment": "env",
        "working_dir": "workdir",
        "restart_policy": "restart",
        "labels": "label",
        "volumes": "volume",
        "mounts": "mount",
        "devices": "device",
        "network_mode": "network",
        "ports": "publish",
        "publish_all_ports": "publish_all",
        "extra_hosts": "add_host",
        "userns_mode": "userns",
        "sysctls": "sysctl",
        "mem_limit": "memory",
        "memswap_limit": "memory_swap",
        "ulimits": "ulimit",
        "annotations": "annotation",
    }
    # what cgroups.limits.parse takes; `update` has these as well
    LIMITS = (
        "memory", "memory_swap", "memory_reservation", "cpus", "cpu_shares", "cpu_period",
        "cpu_quota", "cpuset_cpus", "cpuset_mems", "pids_limit", "blkio_weight",
        "blkio_weight_device", "device_read_bps", "device_write_bps", "device_read_iops",
        "device_write_iops", "cgroup_conf",
    )  # fmt: skip
    # what health.config.parse takes
    HEALTH = (
        "health_cmd", "health_interval", "health_timeout", "health_retries", "health_start_period",
        "health_start_interval", "health_on_failure", "health_startup_cmd",
        "health_startup_interval", "health_startup_retries", "health_startup_success",
        "health_startup_timeout", "health_log_destination", "health_max_log_count",
        "health_max_log_size",
    )  # fmt: skip
    # what nobody can have without root or with cgroup version 2, and why
    REFUSED = {
        "kernel_memory": "memory of the kernel counts towards --memory",
        "memory_swappiness": "the kernel decides by /proc/sys/vm/swappiness",
        "oom_kill_disable": "--memory-reservation protects memory without blocking the processes",
        "device_cgroup_rule": "only root may filter devices; a container has none but those that "
        "you may open yourself and name with --device",
        "cpu_rt_period": "real-time groups are not part of cgroup version 2",
        "cpu_rt_runtime": "real-time groups are not part of cgroup version 2",
    }

    if TYPE_CHECKING:
        interactive: bool
        tty: bool
        name: str | None
        rm: bool
        env: list[str]
        env_merge: list[str]
        env_file: list[str]
        env_host: bool
        unsetenv: list[str]
        unsetenv_all: bool
        workdir: str | None
        user: str | None
        entrypoint: str | list[str] | None
        init: bool
        restart: str | None
        stop_signal: str | None
        stop_timeout: int | None
        timeout: int | None
        replace: bool
        pull: str | None
        platform: str | None
        label: list[str]
        label_file: list[str]
        cidfile: str | None
        detach: bool
        volume: list[str]
        mount: list[str]
        tmpfs: list[str]
        volumes_from: list[str]
        secret: list[str]
        image_volume: str | None
        read_only: bool
        read_only_tmpfs: str | None
        writable_tmpfs: bool
        device: list[str]
        rootfs: bool
        lazy: bool
        storage_driver: str | None
        storage_opt: list[str]
        network: list[str]
        ip: str | None
        ip6: str | None
        mac_address: str | None
        network_alias: list[str]
        publish: list[str]
        publish_all: bool
        expose: list[str]
        hostname: str | None
        no_hostname: bool
        no_hosts: bool
        chrootdirs: list[str]
        add_host: list[str]
        dns: list[str]
        dns_search: list[str]
        dns_option: list[str]
        userns: str | None
        uidmap: list[str]
        gidmap: list[str]
        group_add: list[str]
        privileged: bool
        cap_add: list[str]
        cap_drop: list[str]
        security_opt: list[str]
        umask: str | None
        ipc: str | None
        pid: str | None
        uts: str | None
        cgroupns: str | None
        sysctl: list[str]
        memory: str | None
        memory_swap: str | None
        memory_reservation: str | None
        cpus: str | None
        cpu_shares: int | None
        cpu_period: int | None
        cpu_quota: int | None
        cpuset_cpus: str | None
        cpuset_mems: str | None
        pids_limit: int | None
        blkio_weight: int | None
        blkio_weight_device: list[str]
        device_read_bps: list[str]
        device_write_bps: list[str]
        device_read_iops: list[str]
        device_write_iops: list[str]
        cgroup_conf: list[str]
        ulimit: list[str]
        shm_size: str | None
        oom_score_adj: int | None
        kernel_memory: str | None
        memory_swappiness: int | None
        oom_kill_disable: bool
        device_cgroup_rule: list[str]
        cpu_rt_period: str | None
        cpu_rt_runtime: str | None
        health_cmd: str | list[str] | None
        health_interval: str | None
        health_timeout: str | None
        health_retries: int | None
        health_start_period: str | None
        health_start_interval: str | None
        health_on_failure: str | None
        health_startup_cmd: str | list[str] | None
        health_startup_interval: str | None
        health_startup_retries: int | None
        health_startup_success: int | None
        health_startup_timeout: str | None
        health_log_destination: str | None
        health_max_log_count: int | None
        health_max_log_size: int | None
        no_healthcheck: bool
        annotation: list[str]
        http_proxy: str | None
        systemd: str | None
        personality: str | None
        requires: list[str]
        tz: str | None
        cgroup_parent: str | None
        cgroups: str | None
        runtime: str | None
        log_driver: str | None
        log_opt: list[str]
        detach_keys: str | None
        pid_file: str | None
        conmon_pidfile: str | None
        sdnotify: str | None
        preserve_fds: int | None
        preserve_fd: list[str]
