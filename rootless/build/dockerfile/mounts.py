"""`RUN --mount=…` and `--device=…`: keys and values separated by commas.

Scope: pure.
"""

from __future__ import annotations

from collections.abc import Callable

from rootless.build.dockerfile import values
from rootless.build.dockerfile.flags import FALSE, TRUE
from rootless.build.dockerfile.frozen import Frozen
from rootless.build.dockerfile.parser import Line
from rootless.build.dockerfile.source import DockerfileError, did_you_mean

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_WORDS = frozenset(("readonly", "ro", "readwrite", "rw", "required"))
_SAME = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_OWNED = ("secret", "ssh", "cache")
# which types have a key; others are refused by name.  What means nothing for a type and hurts
# nobody, such as ro of a secret, is let pass, because BuildKit does.
_KEYS: dict[str, tuple[str, ...]] = {
    "type": TYPES,
    "target": TYPES,
    "source": TYPES,
    "from": ("bind", "cache", "tmpfs", "ssh"),
    "readonly": TYPES,
    "readwrite": TYPES,
    "id": TYPES,
    "sharing": ("cache",),
    "mode": _OWNED,
    "uid": _OWNED,
    "gid": _OWNED,
    "required": ("secret", "ssh"),
    "env": ("secret",),
    "size": ("tmpfs",),
}
_ID_MAX = 2**32 - 2


class Mount(Frozen):
    """A mount of one step; `type` says which of the fields have a meaning.

    bind: target, source, from_, read_only · cache: target, id, sharing, from_, source, read_only,
    mode, uid, gid · tmpfs: target, size · secret: id, target, env, required, mode, uid, gid ·
    ssh: id, target, required, mode, uid, gid.  None is what was not given; without a target,
    bind, cache and tmpfs are mounted at the working directory.
    """

    type: str = "bind"
    target: str = ""
    source: str = ""
    from_: str = ""
    read_only: bool = True
    id: str = ""
    sharing: str = "shared"
    env: str | None = None
    required: bool = False
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class Device(Frozen):
    """A CDI device, or a class of them, that a step wants."""

    name: str
    required: bool = False


def mount_source(flag: str) -> str:
    """Return the stage, image or context that `--mount` names with `from`, or nothing."""
    for written in split_fields(flag):
        key, _, value = written.partition("=")
        if key.strip().lower() == "from":
            return value
    return ""


def parse_mount(line: Line, flag: str, expand: Callable[[str], str] | None) -> Mount:
    """Read the value of `--mount`.  Without `expand`, check what has no variables in it."""
    fields: dict[str, tuple[str, str]] = {}
    for written in split_fields(flag):
        key, equals, value = written.partition("=")
        key = key.strip().lower()
        name = _SAME.get(key, key)
        if name not in _KEYS:
            options = (*_KEYS, *_SAME)
            raise line.error(
                f'RUN --mount has no key "{key}"',
                near=written or flag,
                hint=did_you_mean(key, options) or "there are " + " ".join(sorted(_KEYS)),
            )
        if not equals and key not in _WORDS:
            raise line.error(f"RUN --mount: {key} needs a value", near=written, hint=f"{key}=…")
        if name == "from" and "$" in value:
            raise line.error(
                f'RUN --mount: from does not replace variables, in "{value}"',
                near=written,
                hint="name a stage with FROM, whose image may have variables of before the "
                "first FROM",
            )
        if expand is not None and name != "from":
            value = expand(value)
        fields[name] = (value if equals else "true", written)
    if expand is None and any("$" in value for value, _ in fields.values()):
        # what variables decide is checked when they are known
        fields = {name: found for name, found in fields.items() if "$" not in found[0]}
        if not _may_check(flag, fields):
            return Mount()
        return _mount(line, flag, fields, complete=False)
    return _mount(line, flag, fields, complete=True)


def _may_check(flag: str, fields: dict[str, tuple[str, str]]) -> bool:
    """Whether the type is known: given without a variable, or not given."""
    return "type" in fields or not any(
        written.lower().startswith("type") for written in split_fields(flag)
    )


def _mount(line: Line, flag: str, fields: dict[str, tuple[str, str]], *, complete: bool) -> Mount:
    kind = fields.get("type", ("bind", ""))[0].lower()
    if kind not in TYPES:
        raise line.error(
            f'RUN --mount: unknown type "{kind}"',
            near=fields["type"][1],
            hint=did_you_mean(kind, TYPES) or "there are " + " ".join(TYPES),
        )
    mount = Mount(type=kind, read_only=kind not in ("cache", "tmpfs"))
    for name, (value, written) in fields.items():
        if kind not in _KEYS[name]:
            raise line.error(
                f"RUN --mount: a mount of type {kind} has no {name}",
                near=written,
                hint=f"{name} is for {' and '.join(_KEYS[name])}",
            )
        mount = _with(line, mount, name, value, written)
    if complete:
        _complain(line, mount, flag)
    return mount


def _with(line: Line, mount: Mount, name: str, value: str, written: str) -> Mount:
    """Return the mount with one more key."""

    def wrong(what: str) -> DockerfileError:
        return line.error(f'RUN --mount: {name} is {what}, not "{value}"', near=written)

    if name == "type":
        return mount
    if name == "from":
        return mount.replace(from_=value)
    if name == "target":
        return mount.replace(target=value)
    if name == "source":
        return mount.replace(source=value)
    if name == "id":
        return mount.replace(id=value)
    if name == "env":
        return mount.replace(env=value)
    if name in ("readonly", "readwrite", "required"):
        if value not in TRUE and value not in FALSE:
            raise wrong("true or false")
        said = value in TRUE
        if name == "required":
            return mount.replace(required=said)
        return mount.replace(read_only=said == (name == "readonly"))
    if name == "sharing":
        value = value.lower()
        if value not in SHARING:
            raise line.error(
                f'RUN --mount: unknown sharing "{value}"',
                near=written,
                hint=did_you_mean(value, SHARING) or "there are " + " ".join(SHARING),
            )
        return mount.replace(sharing=value)
    if name == "size":
        size = values.size(value)
        if size is None:
            raise wrong("a number of bytes such as 64m")
        return mount.replace(size=size)
    if name == "mode":
        if not value or value.strip("01234567") or int(value[-12:], 8) > 0o7777:
            raise wrong("an octal number up to 7777")
        return mount.replace(mode=int(value, 8))
    if not value.isascii() or not value.isdecimal() or int(value[:11]) > _ID_MAX:
        raise wrong("a number")
    number = int(value)
    return mount.replace(uid=number) if name == "uid" else mount.replace(gid=number)


def _complain(line: Line, mount: Mount, flag: str) -> None:
    """Refuse what is missing."""
    if mount.type == "secret":
        if not (mount.id or mount.target or mount.source):
            raise line.error("RUN --mount: a secret needs an id or a target", near=flag)
        if mount.id and mount.source:
            raise line.error("RUN --mount: a secret has an id or a source, not both", near=flag)
        if mount.env is not None and (not mount.env or "=" in mount.env):
            raise line.error(
                f'RUN --mount: env is the name of a variable, not "{mount.env}"', near=flag
            )


def parse_device(line: Line, flag: str) -> Device:
    """Read the value of `--device`: `name`, `name,required`, `name=…,required=true`."""
    name = ""
    required = False
    for index, written in enumerate(split_fields(flag)):
        key, equals, value = written.partition("=")
        if key == "required":
            if equals and value not in TRUE and value not in FALSE:
                raise line.error(
                    f'RUN --device: required is true or false, not "{value}"', near=written
                )
            required = not equals or value in TRUE
        elif key == "name" and equals:
            name = value
        elif index == 0:
            name = written
        else:
            raise line.error(
                f'RUN --device has no key "{key}"',
                near=written,
                hint=did_you_mean(key, ("name", "required")) or "there are name and required",
            )
    if not name:
        raise line.error("RUN --device: the name of a device is missing", near="--device")
    return Device(name, required)


def split_fields(text: str) -> list[str]:
    """Split at commas, as in CSV: a field in double quotes may have commas, `""` is a quote."""
    fields: list[str] = []
    field: list[str] = []
    quoted = False
    at = 0
    while at < len(text):
        ch = text[at]
        at += 1
        if quoted:
            if ch == '"' and text.startswith('"', at):
                at += 1
            elif ch == '"':
                quoted = False
                continue
            field.append(ch)
        elif ch == '"' and not field:
            quoted = True
        elif ch == ",":
            fields.append("".join(field))
            field = []
        else:
            field.append(ch)
    return [*fields, "".join(field)]
