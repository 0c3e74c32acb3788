"""`.volume` and `.image` files become services; `.pod`, `.network`, `.build`, `.kube` are refused.

Source: podman-systemd.unit(5), "Volume units", "Image units".
"""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.quadlet import container as quadlet_container
from rootless.quadlet import syntax
from rootless.quadlet.unit_file import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.quadlet.unit_file import Source

VOLUME = frozenset(
    {"Copy", "Driver", "GlobalArgs", "Label", "PodmanArgs", "ServiceName", "VolumeName"}
)
_DIRECTORY = "a volume is a plain directory"
VOLUME_LACKING = {
    "ContainersConfModule": quadlet_container.LACKING["ContainersConfModule"],
    "Device": _DIRECTORY,
    "GID": "the owner is set at the first use; use Volume=...:U",
    "Group": "the owner is set at the first use; use Volume=...:U",
    "Image": _DIRECTORY,
    "Options": _DIRECTORY,
    "Type": _DIRECTORY,
    "UID": "the owner is set at the first use; use Volume=...:U",
    "User": "the owner is set at the first use; use Volume=...:U",
}
IMAGE = frozenset(
    {"Arch", "AuthFile", "GlobalArgs", "Image", "ImageTag", "OS", "PodmanArgs", "ServiceName",
     "TLSVerify", "Variant"}
)  # fmt: skip
IMAGE_LACKING = {
    "AllTags": "give each tag its own unit",
    "CertDir": "put certificates in containers/certs.d",
    "ContainersConfModule": quadlet_container.LACKING["ContainersConfModule"],
    "Creds": "a unit file should not hold passwords; use rootless login",
    "DecryptionKey": "encrypted images are not supported",
    "Policy": "use Pull= of the container",
    "Retry": "pulls are retried automatically",
    "RetryDelay": "pulls are retried automatically",
}
REFUSED = {
    "pod": "there are no pods yet",
    "network": "there are no networks of containers yet",
    "kube": "Kubernetes YAML is not supported yet",
    "build": "images cannot be built by units yet",
}


def _arguments(source: Source, key: str) -> list[str]:
    return [word for entry in source.all(key) for word in entry.words()]


def _one_shot(made: Service, words: list[str]) -> Service:
    made.set("Type", "oneshot")
    made.set("RemainAfterExit", "yes")
    made.set("SyslogIdentifier", "%N")
    made.lines.append(f"ExecStart={made.command(*words)}")
    return made


def volume(source: Source, sources: dict[str, Source], program: list[str]) -> Service:
    """Return the service of a `.volume` file.  Raises UsageError naming file and line."""
    source.check_keys(VOLUME, VOLUME_LACKING)
    copy, driver = source.last("Copy"), source.last("Driver")
    if copy is not None and not copy.truth():
        raise copy.wrong("Copy=no cannot be had here", hint="use Volume=...:nocopy")
    if driver is not None and driver.value != "local":
        raise driver.wrong(f"Driver={driver.value} cannot be had", hint="local")
    words = [*_arguments(source, "GlobalArgs"), "volume", "create", "--ignore"]
    for label in _arguments(source, "Label"):
        words += ["--label", label]
    words += [*_arguments(source, "PodmanArgs"), source.resource]
    return _one_shot(Service(source, sources, program), words)


def image(source: Source, sources: dict[str, Source], program: list[str]) -> Service:
    """Return the service of an `.image` file.  Raises UsageError naming file and line."""
    source.check_keys(IMAGE, IMAGE_LACKING)
    named = source.text("Image")
    if not named:
        raise UsageError(f"{source.path}: Image= does not say what to fetch")
    made = Service(source, sources, program)
    words = [*_arguments(source, "GlobalArgs"), "pull", "--quiet"]
    platform = [source.text(key) for key in ("OS", "Arch", "Variant")]
    if any(platform):
        entry = source.last("Variant") or source.last("OS")
        if not platform[1]:
            assert entry is not None
            raise entry.wrong(f"{entry.key}= needs Arch= beside it")
        platform[0] = platform[0] or "linux"
        words += ["--platform", "/".join(filter(None, platform))]
    verify = source.last("TLSVerify")
    if verify is not None:
        words += ["--tls-verify", "true" if verify.truth() else "false"]
    auth = source.last("AuthFile")
    if auth is not None:
        # variables have no meaning there
        place = quadlet_container.beside(source, auth.value).replace("$$", "$")
        made.lines.append("Environment=" + syntax.quote(f"REGISTRY_AUTH_FILE={place}"))
    return _one_shot(made, [*words, *_arguments(source, "PodmanArgs"), named])


def refused(source: Source) -> UsageError:
    """Return the error for a kind that the engine lacks, at the line where its section begins."""
    entries = source.sections.get(source.section)
    line = entries[0].line - 1 if entries else 1
    return UsageError(
        f"{source.path}:{line}: .{source.kind} units cannot be had: {REFUSED[source.kind]}"
    )
