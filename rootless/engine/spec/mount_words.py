"""`--mount KEY=VALUE,…`: what each type of mount takes (podman-run(1), docker-run(1))."""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    Mounts = list[tuple[str, str, str, list[str]]]

TYPES = ("bind", "volume", "tmpfs", "ramfs", "devpts", "image", "glob")
_COMMON = ("type", "source", "src", "target", "destination", "dst", "ro", "readonly", "rw",
           "readwrite", "consistency")  # fmt: skip
_MEMORY = ("tmpfs-size", "tmpfs-mode", "size", "mode", "tmpcopyup", "notmpcopyup", "u", "chown",
           "exec", "noexec", "suid", "nosuid", "dev", "nodev")  # fmt: skip
_BIND = ("bind-propagation", "bind-nonrecursive", "bind-recursive", "relabel", "u", "chown",
         "no-dereference", "exec", "noexec", "suid", "nosuid", "dev", "nodev")  # fmt: skip
_KEYS = {
    "bind": _BIND,
    "glob": _BIND,
    "volume": ("volume-nocopy", "nocopy", "volume-driver", "volume-label", "volume-opt", "u",
               "chown", "relabel", "exec", "noexec", "suid", "nosuid", "dev", "nodev"),
    "tmpfs": _MEMORY,
    "ramfs": _MEMORY,
    "devpts": ("uid", "gid", "mode", "max"),
    "image": ("subpath",),
}  # fmt: skip
_REFUSED = {
    "subpath": "a path in it is what a stranger's links make of it: mount all of it",
    "volume-subpath": "a path in it is what its containers' links make of it: mount all of it",
    "idmap": "the kernel maps ids of a mount for real root only; U changes the owner instead",
}


def parse(word: str) -> Mounts:
    """(kind, source, target, options) of each mount that `word` asks for: `glob` may be several.

    Raises UsageError.
    """
    table: dict[str, str] = {}
    for part in word.split(","):
        name, _, value = part.partition("=")
        table[name.lower()] = value
    kind = table.get("type", "volume")
    if kind not in TYPES:
        raise UsageError(f'--mount: unknown type "{kind}"', hint=", ".join(TYPES))
    for name in table:
        if name in _REFUSED:
            raise UsageError(f'--mount: {name} is not offered: "{word}"', hint=_REFUSED[name])
        if name not in _COMMON and name not in _KEYS[kind]:
            raise UsageError(f'--mount: unknown key "{name}" in "{word}"')
    source = table.get("source") or table.get("src") or ""
    target = table.get("target") or table.get("destination") or table.get("dst") or ""
    if not target:
        raise UsageError(
            f'--mount "{word}" names no target', hint="type=bind,source=DIR,target=DIR"
        )
    if kind in ("tmpfs", "ramfs", "devpts"):
        return [(kind, "", target, _in_memory(table))]
    options = _options(table, kind)
    if kind == "image":
        if not source:
            raise UsageError(f'--mount "{word}" names no image', hint="source=IMAGE")
        return [(kind, source, target, options)]
    if kind == "volume":
        return [("bind", source, target, options)]
    if not source.startswith(("/", ".", "~")):
        raise UsageError(f'--mount: the source "{source}" of a {kind} mount is not a path')
    if kind == "bind":
        return [("bind", source, target, options)]
    return _matches(source, target, options)


def _matches(pattern: str, target: str, options: list[str]) -> Mounts:
    """Each path of the host that fits, below the directory `target`."""
    import glob

    found = sorted(glob.glob(os.path.abspath(os.path.expanduser(pattern))))
    if not found:
        raise UsageError(f'--mount: nothing on the host is like "{pattern}"')
    return [
        ("bind", path, f"{target.rstrip('/')}/{os.path.basename(path)}", list(options))
        for path in found
    ]


def _on(table: dict[str, str], *names: str) -> bool:
    """Whether one of these keys is there and not false; raises UsageError for other values."""
    for name in names:
        if name in table:
            if table[name] not in ("", "true", "false", "1", "0"):
                raise UsageError(f'--mount: {name} is true or false, not "{table[name]}"')
            return table[name] not in ("false", "0")
    return False


def _access(table: dict[str, str]) -> list[str]:
    found = ["ro"] if _on(table, "ro", "readonly") else []
    if ("rw" in table or "readwrite" in table) and not found:
        found = ["rw" if _on(table, "rw", "readwrite") else "ro"]
    flags = ("exec", "noexec", "suid", "nosuid", "dev", "nodev")
    return found + [name for name in flags if name in table and _on(table, name)]


def _options(table: dict[str, str], kind: str) -> list[str]:
    """What stands behind the second colon of -v."""
    options = _access(table)
    if kind == "image" and not options:
        options = ["ro"]
    if _on(table, "volume-nocopy", "nocopy"):
        options.append("nocopy")
    if _on(table, "u", "chown"):
        options.append("U")
    if table.get("bind-propagation"):
        options.append(table["bind-propagation"])
    if _on(table, "bind-nonrecursive") or table.get("bind-recursive") == "disabled":
        options.append("bind")
    if table.get("volume-driver", "local") not in ("", "local"):
        raise UsageError(
            f"--mount: there is no volume driver {table['volume-driver']}", hint="local"
        )
    if table.get("volume-opt") or table.get("volume-label"):
        raise UsageError(
            "--mount: options and labels of a volume are given when it is made",
            hint="rootless volume create --opt NAME=VALUE --label NAME=VALUE NAME",
        )
    return options


def _in_memory(table: dict[str, str]) -> list[str]:
    """Options of a file system that is in memory, as --tmpfs has them."""
    options = _access(table)
    for key in ("size", "mode"):
        value = table.get(f"tmpfs-{key}") or table.get(key)
        if value:
            options.append(f"{key}={value}")
    for key in ("uid", "gid", "max"):
        if table.get(key):
            options.append(f"{key}={table[key]}")
    for key in ("tmpcopyup", "notmpcopyup"):
        if key in table and _on(table, key):
            options.append(key)
    if _on(table, "u", "chown"):
        options.append("U")
    return options
