"""A `.container` file becomes a service that runs a container.

Source: podman-systemd.unit(5), "Container units".  The tables are the translation; a key that is
documented there and cannot be had here is refused by name, an unknown one as a mistake.
"""

from __future__ import annotations

import os

from rootless.errors import UsageError
from rootless.quadlet import syntax
from rootless.quadlet.flag_keys import EACH, FLAGS, LAST, WORDS
from rootless.quadlet.unit_file import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.quadlet.syntax import Entry
    from rootless.quadlet.unit_file import Source

# the beginning of an argument of --security-opt
SECURITY = {"Mask": "mask=", "SeccompProfile": "seccomp=", "Unmask": "unmask="}
OWN = (
    "AddDevice", "AutoUpdate", "ContainerName", "EnvironmentFile", "Exec", "GlobalArgs", "Group",
    "Image", "Mount", "Network", "NoNewPrivileges", "Notify", "PodmanArgs", "ReadOnlyTmpfs",
    "ReloadCmd", "ReloadSignal", "Rootfs", "SecurityLabelDisable", "ServiceName", "User",
    "VolatileTmp", "Volume",
)  # fmt: skip
_SELINUX = "only root can set the SELinux label of a container"
LACKING = {
    "AppArmor": "only root can apply a profile",
    "ContainersConfModule": "there is no containers.conf; settings are in rootless/config.toml",
    "HttpProxy": "set the variables with Environment=",
    "Pod": "there are no pods yet",
    "RemapGid": "use UserNS= or GIDMap=",
    "RemapUid": "use UserNS= or UIDMap=",
    "RemapUidSize": "use UIDMap=",
    "RemapUsers": "use UserNS=",
    "Retry": "pulls are retried automatically",
    "RetryDelay": "pulls are retried automatically",
    "Secret": "there are no secrets yet; mount a file with Volume=",
    "SecurityLabelFileType": _SELINUX,
    "SecurityLabelLevel": _SELINUX,
    "SecurityLabelNested": _SELINUX,
    "SecurityLabelType": _SELINUX,
    "StartWithPod": "there are no pods yet",
    "SubGIDMap": "only your own subordinate IDs can be used; use GIDMap=",
    "SubUIDMap": "only your own subordinate IDs can be used; use UIDMap=",
}
KEYS = frozenset((*LAST, *EACH, *WORDS, *FLAGS, *SECURITY, *OWN))


def service(source: Source, sources: dict[str, Source], program: list[str]) -> Service:
    """Return the service of a `.container` file.  Raises UsageError naming file and line."""
    source.check_keys(KEYS, LACKING)
    made = Service(source, sources, program)
    kind = _type(source)
    name = source.resource
    words = ["run", "--name", name, "--replace", "--rm"]
    words += _plain(source)
    words += _identity(source) + _security(source)
    words += _mounts(made) + _network(made)
    for entry in source.all("AddDevice"):
        device = entry.value.removeprefix("-")
        if device == entry.value or os.path.exists(device.partition(":")[0]):
            words += ["--device", device]
    for entry in source.all("EnvironmentFile"):
        words += ["--env-file", beside(source, entry.value)]
    if source.text("AutoUpdate"):
        words += ["--label", "io.containers.autoupdate=" + _update_policy(source)]
    words += ["--label", "PODMAN_SYSTEMD_UNIT=%n"]
    if kind != "oneshot":
        words += ["--detach", "--sdnotify", _notify(source)]
    for entry in source.all("PodmanArgs"):
        words += entry.words()
    image = _image(made)
    command: list[str] = []
    for entry in source.all("Exec"):
        command = entry.words()
    front = [one for entry in source.all("GlobalArgs") for one in entry.words()]
    _fill(made, kind, name, [*front, *words, *image, *command])
    return made


def _type(source: Source) -> str:
    for key, values in (("Type", ("notify", "oneshot")), ("KillMode", ("mixed", "control-group"))):
        entry = source.sections.last("Service", key)
        if entry is not None and entry.value not in values:
            raise entry.wrong(f"{key}={entry.value} is not possible", hint=" or ".join(values))
    entry = source.sections.last("Service", "ExecStart")
    if entry is not None:
        raise entry.wrong("ExecStart= is made of [Container]", hint="use Exec=, or ExecStartPre=")
    entry = source.sections.last("Service", "Type")
    return entry.value if entry is not None else "notify"


def _fill(made: Service, kind: str, name: str, words: list[str]) -> None:
    """[Service]."""
    source = made.source
    made.set("Type", kind)
    if kind == "notify":
        # the container's own messages come by way of its monitor, which is the main process
        made.set("NotifyAccess", "all")
    made.set("KillMode", "mixed")
    # the unit's cgroup is divided by us: one part for the monitor, one for the container
    made.set("Delegate", "yes")
    made.set("SyslogIdentifier", "%N")
    seconds = source.text("StopTimeout")
    if seconds.isdigit() and int(seconds) >= 60:
        # systemd must not lose its patience first
        made.set("TimeoutStopSec", str(int(seconds) + 30))
    made.lines.append(f"ExecStart={made.command(*words)}")
    if kind == "notify":
        made.lines.append(f"ExecStop={made.command('stop', '--ignore', name)}")
    made.lines.append(
        f"ExecStopPost=-{made.command('rm', '--force', '--ignore', '--volumes', name)}"
    )
    command, signal = source.last("ReloadCmd"), source.last("ReloadSignal")
    if command is not None and signal is not None:
        raise signal.wrong("ReloadCmd= and ReloadSignal= exclude each other")
    if command is not None:
        made.lines.append(f"ExecReload={made.command('exec', name, *command.words())}")
    if signal is not None:
        made.lines.append(f"ExecReload={made.command('kill', '--signal', signal.value, name)}")


def _plain(source: Source) -> list[str]:
    words = []
    for key, flag in LAST.items():
        value = source.text(key)
        if not value:
            value = {"CgroupsMode": "split", "LogDriver": "journald"}.get(key, "")
        if value:
            words += [flag, value]
    for key, flag in EACH.items():
        for entry in source.all(key):
            words += [flag, entry.value]
    for key, flag in WORDS.items():
        for entry in source.all(key):
            for word in entry.words():
                words += [flag, word]
    return words + [flag for key, flag in FLAGS.items() if source.flag(key)]


def _identity(source: Source) -> list[str]:
    user, group = source.last("User"), source.last("Group")
    if group is not None and user is None:
        raise group.wrong("Group= without User=")
    if user is None:
        return []
    return ["--user", f"{user.value}:{group.value}" if group is not None else user.value]


def _security(source: Source) -> list[str]:
    words = []
    for key, front in SECURITY.items():
        value = source.text(key)
        if key == "SeccompProfile" and value and value != "unconfined":
            value = beside(source, value)
        if value:
            words += ["--security-opt", front + value]
    if source.flag("NoNewPrivileges"):
        words += ["--security-opt", "no-new-privileges"]
    if source.flag("SecurityLabelDisable"):
        words += ["--security-opt", "label=disable"]
    if source.flag("ReadOnly") and source.flag("ReadOnlyTmpfs", True):
        # --read-only-tmpfs of podman: /dev and /dev/shm are writable anyway
        taken = {entry.value.partition(":")[0] for entry in source.all("Tmpfs")}
        taken |= {(entry.value.split(":") + [""])[1] for entry in source.all("Volume")}
        for path in ("/run", "/tmp", "/var/tmp"):
            words += [] if path in taken else ["--tmpfs", path]
    elif source.flag("VolatileTmp"):
        words += ["--tmpfs", "/tmp:rw,size=512M,mode=1777"]
    return words


def beside(source: Source, path: str) -> str:
    """Return a path as the unit file means it: relative to itself; what begins with % is
    systemd's."""
    if path.startswith(("/", "%")):
        return path
    # of the directory's own name systemd must replace nothing
    directory = os.path.dirname(source.path).replace("%", "%%").replace("$", "$$")
    return os.path.normpath(os.path.join(directory, path))


def _mounts(made: Service) -> list[str]:
    words = []
    for entry in made.source.all("Volume"):
        parts = entry.value.split(":")
        if len(parts) > 1:
            parts[0] = _mount_source(made, entry, parts[0])
        words += ["--volume", ":".join(parts)]
    for entry in made.source.all("Mount"):
        words += ["--mount", ",".join(_mount_parts(made, entry))]
    return words


def _mount_parts(made: Service, entry: Entry) -> list[str]:
    parts = entry.value.split(",")
    kind = next((one[5:] for one in parts if one.startswith("type=")), "volume")
    if kind == "image":
        raise entry.wrong("Mount= of type=image cannot be had: images cannot be mounted yet")
    for at, part in enumerate(parts):
        key, _, value = part.partition("=")
        if key in ("source", "src") and (kind == "bind" or value.endswith(".volume")):
            value = beside(made.source, value) if value.startswith(".") else value
            parts[at] = f"{key}={_mount_source(made, entry, value)}"
    return parts


def _mount_source(made: Service, entry: Entry, text: str) -> str:
    if text.startswith("."):
        text = beside(made.source, text)
    if text.startswith("/"):
        # a list of words, in which variables have no meaning
        made.unit.append("RequiresMountsFor=" + syntax.quote(text.replace("$$", "$")))
        return text
    if text.endswith(".volume"):
        return made.other(entry, text).resource
    return text


def _network(made: Service) -> list[str]:
    words: list[str] = []
    for entry in made.source.all("Network"):
        name = entry.value.partition(":")[0]
        if name.endswith(".container"):
            words += ["--network", f"container:{made.other(entry, name).resource}"]
            continue
        if name.endswith(".network"):
            raise entry.wrong(f"Network={entry.value}: files of networks are not read yet",
                              hint="rootless network create, and Network=NAME")  # fmt: skip
        if name == "pasta":
            raise entry.wrong(f"Network={entry.value} cannot be had", hint="a network by name")
        words += ["--network", entry.value]
    return words


def _image(made: Service) -> list[str]:
    image, root = made.source.last("Image"), made.source.last("Rootfs")
    if image is not None and root is not None:
        raise root.wrong("Image= and Rootfs= exclude each other")
    if root is not None:
        return ["--rootfs", beside(made.source, root.value)]
    if image is None:
        raise UsageError(f"{made.source.path}: neither Image= nor Rootfs= says what to run")
    if image.value.endswith(".build"):
        raise image.wrong(f"Image={image.value}: images cannot be built by units yet")
    if image.value.endswith(".image"):
        return [made.other(image, image.value).resource]
    return [image.value]


def _notify(source: Source) -> str:
    entry = source.last("Notify")
    if entry is None:
        return "conmon"
    if entry.value == "healthy":
        return "healthy"
    return "container" if entry.truth() else "conmon"


def _update_policy(source: Source) -> str:
    entry = source.last("AutoUpdate")
    assert entry is not None
    if entry.value not in ("registry", "local"):
        raise entry.wrong(f"AutoUpdate={entry.value} is not possible", hint="registry or local")
    return entry.value
