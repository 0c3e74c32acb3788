"""What can be asked of a container: the command line's flags as data, `-` written `_`.

One vocabulary serves the command line and the library.  The library also understands the words of
docker's Python client where they differ (`environment`, `volumes`, `ports`, `remove`, …).
"""

from __future__ import annotations

from rootless.engine.common import arguments
from rootless.errors import UsageError

TYPE_CHECKING = False


class _Options:
    """Attributes with defaults; words that are not known are refused."""

    LISTS: tuple[str, ...] = ()
    FLAGS: tuple[str, ...] = ()
    TEXTS: tuple[str, ...] = ()

    def __init__(self, **words: object) -> None:
        table = self.__dict__
        for name in self.LISTS:
            table[name] = []
        for name in self.FLAGS:
            table[name] = False
        for name in self.TEXTS:
            table[name] = None
        for name, value in words.items():
            self._take(name, value)

    def _take(self, name: str, value: object) -> None:
        if name in _ALIASES:
            name = _ALIASES[name]
        if name not in self.__dict__:
            raise UsageError(
                f'unknown option "{name}"', hint="options are named as the command line's, with _"
            )
        if name in _COMMANDS:
            self.__dict__[name] = arguments.command(value)
        elif name in self.LISTS:
            self.__dict__[name] = _list(name, value)
        elif name in self.FLAGS:
            self.__dict__[name] = _flag(name, value)
        elif value is None or isinstance(value, str) or name in _NUMBERS:
            self.__dict__[name] = _number(name, value) if name in _NUMBERS else value
        elif name in _WORDS and isinstance(value, (list, tuple)):
            self.__dict__[name] = arguments.words(_shown(name), value)
        elif name == "restart" and isinstance(value, dict):
            self.__dict__[name] = _restart(value)
        else:
            self.__dict__[name] = arguments.word(_shown(name), value)


# one program with its arguments; and texts that may be such as a list
_COMMANDS = ("command", "create_command")
_WORDS = ("entrypoint", "health_cmd", "health_startup_cmd")


_NUMBERS = (
    "stop_timeout", "pids_limit", "cpu_shares", "cpu_period", "cpu_quota", "blkio_weight",
    "oom_score_adj", "memory_swappiness", "preserve_fds", "timeout", "health_retries",
    "health_startup_retries",
    "health_startup_success", "health_max_log_count", "health_max_log_size",
)  # fmt: skip

_ALIASES = {
    "environment": "env",
    "volumes": "volume",
    "ports": "publish",
    "publish_all_ports": "publish_all",
    "labels": "label",
    "annotations": "annotation",
    "remove": "rm",
    "auto_remove": "rm",
    "working_dir": "workdir",
    "mem_limit": "memory",
    "memswap_limit": "memory_swap",
    "network_mode": "network",
    "stdin_open": "interactive",
    "devices": "device",
    "sysctls": "sysctl",
    "ulimits": "ulimit",
    "extra_hosts": "add_host",
    "mounts": "mount",
    "restart_policy": "restart",
    "userns_mode": "userns",
}


def _number(name: str, value: object) -> int | None:
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        flag = name.replace("_", "-")
        raise UsageError(f'invalid --{flag} "{value}"', hint="a whole number") from None


def _shown(name: str) -> str:
    return f"the option {name}"


def _flag(name: str, value: object) -> bool:
    # bool("false") is True
    if isinstance(value, str):
        raise UsageError(f'the option {name} is True or False, not "{value}"')
    return bool(value)


def _restart(policy: dict[str, object]) -> str:
    """docker-py: {"Name": "on-failure", "MaximumRetryCount": 5}."""
    unknown = [key for key in policy if key not in ("Name", "MaximumRetryCount")]
    if unknown:
        raise UsageError(
            f'unknown word "{unknown[0]}" of a restart policy', hint="Name, MaximumRetryCount"
        )
    name, count = str(policy.get("Name") or "no"), policy.get("MaximumRetryCount")
    return f"{name}:{count}" if count else name


def _list(name: str, value: object) -> list[str]:
    """Words; a table becomes NAME=VALUE words, or what the flag of that name expects."""
    if isinstance(value, dict):
        made = []
        for key, one in value.items():
            key = arguments.word(_shown(name), key)
            # docker-py: {"80/tcp": [8080, 8081]} is two ports
            several = one if name == "publish" and isinstance(one, list) else [one]
            made += [_pair(name, key, part) for part in several]
        return made
    if isinstance(value, (list, tuple)):
        return [_in_list(name, one) for one in value]
    return arguments.words(_shown(name), value)


def _in_list(name: str, value: object) -> str:
    if name == "ulimit" and isinstance(value, dict):
        # docker-py: Ulimit(name="nofile", soft=1024, hard=2048)
        low = {str(key).lower(): one for key, one in value.items()}
        soft, hard = low.get("soft"), low.get("hard")
        soft, hard = hard if soft is None else soft, soft if hard is None else hard
        return f"{low.get('name')}={soft}:{hard}"
    return arguments.word(_shown(name), value)


def _pair(name: str, key: str, value: object) -> str:
    if name == "volume":
        # docker-py: {source: {"bind": target, "mode": "ro"}}
        if not isinstance(value, dict):
            return f"{key}:{arguments.word(_shown(name), value)}"
        if unknown := [one for one in ("bind", *value) if one not in value or one not in _BIND]:
            raise UsageError(
                f'the volume "{key}" is described by bind and mode, not {value!r}',
                hint=f"what about {unknown[0]}?",
            )
        return f"{key}:{value['bind']}:{value.get('mode', 'rw')}"
    if name == "publish" and isinstance(value, tuple):
        # docker-py: {"80/tcp": 8080} or (address, port), or (address,) for any port
        return ":".join([*(str(one) for one in value), *([""] if len(value) == 1 else []), key])
    if value is None:
        return key
    text = str(value) if isinstance(value, bool) else arguments.word(_shown(name), value)
    if name == "publish":
        return f"{text}:{key}"
    # docker-py: tmpfs={"/mnt": "size=3G,uid=1000"}
    if name in ("add_host", "tmpfs"):
        return f"{key}:{text}" if text else key
    return f"{key}={text}"


_BIND = ("bind", "mode")


# what health.parse takes
_HEALTH = (
    "health_cmd", "health_interval", "health_timeout", "health_retries", "health_start_period",
    "health_start_interval", "health_on_failure", "health_startup_cmd",
    "health_startup_interval", "health_startup_retries", "health_startup_success",
    "health_startup_timeout", "health_log_destination", "health_max_log_count",
    "health_max_log_size",
)  # fmt: skip


class ContainerOptions(_Options):
    """Options of `create` and `run`; see rootless-run(1) for their meanings."""

    LISTS = (
        "command", "env", "env_file", "unsetenv", "group_add", "volume", "mount", "tmpfs",
        "publish", "dns", "dns_search", "dns_option", "add_host", "uidmap", "gidmap", "ulimit",
        "cap_add", "cap_drop", "security_opt", "device", "label", "label_file", "annotation",
        "sysctl", "log_opt", "blkio_weight_device", "device_read_bps", "device_write_bps",
        "device_read_iops", "device_write_iops", "cgroup_conf", "create_command",
        "storage_opt", "volumes_from", "expose",
        "device_cgroup_rule",
    )  # fmt: skip
    FLAGS = (
        "rootfs", "detach", "interactive", "tty", "rm", "read_only", "privileged", "init",
        "lazy", "replace", "env_host", "unsetenv_all", "publish_all", "oom_kill_disable",
        "no_healthcheck", "writable_tmpfs",
    )  # fmt: skip
    TEXTS = (
        "name", "hostname", "workdir", "user", "entrypoint", "network", "userns",
        "memory", "memory_swap", "cpus", "cpuset_cpus", "pids_limit", "shm_size", "stop_signal",
        "stop_timeout", "cidfile", "pid_file", "pull", "platform", "restart", "runtime", "tz",
        "umask", "ipc", "pid", "uts", "cgroupns", "cgroup_parent", "log_driver", "detach_keys",
        "storage_driver", "image_volume", "memory_reservation", "memory_swappiness",
        "kernel_memory", "cpu_shares",
        "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpuset_mems",
        "blkio_weight", "oom_score_adj", "cgroups", "sdnotify", "conmon_pidfile", "preserve_fds",
        "timeout", *_HEALTH,
    )  # fmt: skip
    # what cgroups.limits.parse takes; `update` has these as well
    LIMITS = (
        "memory", "memory_swap", "memory_reservation", "cpus", "cpu_shares", "cpu_period",
        "cpu_quota", "cpuset_cpus", "cpuset_mems", "pids_limit", "blkio_weight",
        "blkio_weight_device", "device_read_bps", "device_write_bps", "device_read_iops",
        "device_write_iops", "cgroup_conf",
    )  # fmt: skip

    HEALTH = _HEALTH

    if TYPE_CHECKING:
        image: str
        health_cmd: str | list[str] | None
        health_interval: str | None
        health_on_failure: str | None
        health_startup_cmd: str | list[str] | None
        health_log_destination: str | None
        no_healthcheck: bool
        timeout: int | None
        command: list[str]
        env: list[str]
        env_file: list[str]
        unsetenv: list[str]
        group_add: list[str]
        volume: list[str]
        mount: list[str]
        tmpfs: list[str]
        publish: list[str]
        expose: list[str]
        dns: list[str]
        dns_search: list[str]
        dns_option: list[str]
        add_host: list[str]
        uidmap: list[str]
        gidmap: list[str]
        ulimit: list[str]
        cap_add: list[str]
        cap_drop: list[str]
        security_opt: list[str]
        device: list[str]
        label: list[str]
        label_file: list[str]
        annotation: list[str]
        sysctl: list[str]
        log_opt: list[str]
        rootfs: bool
        detach: bool
        interactive: bool
        tty: bool
        rm: bool
        read_only: bool
        privileged: bool
        init: bool
        lazy: bool
        writable_tmpfs: bool
        replace: bool
        env_host: bool
        unsetenv_all: bool
        publish_all: bool
        name: str | None
        hostname: str | None
        workdir: str | None
        user: str | None
        entrypoint: str | list[str] | None
        network: str | None
        userns: str | None
        memory: str | None
        memory_swap: str | None
        cpus: str | None
        cpuset_cpus: str | None
        pids_limit: int | None
        shm_size: str | None
        stop_signal: str | None
        stop_timeout: int | None
        cidfile: str | None
        pid_file: str | None
        pull: str | None
        platform: str | None
        restart: str | None
        runtime: str | None
        tz: str | None
        umask: str | None
        ipc: str | None
        pid: str | None
        uts: str | None
        cgroupns: str | None
        cgroup_parent: str | None
        log_driver: str | None
        detach_keys: str | None
        storage_driver: str | None
        image_volume: str | None
        storage_opt: list[str]
        volumes_from: list[str]
        memory_reservation: str | None
        memory_swappiness: int | None
        kernel_memory: str | None
        cpu_shares: int | None
        cpu_period: int | None
        cpu_quota: int | None
        cpu_rt_period: str | None
        cpu_rt_runtime: str | None
        cpuset_mems: str | None
        blkio_weight: int | None
        blkio_weight_device: list[str]
        device_read_bps: list[str]
        device_write_bps: list[str]
        device_read_iops: list[str]
        device_write_iops: list[str]
        device_cgroup_rule: list[str]
        cgroup_conf: list[str]
        oom_kill_disable: bool
        oom_score_adj: int | None
        cgroups: str | None
        sdnotify: str | None
        conmon_pidfile: str | None
        create_command: list[str]
        preserve_fds: int | None

    def __init__(self, image: str, **words: object) -> None:
        self.image = image
        if words.get("healthcheck"):
            from rootless.engine.health import config as health_config

            words.update(health_config.words_of(words.pop("healthcheck")))
        super().__init__(**words)


class ExecOptions(_Options):
    """Options of `exec`."""

    LISTS = ("command", "env", "env_file")
    FLAGS = ("detach", "interactive", "tty", "privileged")
    TEXTS = ("workdir", "user", "detach_keys")

    if TYPE_CHECKING:
        command: list[str]
        env: list[str]
        env_file: list[str]
        detach: bool
        interactive: bool
        tty: bool
        privileged: bool
        workdir: str | None
        user: str | None
        detach_keys: str | None
