"""What each key of a unit file does: for a person to read, made of the tables that translate."""

from __future__ import annotations

from rootless.units import container, others

_OWN = {
    "AddDevice": "--device; with - in front only if it exists on the host",
    "AutoUpdate": "registry or local: see rootless auto-update",
    "ContainerName": "--name; systemd-NAME otherwise",
    "EnvironmentFile": "--env-file; relative to the unit file",
    "Exec": "the command and its arguments, after the image",
    "GlobalArgs": "words between rootless and run",
    "Group": "--user USER:GROUP, with User=",
    "Image": "the image, or NAME.image",
    "Mount": "--mount; source= may be NAME.volume",
    "Network": "--network; NAME.container shares that one's",
    "NoNewPrivileges": "--security-opt no-new-privileges",
    "Notify": "yes: --sdnotify container; healthy: --sdnotify healthy; no: --sdnotify conmon",
    "PodmanArgs": "further words of run, before the image",
    "ReadOnlyTmpfs": "with ReadOnly=: file systems in memory at /run, /tmp and /var/tmp (yes)",
    "ReloadCmd": "what systemctl reload runs inside, by exec",
    "ReloadSignal": "the signal that systemctl reload sends",
    "Rootfs": "--rootfs, instead of an image",
    "SecurityLabelDisable": "--security-opt label=disable",
    "ServiceName": "the name of the service, instead of NAME",
    "User": "--user",
    "VolatileTmp": "--tmpfs /tmp",
    "Volume": "--volume; the source may be NAME.volume, or relative to the unit file",
}
_DEFAULTS = {"CgroupsMode": " (split)", "LogDriver": " (journald)"}
_VOLUME = {
    "Copy": "yes, as always; Volume=...:nocopy says otherwise",
    "Driver": "local",
    "GlobalArgs": "words between rootless and volume",
    "Label": "--label",
    "PodmanArgs": "further words of volume create",
    "ServiceName": "the name of the service, instead of NAME-volume",
    "VolumeName": "the name of the volume; systemd-NAME otherwise",
}
_IMAGE = {
    "Arch": "--platform OS/ARCH",
    "AuthFile": "where passwords of registries are",
    "GlobalArgs": "words between rootless and pull",
    "Image": "what to fetch",
    "ImageTag": "the name that Image=NAME.image means, where it differs",
    "OS": "--platform",
    "PodmanArgs": "further words of pull",
    "ServiceName": "the name of the service, instead of NAME-image",
    "TLSVerify": "--tls-verify",
    "Variant": "--platform OS/ARCH/VARIANT",
}
_QUADLET = {"DefaultDependencies": "wait for the network first, if the boot does (yes)"}
SECTIONS = ("Container", "Volume", "Image", "Quadlet", "Pod", "Network", "Build", "Kube")


def rows(section: str = "") -> list[dict[str, str]]:
    """Section, Key, Meaning and Supported of every key; of one section, whatever its case."""
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
        table = {**container.LAST, **container.EACH, **container.FLAGS}
        table = {key: flag + _DEFAULTS.get(key, "") for key, flag in table.items()}
        table |= {key: flag + " for each word" for key, flag in container.WORDS.items()}
        table |= {key: f"--security-opt {word}" for key, word in container.SECURITY.items()}
        return _both({**table, **_OWN}, container.LACKING)
    if section == "Volume":
        return _both(_VOLUME, others.VOLUME_LACKING)
    if section == "Image":
        return _both(_IMAGE, others.IMAGE_LACKING)
    if section == "Quadlet":
        return _both(_QUADLET, {})
    return {"": (f"the whole file cannot be had: {others.REFUSED[section.lower()]}", "no")}


def _both(has: dict[str, str], lacks: dict[str, str]) -> dict[str, tuple[str, str]]:
    found = {key: (meaning, "yes") for key, meaning in has.items()}
    return found | {key: (why, "no") for key, why in lacks.items()}
