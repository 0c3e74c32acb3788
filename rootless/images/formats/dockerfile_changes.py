"""Dockerfile instructions that change an image's configuration: `import` and `commit --change`.

Scope: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR,
applied to the `config` object of an OCI image.  Source: the Dockerfile reference.
"""

from __future__ import annotations

import posixpath
import shlex

from rootless import documents
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_KNOWN = "CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR"
_NEVER = "FROM MAINTAINER ONBUILD"  # what ONBUILD may not be followed by


def apply(config: dict[str, Json], changes: list[str]) -> None:
    """Change `config` in place, one instruction after the other.  Raises UsageError.

    As in a Dockerfile, a new ENTRYPOINT forgets the CMD that came with the old one.
    """
    commanded = False
    for change in changes:
        word, rest = _first(change)
        if word not in _KNOWN.split():
            raise UsageError(
                f"{word!r} is not an instruction that can be applied", hint=f"use {_KNOWN}"
            )
        if not rest:
            raise UsageError(f"the instruction {change!r} says nothing", hint=f"write {word} VALUE")
        if word in ("CMD", "ENTRYPOINT"):
            config[word.capitalize()] = _command(rest, config)
            commanded = commanded or word == "CMD"
            if not commanded:
                config.pop("Cmd", None)
        elif word == "ENV":
            _environment(config, rest)
        elif word == "LABEL":
            config.setdefault("Labels", {}).update(_pairs("LABEL", rest))
        elif word == "EXPOSE":
            for port in rest.split():
                config.setdefault("ExposedPorts", {}).update(_ports(port))
        elif word == "VOLUME":
            paths = _json_list(rest)
            for path in _words(rest) if paths is None else paths:
                config.setdefault("Volumes", {})[path] = {}
        elif word == "USER":
            config["User"] = rest
        elif word == "WORKDIR":
            joined = posixpath.join(config.get("WorkingDir") or "/", rest)
            config["WorkingDir"] = posixpath.normpath(joined)
        elif word == "HEALTHCHECK":
            config["Healthcheck"] = _health(rest, config)
        elif word == "ONBUILD":
            if _first(rest)[0] in _NEVER.split():
                raise UsageError(
                    f"ONBUILD {rest} is not allowed", hint="see the Dockerfile reference"
                )
            config.setdefault("OnBuild", []).append(rest)
        elif word == "SHELL":
            shell = _json_list(rest)
            if not shell:
                raise UsageError(
                    f"SHELL {rest} is not a list", hint='write SHELL ["/bin/sh", "-c"]'
                )
            config["Shell"] = shell
        else:
            config["StopSignal"] = rest


def _first(text: str) -> tuple[str, str]:
    """(the instruction, in capitals; what follows), also of `CMD=…` as podman allows it."""
    text = text.strip()
    word = text.split(None, 1)[0] if text else ""
    bare, equals, _ = word.partition("=")
    if equals and bare.upper() in _KNOWN.split():
        return bare.upper(), text[len(bare) + 1 :].strip()
    return word.upper(), text[len(word) :].strip()


def _command(text: str, config: dict[str, Json]) -> list[str]:
    listed = _json_list(text)
    shell = config.get("Shell") or ["/bin/sh", "-c"]
    return [*shell, text] if listed is None else listed


_TIMES = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod",
          "start-interval": "StartInterval"}  # fmt: skip
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def _health(text: str, config: dict[str, Json]) -> dict[str, Json]:
    """`[--interval=30s …] CMD …`, or NONE."""
    found: dict[str, Json] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        text = text.strip()
        name, _, value = option[2:].partition("=")
        if name == "retries" and value.isdigit():
            found["Retries"] = int(value)
        elif name in _TIMES:
            found[_TIMES[name]] = _nanoseconds(value)
        else:
            raise UsageError(
                f"HEALTHCHECK does not know {option}",
                hint="--interval --timeout --start-period --start-interval --retries",
            )
    word, rest = _first(text)
    if word == "NONE" and not rest:
        return {"Test": ["NONE"]}
    if word != "CMD" or not rest:
        raise UsageError(f"cannot read HEALTHCHECK {text}", hint="HEALTHCHECK CMD …, or NONE")
    listed = _json_list(rest)
    found["Test"] = ["CMD-SHELL", rest] if listed is None else ["CMD", *listed]
    return found


def _nanoseconds(text: str) -> int:
    """A duration as Go writes it: `1m30s`.  Raises UsageError."""
    import re

    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{text!r} is not a duration", hint="write 30s, 1m30s or 500ms")
    return sum(int(float(number) * _UNITS[unit]) for number, unit in parts)


def _json_list(text: str) -> list[str] | None:
    """The words of the JSON form; None for anything else, which is the shell form."""
    if not text.startswith("["):
        return None
    try:
        value = documents.loads(text)
    except ValueError:
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return None


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"cannot read {text!r}: {error}", hint="close the quotation") from None


def _pairs(word: str, text: str) -> dict[str, str]:
    words = _words(text)
    if "=" not in words[0]:
        # The old form, `ENV NAME everything else`.
        name, _, value = text.partition(" ")
        return {name: value.strip()}
    found = {}
    for item in words:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"{item!r} is not an assignment", hint=f"write {word} NAME=VALUE …")
        found[name] = value
    return found


def _environment(config: dict[str, Json], text: str) -> None:
    kept = list(config.get("Env") or [])
    for name, value in _pairs("ENV", text).items():
        kept = [entry for entry in kept if not entry.startswith(name + "=")]
        kept.append(f"{name}={value}")
    config["Env"] = kept


def _ports(text: str) -> dict[str, dict[str, str]]:
    ports, _, protocol = text.partition("/")
    first, dash, last = ports.partition("-")
    protocol = protocol.lower() or "tcp"
    try:
        low = int(first)
        high = int(last) if dash else low
    except ValueError:
        low, high = 0, 0
    if not 0 < low <= high < 65536 or protocol not in ("tcp", "udp", "sctp"):
        raise UsageError(f"{text!r} is not a port", hint="write 80, 53/udp or 8000-8010")
    return {f"{port}/{protocol}": {} for port in range(low, high + 1)}
