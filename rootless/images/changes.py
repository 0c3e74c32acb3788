"""Dockerfile instructions that change an image's configuration: `import --change`.

Scope: CMD ENTRYPOINT ENV EXPOSE LABEL USER VOLUME WORKDIR STOPSIGNAL, applied to the `config`
object of an OCI image.  Source: the Dockerfile reference.
"""

from __future__ import annotations

import posixpath
import shlex

from rootless import documents
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_KNOWN = "CMD ENTRYPOINT ENV EXPOSE LABEL USER VOLUME WORKDIR STOPSIGNAL"


def apply(config: dict[str, Json], changes: list[str]) -> None:
    """Change `config` in place, one instruction after the other.  Raises UsageError."""
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        word, rest = word.upper(), rest.strip()
        if word not in _KNOWN.split():
            raise UsageError(
                f"{word!r} is no instruction that can be applied", hint=f"use {_KNOWN}"
            )
        if not rest:
            raise UsageError(f"the instruction {change!r} says nothing", hint=f"write {word} VALUE")
        if word in ("CMD", "ENTRYPOINT"):
            config[word.capitalize()] = _command(rest)
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
            config["WorkingDir"] = posixpath.join(config.get("WorkingDir") or "/", rest)
        else:
            config["StopSignal"] = rest


def _command(text: str) -> list[str]:
    listed = _json_list(text)
    return ["/bin/sh", "-c", text] if listed is None else listed


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
            raise UsageError(f"{item!r} is no assignment", hint=f"write {word} NAME=VALUE …")
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
        raise UsageError(f"{text!r} is no port", hint="write 80, 53/udp or 8000-8010")
    return {f"{port}/{protocol}": {} for port in range(low, high + 1)}
