"""Image configuration + options + host -> OCI runtime configuration.  Pure functions.

Sources: OCI image specification (conversion.md), OCI runtime specification, docker-run(1).
"""

from __future__ import annotations

import os

from rootless.engine.common import environment as common_environment
from rootless.engine.spec.option_values import truth
from rootless.errors import UsageError
from rootless.runtime import capabilities, defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.spec.options import ContainerOptions
    from rootless.engine.spec.user import Account
    from rootless.userns.idmap import IdMaps


def command(options: ContainerOptions, image: Json) -> list[str]:
    """The argument list, by docker's rules for entry point and command."""
    entrypoint = list(image.get("Entrypoint") or ())
    words = list(options.command)
    if options.entrypoint is not None:
        given = options.entrypoint
        if isinstance(given, list):
            entrypoint = list(given)
        elif given.startswith("["):
            from rootless import documents

            try:
                entrypoint = [str(word) for word in documents.loads(given)]
            except ValueError:
                raise UsageError(
                    f"invalid --entrypoint {given}", hint="a word, or a JSON list"
                ) from None
        else:
            entrypoint = [given] if given else []
    elif not words:
        words = list(image.get("Cmd") or ())
    words = entrypoint + words
    if not words:
        raise UsageError(
            "no command given, and the image has neither an entry point nor a command",
            hint="name a command after the image, as in: rootless run IMAGE sh",
        )
    return words


def environment(options: ContainerOptions, image: Json, hostname: str, home: str) -> list[str]:
    """NAME=VALUE strings; what is given later wins, as with docker."""
    values: dict[str, str] = {"PATH": defaults.PATH}
    if options.tty:
        values["TERM"] = os.environ.get("TERM") or "xterm"
    values["HOSTNAME"] = hostname
    values["container"] = "rootless"
    if truth("--http-proxy", options.http_proxy, False):
        common_environment.proxies(values)
    if options.env_host:
        values.update(os.environ)
    if not options.unsetenv_all:
        common_environment.of_image(values, image.get("Env") or ())
    for path in options.env_file:
        common_environment.assign(values, common_environment.from_file(path))
    for name in options.unsetenv:
        values.pop(name, None)
    common_environment.assign(values, options.env)
    common_environment.merge(values, options.env_merge)
    values.setdefault("HOME", home)
    return [f"{name}={value}" for name, value in values.items()]


def rlimits(words: list[str]) -> list[Json]:
    """`--ulimit nofile=1024:2048` -> OCI rlimits.  Raises UsageError."""
    if not words:
        return []
    import resource

    made = []
    for word in words:
        name, _, value = word.partition("=")
        key = "RLIMIT_" + name.upper()
        soft, _, hard = value.partition(":")
        try:
            numbers = [
                (1 << 64) - 1 if one in ("-1", "unlimited") else int(one)
                for one in (soft, hard or soft)
            ]
            ceiling = resource.getrlimit(getattr(resource, key))[1]
        except (ValueError, AttributeError):
            raise UsageError(
                f'invalid --ulimit "{word}"', hint="NAME=SOFT[:HARD], as in nofile=1024:2048"
            ) from None
        if ceiling != resource.RLIM_INFINITY and numbers[1] > ceiling:
            raise UsageError(
                f"--ulimit {word}: the hard limit of this session is {ceiling}",
                hint="an unprivileged user cannot raise it; see limits.conf(5)",
            )
        made.append({"type": key, "soft": numbers[0], "hard": numbers[1]})
    return made


def capability_sets(options: ContainerOptions, uid: int) -> Json:
    """The five sets: docker's defaults, adjusted; other users than root get only the bounds."""
    names = capabilities.adjust(options.cap_add, options.cap_drop, options.privileged)
    held = names if uid == 0 else []
    return {
        "bounding": names,
        "effective": held,
        "permitted": held,
        "inheritable": [],
        "ambient": [],
    }


def namespace_modes(options: ContainerOptions) -> dict[str, str | None]:
    """What was asked for of each namespace but that of the network."""
    return {
        "pid": options.pid,
        "ipc": options.ipc,
        "uts": options.uts,
        "cgroup": options.cgroupns,
    }


def namespaces(
    modes: dict[str, str | None], joined: dict[str, str], host_network: bool
) -> list[Json]:
    """OCI namespaces: which are made, which joined by path, which left as the host's."""
    made: list[Json] = [{"type": "user"}, {"type": "mount"}]
    for kind, value in modes.items():
        if kind in joined:
            made.append({"type": kind, "path": joined[kind]})
        elif value != "host":
            more = ("shareable", "none") if kind == "ipc" else ()
            if value not in (None, "", "private", *more):
                raise UsageError(
                    f"--{kind}{'ns' if kind == 'cgroup' else ''} {value} is not known",
                    hint="private, host, or container:NAME",
                )
            made.append({"type": kind})
    if "network" in joined:
        made.append({"type": "network", "path": joined["network"]})
    elif not host_network:
        made.append({"type": "network"})
    return made


def security(options: ContainerOptions) -> dict[str, str]:
    """`--security-opt` words as a table.  Raises UsageError for what is not understood."""
    table: dict[str, str] = {}
    for word in options.security_opt:
        name, _, value = word.replace(":", "=", 1).partition("=")
        if name in ("no-new-privileges",):
            table[name] = value or "true"
        elif name in ("seccomp", "mask", "unmask") or name in ("label", "apparmor", "systempaths"):
            table[name] = value
        else:
            raise UsageError(
                f'invalid --security-opt "{word}"',
                hint="no-new-privileges, seccomp=unconfined|FILE, mask=PATHS, unmask=PATHS|ALL",
            )
    return table


def paths_masked(options: ContainerOptions, opts: dict[str, str]) -> tuple[list[str], list[str]]:
    """(maskedPaths, readonlyPaths) after --privileged and --security-opt mask/unmask."""
    if options.privileged or opts.get("unmask") == "ALL" or opts.get("systempaths") == "unconfined":
        return [], []
    masked = defaults.masked_paths()
    readonly = list(defaults.READONLY_PATHS)
    for path in filter(None, opts.get("unmask", "").split(":")):
        masked = [one for one in masked if one != path]
        readonly = [one for one in readonly if one != path]
    masked += [path for path in opts.get("mask", "").split(":") if path]
    return masked, readonly


def config(
    options: ContainerOptions,
    *,
    account: Account,
    arguments: list[str],
    env: list[str],
    image: Json,
    root: str,
    hostname: str,
    mounts: list[Json],
    spaces: list[Json],
    maps: IdMaps,
    shm_size: int,
    resources: Json,
    read_only_sysctls: bool = False,
) -> Json:
    """The OCI configuration of a container.

    `read_only_sysctls`: /proc is that of a container around, so none is set by default.
    """
    opts = security(options)
    masked, readonly = paths_masked(options, opts)
    cwd = options.workdir or image.get("WorkingDir") or "/"
    if not cwd.startswith("/"):
        raise UsageError(f'the working directory "{cwd}" is not an absolute path')
    user: Json = {"uid": account.uid, "gid": account.gid, "additionalGids": account.groups}
    if options.umask:
        try:
            user["umask"] = int(options.umask, 8)
        except ValueError:
            raise UsageError(
                f'invalid --umask "{options.umask}"', hint="octal, as in 0022"
            ) from None
    else:
        user["umask"] = 0o022
    made = {one["type"] for one in spaces if not one.get("path")}
    own = {one["type"] for one in spaces}
    sysctls = defaults.sysctls(
        own_network="network" in made and not read_only_sysctls,
        largest_gid=maps.gids[0][2] - 1 if maps.gids[0][0] == 0 else 0,
    )
    for word in options.sysctl:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f'invalid --sysctl "{word}"', hint="NAME=VALUE")
        sysctls[name] = value
    made_config: Json = {
        "ociVersion": "1.2.0",
        "hostname": hostname,
        "root": {"path": root, "readonly": bool(options.read_only)},
        "process": {
            "terminal": bool(options.tty),
            "user": user,
            "args": arguments,
            "env": env,
            "cwd": cwd,
            "capabilities": capability_sets(options, account.uid),
            "rlimits": rlimits(options.ulimit),
            "noNewPrivileges": opts.get("no-new-privileges", "false") != "false",
            **_oom_score(options.oom_score_adj),
        },
        "mounts": _without_shm(
            options.ipc,
            defaults.mounts(
                tty_group=maps.to_host_gid(5) is not None,
                shm_size=shm_size,
                own_network="network" in own,
                own_ipc="ipc" in own,
                own_pid="pid" in own,
                own_cgroup="cgroup" in own,
            ),
        )
        + mounts,
        "annotations": _pairs(options.annotation, "--annotation"),
        "linux": {
            "namespaces": spaces,
            "uidMappings": _mappings(maps.uids),
            "gidMappings": _mappings(maps.gids),
            "sysctl": sysctls,
            "resources": resources,
            **_personality(options.personality),
            "maskedPaths": masked,
            "readonlyPaths": readonly,
            "devices": [],
        },
    }
    if options.systemd:
        from rootless.engine.spec import systemd_mode

        if systemd_mode.wanted(options, arguments):
            systemd_mode.writable_cgroup(made_config["mounts"])
    return made_config


def _personality(name: str | None) -> Json:
    if name is None:
        return {}
    if name not in ("LINUX", "LINUX32"):
        raise UsageError(f'unknown --personality "{name}"', hint="LINUX or LINUX32")
    return {"personality": {"domain": name}}


def _without_shm(ipc: str | None, mounts: list[Json]) -> list[Json]:
    """--ipc none: a namespace of its own, and no /dev/shm."""
    return [one for one in mounts if ipc != "none" or one["destination"] != "/dev/shm"]


def _oom_score(value: int | None) -> Json:
    if value is None:
        return {}
    if not -1000 <= value <= 1000:
        raise UsageError(f"--oom-score-adj {value} is not between -1000 and 1000")
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        least = int(file.read())
    if value < least:
        raise UsageError(
            f"--oom-score-adj {value} is less than this session's own {least}",
            hint="an unprivileged user can only raise it",
        )
    return {"oomScoreAdj": value}


def _mappings(extents: object) -> list[Json]:
    return [
        {"containerID": inside, "hostID": outside, "size": size}
        for inside, outside, size in extents  # type: ignore[attr-defined]
    ]


def _pairs(words: list[str], flag: str) -> dict[str, str]:
    table = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name:
            raise UsageError(f'invalid {flag} "{word}"', hint="NAME=VALUE")
        table[name] = value
    return table


def labels(options: ContainerOptions, image: Json) -> dict[str, str]:
    """The image's labels, those of --label-file and --label."""
    table = dict(image.get("Labels") or {})
    for path in options.label_file:
        table.update(_pairs(common_environment.from_file(path), "--label-file"))
    table.update(_pairs(options.label, "--label"))
    return table
