"""What docker's and podman's command lines have and this one has not: what to do instead.

Looked at when a word was not understood, and only then.
"""

from __future__ import annotations

from rootless.errors import UsageError

_SWARM = "containers of one host: `rootless run`, and units for systemd (`rootless quadlet`)"
_KUBE = "one container: `rootless run`; as services: .container files (`rootless quadlet`)"

# verb or group: (what is not here, what to do)
_VERBS = {
    "buildx": ("there are no builders to choose from", "`rootless build`"),
    "builder": ("there are no builders to choose from", "`rootless build`"),
    "compose": (
        "compose files are not read here yet",
        "a .container file for each service (`rootless quadlet`), or `rootless run` in a script",
    ),
    "context": ("there are no contexts: no daemon is talked to", "leave it out"),
    "pod": ("there are no pods here yet", "--network container:NAME shares one network"),
    "play": ("Kubernetes' files are not read here", _KUBE),
    "kube": ("Kubernetes' files are not read here", _KUBE),
    "generate kube": ("Kubernetes' files are not written here", "`rootless generate systemd`"),
    "system service": (
        "there is no service to talk to: every command does its work itself",
        "call the command, or the Python library (docs/python.md)",
    ),
    "system connection": ("no other machine is talked to", "ssh HOST rootless ..."),
    "system migrate": ("there is nothing to migrate", "`rootless doctor` checks the ids"),
    "system renumber": ("there are no locks with numbers here", "leave it out"),
    "machine": ("containers run on this kernel, in no virtual machine", "leave it out"),
    "swarm": ("there are no clusters here", _SWARM),
    "stack": ("there are no clusters here", _SWARM),
    "node": ("there are no clusters here", _SWARM),
    "config": ("there are no clusters here", "-v FILE:FILE:ro puts a file into a container"),
    "plugin": ("there are no plugins", "leave it out"),
    "trust": ("docker's notary is not used", "`rootless image trust` and `image verify`"),
    "scan": ("images are not searched for weaknesses", "`rootless save` hands one to a scanner"),
    "container checkpoint": ("a checkpoint needs root", "`rootless commit` keeps the files"),
    "container restore": ("a checkpoint needs root", "`rootless commit` keeps the files"),
}

_DAEMON = "leave it out: there is no daemon, so none can be chosen"
_GPUS = "name the nodes, as in --device /dev/nvidia0 --device /dev/nvidiactl, or --device /dev/dri"

# option: what to do instead
_OPTIONS = {
    "-H": _DAEMON,
    "--host": _DAEMON,
    "--context": _DAEMON,
    "--config": _DAEMON,
    "--connection": _DAEMON,
    "--url": _DAEMON,
    "--remote": _DAEMON,
    "--tls": _DAEMON,
    "--tlsverify": _DAEMON,
    "--gpus": _GPUS,
    "--link": "--network container:NAME shares the other's network, with its loopback",
    "--isolation": "leave it out: that is a choice on Windows",
    "--volume-driver": "`rootless volume create --opt`, then -v NAME:DIR",
    "--pod": "--network container:NAME shares one network",
}


def verb(name: str) -> UsageError | None:
    """The error for a command that others have."""
    found = _VERBS.get(name) or _VERBS.get(name.partition(" ")[0])
    return found and UsageError(f"no command {name}: {found[0]}", hint=found[1])


def option(name: str) -> str:
    """The hint for an option that others have, or nothing."""
    return _OPTIONS.get(name.partition("=")[0], "")
