"""What each key of a unit file does, as text for users, made of the tables that translate."""

from __future__ import annotations

from rootless.quadlet import container as quadlet_container
from rootless.quadlet import flag_keys, volume_image

_OWN = {
    "AddDevice": "--device; with - in front only if it exists on the host",
    "AutoUpdate": "registry or local: see rootless auto-update",
    "ContainerName": "--name (default systemd-NAME)",
    "EnvironmentFile": "--env-file; relative to the unit file",
    "Exec": "command and arguments to run in the container",
    "GlobalArgs": "global options, before run",
    "Group": "--user USER:GROUP, with User=",
    "Image": "the image, or NAME.image",
    "Mount": "--mount; source= may be NAME.volume",
    "Network": "--network; NAME.container shares the network of that container",
    "NoNewPrivileges": "--security-opt no-new-privileges",
    "Notify": "yes: --sdnotify container; healthy: --sdnotify healthy; no: --sdnotify conmon",
    "PodmanArgs": "additional options of run",
    "ReadOnlyTmpfs": "with ReadOnly=: mount a tmpfs at /run, /tmp and /var/tmp (default yes)",
    "ReloadCmd": "command that systemctl reload runs in the container",
    "ReloadSignal": "signal that systemctl reload sends",
    "Rootfs": "--rootfs, instead of an image",
    "SecurityLabelDisable": "--security-opt label=disable",
    "ServiceName": "name of the service (default NAME)",
    "User": "--user",
    "VolatileTmp": "--tmpfs /tmp",
    "Volume": "--volume; the source may be NAME.volume, or relative to the unit file",
}
_DEFAULTS = {"CgroupsMode": " (default split)", "LogDriver": " (default journald)"}
_VOLUME = {
    "Copy": "always yes; Volume=...:nocopy disables it",
    "Driver": "local",
    "GlobalArgs": "global options, before volume",
    "Label": "--label",
    "PodmanArgs": "additional options of volume create",
    "ServiceName": "name of the service (default NAME-volume)",
    "VolumeName": "name of the volume (default systemd-NAME)",
}
_IMAGE = {
    "Arch": "--platform OS/ARCH",
    "AuthFile": "--authfile",
    "GlobalArgs": "global options, before pull",
    "Image": "image to pull",
    "ImageTag": "name of the image that Image=NAME.image refers to",
    "OS": "--platform",
    "PodmanArgs": "additional options of pull",
    "ServiceName": "name of the service (default NAME-image)",
    "TLSVerify": "--tls-verify",
    "Variant": "--platform OS/ARCH/VARIANT",
}
_QUADLET = {"DefaultDependencies": "start after the network is online (default yes)"}
SECTIONS = ("Container", "Volume", "Image", "Quadlet", "Pod", "Network", "Build", "Kube")


def rows(section: str = "") -> list[dict[str, str]]:
    """Return Section, Key, Meaning and Supported of every key; of one section, whatever its
    case."""
    found = []
    for name in SECTIONS:
        if not section or section.lower().lstrip(".") == name.lower():
            for key, (meaning, supported) in sorted(_of(name).items()):
                found.append(
                    {"Section": name, "Key": key, "Meaning": meaning, "Supported": supported}
                )
    return found


def _of(section: str) -> dict[str, tuple[str, str]]:
    if section == "Container":
        table = {**flag_keys.LAST, **flag_keys.EACH, **flag_keys.FLAGS}
        table = {key: flag + _DEFAULTS.get(key, "") for key, flag in table.items()}
        table |= {key: flag + " for each word" for key, flag in flag_keys.WORDS.items()}
        table |= {key: f"--security-opt {word}" for key, word in quadlet_container.SECURITY.items()}
        return _both({**table, **_OWN}, quadlet_container.LACKING)
    if section == "Volume":
        return _both(_VOLUME, volume_image.VOLUME_LACKING)
    if section == "Image":
        return _both(_IMAGE, volume_image.IMAGE_LACKING)
    if section == "Quadlet":
        return _both(_QUADLET, {})
    return {"": (f"these files are not supported: {volume_image.REFUSED[section.lower()]}", "no")}


def _both(has: dict[str, str], lacks: dict[str, str]) -> dict[str, tuple[str, str]]:
    found = {key: (meaning, "yes") for key, meaning in has.items()}
    return found | {key: (why, "no") for key, why in lacks.items()}
