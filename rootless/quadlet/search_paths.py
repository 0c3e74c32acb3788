"""Where unit files are, and which drop-ins belong to each.

Source: podman-systemd.unit(5), "unit search path" and the paragraph on drop-ins; systemd.unit(5).
"""

from __future__ import annotations

import os

from rootless import paths

KINDS = ("container", "pod", "volume", "network", "kube", "image", "build")
# systemd's own kinds, which may lie beside the others in our own directories
NATIVE = ("socket", "timer", "path", "target", "slice")
GENERATORS = (
    "/run/systemd/user-generators",
    "/etc/systemd/user-generators",
    "/usr/local/lib/systemd/user-generators",
    "/usr/lib/systemd/user-generators",
)
GENERATOR = "rootless-generator"


def _config() -> str:
    return os.path.dirname(paths.config_dir())


def own() -> str:
    """Return the user's own directory, which `quadlet install` writes to."""
    return os.path.join(paths.config_dir(), "units")


def generator_installed(name: str = GENERATOR) -> bool:
    """Return whether the user's systemd runs this generator."""
    return any(os.path.exists(os.path.join(directory, name)) for directory in GENERATORS)


def directories() -> list[str]:
    """Return all directories, the first wins.

    Those of podman are read where podman's own generator is not installed: two generators would
    write the same unit.  $QUADLET_UNIT_DIRS, directories with `:` between, stands for all.
    """
    chosen = os.environ.get("QUADLET_UNIT_DIRS", "")
    if chosen:
        return [one for one in chosen.split(":") if one.startswith("/")]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    uid = str(os.getuid())
    found = [os.path.join(runtime, "rootless/units")] if runtime else []
    found += [own(), "/etc/rootless/units"]
    if not generator_installed("podman-user-generator"):
        found += [os.path.join(runtime, "containers/systemd")] if runtime else []
        found.append(os.path.join(_config(), "containers/systemd"))
        for base in ("/etc/containers/systemd/users", "/usr/share/containers/systemd/users"):
            found += [os.path.join(base, uid), base]
    return found


def _walk(directory: str, seen: set[str], top: bool = True) -> list[str]:
    """A directory and those below it; not drop-ins, not other users' (which are numbers)."""
    real = os.path.realpath(directory)
    if real in seen or not os.path.isdir(real):
        return []
    seen.add(real)
    found = [directory]
    for name in sorted(os.listdir(directory)):
        below = os.path.join(directory, name)
        if name.endswith(".d") or (name.isdigit() and top) or not os.path.isdir(below):
            continue
        found += _walk(below, seen, False)
    return found


def all_directories() -> list[str]:
    """Return `directories` with what lies below each.  Directories that cannot be read are left
    out."""
    seen: set[str] = set()
    found: list[str] = []
    for directory in directories():
        try:
            found += _walk(directory, seen)
        except OSError:
            continue
    return found


def kind_of(name: str) -> str:
    """Return the kind of a unit file's name, empty if it is none."""
    stem, _, kind = name.rpartition(".")
    return kind if stem and kind in (*KINDS, *NATIVE) else ""


def find(among: list[str]) -> dict[str, str]:
    """Return names of unit files and their paths; what comes first hides what comes later."""
    found: dict[str, str] = {}
    podman = os.sep + os.path.join("containers", "systemd")
    for directory in among:
        for name in sorted(os.listdir(directory)):
            kind = kind_of(name)
            # what else lies beside podman's files is no unit file: podman ignores it as well
            if not kind or (kind in NATIVE and podman in directory + os.sep):
                continue
            path = os.path.join(directory, name)
            if name not in found and os.path.isfile(path):
                found[name] = path
    return found


def drop_ins(name: str, among: list[str]) -> list[str]:
    """Return paths of a unit's drop-ins in the order in which they are read.

    `foo-bar@x.container` has container.d, foo-.container.d, foo-bar@.container.d and
    foo-bar@x.container.d; of two files of the same name the more particular one counts.
    """
    stem, _, kind = name.rpartition(".")
    wanted = [f"{kind}.d"]
    for at, one in enumerate(stem):
        if one == "-" and at + 1 < len(stem):
            wanted.append(f"{stem[: at + 1]}.{kind}.d")
    template, at_sign, instance = stem.partition("@")
    if at_sign and instance:
        wanted.append(f"{template}@.{kind}.d")
    wanted.append(f"{name}.d")
    found: dict[str, str] = {}
    for below in wanted:
        taken: set[str] = set()
        for directory in among:
            place = os.path.join(directory, below)
            if not os.path.isdir(place):
                continue
            for one in sorted(os.listdir(place)):
                if one.endswith(".conf") and one not in taken:
                    taken.add(one)
                    found[one] = os.path.join(place, one)
    return [found[one] for one in sorted(found)]
