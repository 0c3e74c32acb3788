"""`info`, `version` and `unshare`."""

from __future__ import annotations

import os
import sys

from rootless import paths
from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.engine.context import Context


def version() -> Json:
    """Return versions of the program, of Python and of the kernel."""
    from rootless.version import __version__

    release = os.uname()
    architecture = _architecture(release.machine)
    found = {
        "Version": __version__,
        "Python": ".".join(map(str, sys.version_info[:3])),
        "OsArch": f"linux/{architecture}",
        "Os": "linux",
        "Arch": architecture,
        "KernelVersion": release.release,
        "OciRuntimeSpec": "1.3.0",
    }
    # scripts ask docker for the server's; both are this program
    return {"Client": found, "Server": found}


def _as_docker_says(ctx: Context, cgroups: str) -> Json:
    """Words of docker's `info` that scripts look for."""
    release = os.uname()
    return {
        "ServerVersion": version()["Server"]["Version"],
        "OSType": "linux",
        "Architecture": release.machine,
        "KernelVersion": release.release,
        "OperatingSystem": _system(),
        "CgroupDriver": cgroups,
        "CgroupVersion": "2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "1",
        "DefaultRuntime": ctx.runtime or "rootless",
        "DockerRootDir": ctx.data_dir,
        "LoggingDriver": "k8s-file",
        "OSVersion": "",
        "IndexServerAddress": "https://index.docker.io/v1/",
        "ExperimentalBuild": False,
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "Debug": False,
        "Labels": [],
        "Warnings": None,
        "HttpProxy": os.environ.get("http_proxy", ""),
        "HttpsProxy": os.environ.get("https_proxy", ""),
        "NoProxy": os.environ.get("no_proxy", ""),
        "Swarm": {"NodeID": "", "LocalNodeState": "inactive", "ControlAvailable": False},
    }


def _system() -> str:
    """What os-release(5) calls this system."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.strip().partition("=")
                if name == "PRETTY_NAME":
                    return value.strip("\"'")
    except OSError:
        pass
    return "Linux"


def _architecture(machine: str) -> str:
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(machine, machine)


def info(engine: Collections) -> Json:
    """Return what was chosen on this host, and why."""
    from rootless.network.backends import registry as networks
    from rootless.storage.drivers import registry as driver_registry

    ctx = engine.context
    ctx.prepare()
    choice = driver_registry.choose(ctx.storage_driver, ctx.maps, ctx.maps, data=ctx.data_dir)
    network = networks.default()
    manager = ctx.cgroups()
    containers = engine.containers.list(all=True)
    states = [one.status for one in containers]
    return {
        **version(),
        **_as_docker_says(ctx, manager.kind),
        "Containers": len(containers),
        "ContainersRunning": states.count("running"),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": len(states) - states.count("running") - states.count("paused"),
        "Images": len(engine.images.list()),
        "Driver": choice.driver.name,
        "DriverStatus": [["Reason", choice.why]],
        "Plugins": {
            "Volume": ["local"],
            "Network": list(networks.NAMES),
            "Authorization": None,
            "Log": ["k8s-file", "none", "json-file", "journald"],
        },
        "Runtimes": {ctx.runtime or "rootless": {"path": ctx.runtime or paths.helper("create")}},
        "InitBinary": paths.helper("init"),
        "DriverReason": choice.why,
        "Drivers": driver_registry.listed(ctx.maps, ctx.data_dir),
        "Network": network.name,
        "NetworkReason": network.why,
        "CgroupManager": manager.kind,
        "CgroupReason": manager.why,
        "Runtime": ctx.runtime or "rootless",
        "Ids": ctx.maps.why,
        "IDMappings": ctx.maps.as_dict(),
        "DataDir": ctx.data_dir,
        "RuntimeDir": paths.runtime_dir(),
        "ConfigDir": paths.config_dir(),
        "CacheDir": paths.cache_dir(),
        "Name": os.uname().nodename,
        "NCPU": os.cpu_count() or 0,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=userns"],
    }


def unshare(ctx: Context, command: list[str] | str) -> None:
    """Become `command`, as root of the user namespace that layers are unpacked in."""
    from rootless.engine.common import arguments as common_arguments
    from rootless.userns import helpers

    words = common_arguments.command(command) or [os.environ.get("SHELL") or "/bin/sh"]
    maps = ctx.maps
    arguments = [paths.helper("enter"), "--uid-map", maps.proc_text("uids")]
    arguments += ["--gid-map", maps.proc_text("gids")]
    newuidmap, newgidmap = helpers.needed(maps)
    if newuidmap:
        arguments += ["--newuidmap", newuidmap, "--newgidmap", newgidmap]
    arguments += ["--mount", "--", *words]
    os.environ["ROOTLESS_DATA_DIR"] = ctx.data_dir
    os.environ["ROOTLESS_LAYERS"] = maps.storage_key()  # for `image mount`, see images.mount.KEY
    try:
        os.execv(arguments[0], arguments)
    except OSError as error:
        raise HostError(f"cannot start {arguments[0]}: {error.strerror}") from None
