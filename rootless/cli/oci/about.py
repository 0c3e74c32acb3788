"""`--version`, `features` and `spec`: what the runtime knows, in the forms that engines read.

Source: runtime-spec features.md, features-linux.md.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def version() -> str:
    """As other runtimes print it: engines look for the name, the specification and the words."""
    from rootless import __version__
    from rootless.runtime import state_directory

    return (
        f"rootless-runtime version {__version__}\n"
        f"spec: {state_directory.VERSION}\n"
        "+SYSTEMD +SECCOMP +CAP +CGROUP2 +USERNS\n"
    )


def features() -> Json:
    """The features document."""
    from rootless.runtime import (
        capabilities,
        launch_plan,
        mounts,
        process_attributes,
        schema,
        state_directory,
    )

    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": state_directory.VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                  "poststop"],
        "mountOptions": mounts.known_options(),
        "linux": {
            "namespaces": sorted(launch_plan.CLONE),
            "capabilities": [f"CAP_{name}" if not name.startswith("CAP_") else name
                             for name in capabilities.names((1 << 64) - 1)],
            "cgroup": {"v1": False, "v2": True, "systemd": True, "systemdUser": True, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted(schema.ACTIONS.split()),
                "operators": sorted(schema.OPERATORS.split()),
                "archs": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86",
                          "SCMP_ARCH_X86_64"],
                "knownFlags": sorted(schema.FLAGS.split()),
                "supportedFlags": sorted(schema.FLAGS.split()),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "memoryPolicy": {
                "modes": sorted(process_attributes.MEMORY_MODES),
                "flags": sorted(process_attributes.MEMORY_FLAGS),
            },
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": False},
        },
        "annotations": {},
    }  # fmt: skip


def spec(rootless: bool) -> Json:
    """A configuration that runs `sh` in `rootfs`."""
    from rootless.runtime import capabilities, defaults, state_directory

    names = capabilities.adjust([], [], False)
    spaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    linux: dict[str, Json] = {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": one} for one in spaces],
        "maskedPaths": defaults.masked_paths(),
        "readonlyPaths": list(defaults.READONLY_PATHS),
    }
    if rootless:
        linux["namespaces"].insert(0, {"type": "user"})
        linux["uidMappings"] = [{"containerID": 0, "hostID": os.getuid(), "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": os.getgid(), "size": 1}]
        linux.pop("resources")
    return {
        "ociVersion": state_directory.VERSION,
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": names, "effective": names, "permitted": names,
                "inheritable": [], "ambient": [],
            },
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "container",
        "mounts": defaults.mounts(
            tty_group=not rootless, shm_size=64 << 20, own_network=True, own_ipc=True,
            own_pid=True, own_cgroup=True,
        ),
        "linux": linux,
    }  # fmt: skip
