"""Reading of instructions: from a line of a Dockerfile to a value.

`read` refuses what can be refused without knowing a variable; `Instruction.expanded` does the
rest.  The classes are in `kinds` and can be had from here.

Scope: pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rootless.build.dockerfile import values
from rootless.build.dockerfile.expansion import ExpansionError
from rootless.build.dockerfile.flags import Flags
from rootless.build.dockerfile.kinds import (
    Add,
    Arg,
    Cmd,
    Copy,
    Copying,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Inline,
    Instruction,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)
from rootless.build.dockerfile.mounts import Device, Mount, parse_device, parse_mount
from rootless.build.dockerfile.parser import (
    Heredoc,
    Line,
    inner_line,
    parse,
    parse_heredoc,
    split_spaces,
    split_words,
)
from rootless.build.dockerfile.source import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.build.dockerfile.flags import Kind

__all__ = [
    "Add",
    "Arg",
    "Cmd",
    "Copy",
    "Copying",
    "Device",
    "Entrypoint",
    "Env",
    "Expose",
    "From",
    "Healthcheck",
    "Heredoc",
    "Inline",
    "Instruction",
    "Label",
    "Line",
    "Maintainer",
    "Mount",
    "Onbuild",
    "Run",
    "Shell",
    "Stopsignal",
    "User",
    "Volume",
    "Workdir",
    "read",
    "read_trigger",
]

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*", re.IGNORECASE)
NETWORKS = ("default", "none", "host")
SECURITY = ("sandbox", "insecure")
_COPY_FLAGS: dict[str, Kind] = {
    "from": "text",
    "chown": "text",
    "chmod": "text",
    "link": "bool",
    "parents": "bool",
    "exclude": "list",
}
_ADD_FLAGS: dict[str, Kind] = {
    "chown": "text",
    "chmod": "text",
    "link": "bool",
    "exclude": "list",
    "checksum": "text",
    "keep-git-dir": "bool",
    "unpack": "bool",
}
_RUN_FLAGS: dict[str, Kind] = {
    "mount": "list",
    "network": "text",
    "security": "text",
    "device": "list",
}
_HEALTH_FLAGS: dict[str, Kind] = {
    "interval": "text",
    "timeout": "text",
    "start-period": "text",
    "start-interval": "text",
    "retries": "text",
}


def read(line: Line) -> Instruction:
    """Make an instruction of a line.  Raises DockerfileError."""
    return _READERS[line.keyword](line)


def read_trigger(text: str, name: str) -> Instruction:
    """Make an instruction of a trigger that an image keeps.  `name`: of the image, for messages."""
    lines = parse(text.encode("utf-8", "surrogateescape"), name).lines
    if len(lines) != 1:
        raise lines[1].error("a trigger of ONBUILD is one instruction", near=lines[1].word)
    _refuse_trigger(lines[0])
    return read(lines[0])


def _one(line: Line, what: str) -> str:
    """The arguments as they are, of an instruction that has one."""
    Flags(line, {})
    if not line.text:
        raise line.error(f"{line.keyword} needs {what}")
    return _clean(line.text)


def _clean(text: str) -> str:
    """Text for a configuration: what is not UTF-8 becomes the replacement character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _from(line: Line) -> From:
    flags = Flags(line, {"platform": "text"})
    words = split_spaces(line.text)
    if not words:
        raise line.error("FROM needs an image", hint="FROM image, or FROM image AS name")
    if len(words) == 1:
        return From(line, words[0], platform=flags.text("platform"))
    if words[1].upper() != "AS":
        raise line.error(
            f'FROM has an image, and AS with a name: "{words[1]}" is neither',
            near=words[1],
            hint=did_you_mean(words[1], ("AS",)) or "a comment needs a line of its own"
            if words[1].startswith("#")
            else "FROM image AS name",
        )
    if len(words) != 3:
        extra = words[3] if len(words) > 3 else words[1]
        raise line.error("FROM: AS takes one name", near=extra, hint="FROM image AS name")
    if not _STAGE_NAME.fullmatch(words[2]):
        raise line.error(
            f'FROM: "{words[2]}" cannot be the name of a stage',
            near=words[2],
            hint="a letter, then letters, digits, _ . and -",
        )
    return From(line, words[0], words[2], flags.text("platform"), words[1])


def _arg(line: Line) -> Arg:
    Flags(line, {})
    words = split_words(_clean(line.text), line.escape)
    if not words:
        raise line.error("ARG needs a name", hint="ARG name or ARG name=default")
    args: list[tuple[str, str | None]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name:
            raise line.error(f'ARG: the name is missing in "{word}"', near=word)
        args.append((name, value if equals else None))
    return Arg(line, tuple(args))


def _pairs(line: Line) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Read `name=value…` or the old form `name value`: (pairs, whether it is the old form)."""
    Flags(line, {})
    text = _clean(line.text)
    words = split_words(text, line.escape)
    if not words:
        raise line.error(f"{line.keyword} needs a name and a value", hint="as in name=value")
    if "=" not in words[0]:
        parts = re.split(r"[\t\v\f\r ]+", text, maxsplit=1)
        if len(parts) < 2:
            raise line.error(
                f"{line.keyword}: {parts[0]} has no value", near=parts[0], hint="as in name=value"
            )
        return ((parts[0], parts[1]),), True
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise line.error(
                f'{line.keyword}: there is no = in "{word}"',
                near=word,
                hint="name=value; a value with spaces needs quotes",
            )
        if not name:
            raise line.error(f'{line.keyword}: the name is missing in "{word}"', near=word)
        pairs.append((name, value))
    return tuple(pairs), False


def _env(line: Line) -> Env:
    pairs, legacy = _pairs(line)
    return Env(line, pairs, legacy)


def _label(line: Line) -> Label:
    pairs, legacy = _pairs(line)
    return Label(line, pairs, legacy)


def _command(line: Line) -> tuple[str, tuple[str, ...] | None]:
    """Read a command: (text in shell form, strings in exec form)."""
    if line.json is not None:
        return "", line.json
    if not line.text:
        raise line.error(f"{line.keyword} needs a command")
    return line.text, None


def _run(line: Line) -> Run:
    flags = Flags(line, _RUN_FLAGS)
    shell, argv = _command(line)
    if argv is not None and not argv:
        raise line.error("RUN: the array of the command is empty", near="[")
    mounts = []
    for flag in flags.all("mount"):
        mounts.append(parse_mount(line, flag, None))
    network = flags.text("network") or "default"
    security = flags.text("security") or "sandbox"
    for name, value, known in (
        ("network", network, NETWORKS),
        ("security", security, SECURITY),
    ):
        if value not in known:
            raise line.error(
                f'RUN: unknown --{name} "{value}"',
                near=f"--{name}={value}",
                hint=did_you_mean(value, known) or "there are " + " ".join(known),
            )
    return Run(
        line,
        shell,
        argv,
        line.heredocs,
        flags.all("mount"),
        network=network,
        security=security,
        devices=tuple(parse_device(line, flag) for flag in flags.all("device")),
    )


def _sources(line: Line) -> tuple[tuple[str, ...], tuple[Inline, ...], str]:
    """Read sources and destination: (paths, here-documents, destination)."""
    words = list(line.json) if line.json is not None else split_spaces(line.text)
    if len(words) < 2:
        raise line.error(
            f"{line.keyword} needs a source and a destination",
            near=words[0] if words else "",
            hint="with one path only, no destination is known" if words else "",
        )
    *sources, destination = words
    documents = {document.name: document for document in line.heredocs}
    paths: list[str] = []
    inline: list[Inline] = []
    for word in words:
        named = _heredoc(line, word) if line.json is None else None
        if named is not None and word is destination and len(paths) + len(inline) == len(sources):
            raise line.error(
                f"{line.keyword}: a here-document cannot be the destination", near=word
            )
        if named is not None:
            found = documents.get(named.name, named)
            inline.append(Inline(found.name, found.content, found.expand))
        elif len(paths) + len(inline) < len(sources):
            paths.append(word)
    return tuple(paths), tuple(inline), destination


def _heredoc(line: Line, word: str) -> Heredoc | None:
    try:
        return parse_heredoc(word)
    except ExpansionError as error:
        raise line.error(str(error), near=word) from None


def _copy(line: Line) -> Copy:
    flags = Flags(line, _COPY_FLAGS)
    paths, inline, destination = _sources(line)
    origin = flags.text("from")
    if "$" in origin:
        raise line.error(
            f'COPY: --from does not replace variables, in "{origin}"',
            near=f"--from={origin}",
            hint="name a stage with FROM, whose image may have variables of before the first FROM",
        )
    if origin and inline:
        raise line.error(
            "COPY: a here-document is not in what --from names", near=f"--from={origin}"
        )
    return Copy(
        line,
        paths,
        inline,
        destination,
        flags.text("chown"),
        flags.text("chmod"),
        flags.true("link"),
        flags.all("exclude"),
        origin,
        flags.true("parents"),
    )


def _add(line: Line) -> Add:
    flags = Flags(line, _ADD_FLAGS)
    paths, inline, destination = _sources(line)
    checksum = flags.text("checksum")
    if checksum and len(paths) + len(inline) > 1:
        raise line.error("ADD: --checksum is for one source", near="--checksum")
    if "$" not in checksum:
        values.checksum(line, checksum)
    return Add(
        line,
        paths,
        inline,
        destination,
        flags.text("chown"),
        flags.text("chmod"),
        flags.true("link"),
        flags.all("exclude"),
        checksum,
        flags.true("keep-git-dir"),
        flags.true("unpack"),
    )


def _cmd(line: Line) -> Cmd:
    Flags(line, {})
    shell, argv = _command(line)
    return Cmd(line, _clean(shell), argv)


def _entrypoint(line: Line) -> Entrypoint:
    Flags(line, {})
    shell, argv = _command(line)
    return Entrypoint(line, _clean(shell), argv)


def _expose(line: Line) -> Expose:
    _one(line, "a port")
    return Expose(line, tuple(split_spaces(line.text)))


def _volume(line: Line) -> Volume:
    Flags(line, {})
    paths = line.json if line.json is not None else tuple(split_spaces(_clean(line.text)))
    if not paths:
        raise line.error("VOLUME needs a path")
    if not all(path.strip() for path in paths):
        raise line.error("VOLUME: a path is empty", near='""')
    return Volume(line, paths)


def _onbuild(line: Line) -> Onbuild:
    Flags(line, {})
    if not line.text:
        raise line.error("ONBUILD needs an instruction")
    inner = inner_line(line)
    trigger = inner.original
    for document in line.heredocs:
        trigger += "\n" + document.text + document.name
    _refuse_trigger(inner)
    return Onbuild(line, _clean(trigger), read(inner))


def _refuse_trigger(inner: Line) -> None:
    if inner.keyword in ("ONBUILD", "FROM", "MAINTAINER"):
        raise inner.error(f"ONBUILD cannot be followed by {inner.keyword}", near=inner.word)


def _healthcheck(line: Line) -> Healthcheck:
    flags = Flags(line, _HEALTH_FLAGS)
    words = split_spaces(line.text)
    if not words:
        raise line.error("HEALTHCHECK needs CMD and a command, or NONE")
    kind = words[0].upper()
    if kind == "NONE":
        if len(words) > 1:
            raise line.error("HEALTHCHECK NONE takes no arguments", near=words[1])
        if line.flags:
            raise line.error("HEALTHCHECK NONE takes no flags", near=line.flags[0])
        return Healthcheck(line, ("NONE",))
    if kind != "CMD":
        raise line.error(
            f'HEALTHCHECK is followed by CMD or NONE, not "{words[0]}"',
            near=words[0],
            hint=did_you_mean(words[0], ("CMD", "NONE")) or "CMD in front of the command",
        )
    if line.json is not None:
        test: tuple[str, ...] = ("CMD", *line.json)
    else:
        test = ("CMD-SHELL", _clean(line.text[len(words[0]) :].strip()))
    if len(test) < 2 or not test[1]:
        raise line.error("HEALTHCHECK CMD needs a command", near=words[0])
    retries = flags.text("retries") or "0"
    if not retries.isascii() or not retries.isdecimal() or len(retries) > 9:
        raise line.error(
            f'HEALTHCHECK: --retries is a number, not "{retries}"', near=f"--retries={retries}"
        )
    return Healthcheck(
        line,
        test,
        _time(line, flags, "interval"),
        _time(line, flags, "timeout"),
        _time(line, flags, "start-period"),
        _time(line, flags, "start-interval"),
        int(retries),
    )


def _time(line: Line, flags: Flags, name: str) -> int:
    """Read a time of HEALTHCHECK, in nanoseconds; 0 is the default's."""
    text = flags.text(name)
    if not text:
        return 0
    found = values.duration(text)
    if found is None:
        raise line.error(
            f'HEALTHCHECK: --{name} is a time, not "{text}"',
            near=f"--{name}={text}",
            hint="as in 30s, 1m30s or 500ms",
        )
    if 0 < found < 1_000_000:
        raise line.error(
            f'HEALTHCHECK: --{name} cannot be less than 1ms, as "{text}" is',
            near=f"--{name}={text}",
        )
    return found


def _shell(line: Line) -> Shell:
    Flags(line, {})
    if line.json is None:
        raise line.error(
            "SHELL needs a JSON array",
            near=line.text,
            hint='as in SHELL ["/bin/bash", "-c"]',
        )
    if not line.json:
        raise line.error("SHELL: the array is empty", near="[")
    return Shell(line, line.json)


_READERS: dict[str, Callable[[Line], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": lambda line: Maintainer(line, _one(line, "a name")),
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": lambda line: Stopsignal(line, _one(line, "a signal")),
    "USER": lambda line: User(line, _one(line, "a user")),
    "VOLUME": _volume,
    "WORKDIR": lambda line: Workdir(line, _one(line, "a path")),
}
