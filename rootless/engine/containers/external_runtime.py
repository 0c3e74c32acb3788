"""`--runtime crun`: the same bundle, run by another OCI runtime.

The monitor, the user namespace, the root file system and the network are ours; the other runtime
is executed inside them, as root of the user namespace, and makes the rest.  So it is told of no
user namespace, of the network namespace only that it exists, and of no cgroup.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.spec import oci_config
from rootless.engine.spec import seccomp as spec_seccomp
from rootless.errors import HostError, UsageError
from rootless.runtime import mounts, operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.engine.containers.draft import Draft
    from rootless.runtime.plan_format import Record


def plan(draft: Draft, runtime: str, rootfs: Sequence[Record]) -> list[Record]:
    """Operations that end in executing the runtime.  Raises HostError when it is not installed,
    UsageError for what it cannot do."""
    program = _find(runtime)
    for kind in draft.spaces.joined:
        if kind != "network":
            # in that pid namespace the other runtime could be traced while it has the host's files
            raise UsageError(
                f"the runtime {runtime} cannot join the {kind} namespace of another container",
                hint="leave --runtime out to use the built-in one",
            )
    config = dict(draft.spec.config)
    # what we use of it is in version 1.0 too, and older releases of crun refuse newer numbers
    config["ociVersion"] = "1.0.2"
    config["linux"] = dict(config["linux"])
    config["linux"]["namespaces"] = [
        one
        for one in config["linux"]["namespaces"]
        if one["type"] not in ("user", "network", "cgroup")
    ]
    config["linux"].pop("uidMappings")
    config["linux"].pop("gidMappings")
    config["linux"].pop("resources")
    # an array of devices means nodes to be made, which nobody may in a user namespace
    config["linux"].pop("devices")
    seccomp = spec_seccomp.document(
        oci_config.security(draft.request.options).get("seccomp", ""),
        config["process"]["capabilities"]["bounding"],
        draft.request.options.privileged,
    )
    if seccomp:
        config["linux"]["seccomp"] = seccomp
    # for the other runtime the network namespace is the one it finds itself in
    own = {k: v for k, v in config["linux"]["sysctl"].items() if k.startswith("net.")}
    config["linux"]["sysctl"] = {k: v for k, v in config["linux"]["sysctl"].items() if k not in own}
    bundle = os.path.join(draft.place.directory, "foreign")
    state = os.path.join(draft.place.directory, "foreign-state")
    for path in (bundle, state):
        os.makedirs(path, 0o700, exist_ok=True)
    documents.write(os.path.join(bundle, "config.json"), config)
    name = os.path.basename(program)
    arguments = [program, "--root", state]
    if name.startswith("crun"):
        arguments += ["--cgroup-manager", "disabled"]
    count = draft.request.options.preserve_fds
    arguments += ["run", *(["--preserve-fds", str(count)] if count else [])]
    arguments += ["--bundle", bundle, draft.place.identifier]
    ops: list[Record] = [operations.propagation("/", mounts.MS_REC | mounts.MS_PRIVATE)]
    ops += rootfs
    if draft.binds.preparations:
        ops.append(operations.root(draft.root.path))
        ops += draft.binds.preparations
    # crun and runc refuse a host with both versions of cgroups; in a cgroup namespace of its own
    # the container may look at version 2 alone
    ops.append(operations.root("/"))
    ops.append(operations.mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags=14))
    # as first process of a pid namespace the runtime takes the container with it when it is killed
    ops.append(operations.mount("proc", "/proc", "proc", flags=14))
    ops.append(operations.loopback())
    ops += [operations.sysctl(key.replace(".", "/"), str(value)) for key, value in own.items()]
    closed = draft.network.network.backend.unreachable(draft.network.network.options)
    if closed:
        ops.append(operations.unreachable(closed))
    if draft.network.network.backend.waits:
        ops.append(operations.wait_network())
    ops.append(operations.pdeathsig(9))
    ops.append(
        operations.env(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
    )
    ops.append(operations.exec_(arguments))
    return ops


def inner(pid: int) -> int:
    """The container's first process, given the runtime that waits for it; 0 before it exists."""
    try:
        ours = os.stat(f"/proc/{pid}/ns/mnt").st_ino
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return 0
    for child in children:
        try:
            if os.stat(f"/proc/{child}/ns/mnt").st_ino != ours:
                return child
        except OSError:
            continue
    return 0


def _find(runtime: str) -> str:
    if "/" in runtime:
        if os.access(runtime, os.X_OK):
            return os.path.abspath(runtime)
    else:
        search = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin"
        for directory in search.split(":"):
            if directory and os.access(os.path.join(directory, runtime), os.X_OK):
                return os.path.join(directory, runtime)
    raise HostError(
        f'the runtime "{runtime}" is not installed',
        hint="leave --runtime out to use the built-in one",
    )
