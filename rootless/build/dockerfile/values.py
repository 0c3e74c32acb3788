"""Values that instructions have: times, ports, signals, sizes, modes, checksums.

A function with a line raises its error at the line's place; the others return None for what is no
such value.  Scope: pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rootless.build.dockerfile import modes
from rootless.build.dockerfile.parser import Line
from rootless.build.dockerfile.source import did_you_mean

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # the micro sign
    "μs": 1_000,  # the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_DURATION_MAX = 2**63 - 1
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
# an address, a port, or both
_HOST = re.compile(r"(?:[0-9.]*|\[?[0-9A-Fa-f:]*\]?)(?::?\d{1,5}(?:-\d{1,5})?)?:?", re.ASCII)
PROTOCOLS = ("tcp", "udp", "sctp")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}|[0-9a-f]{1,64}")
_SIGNALS = (
    "HUP INT QUIT ILL TRAP ABRT IOT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CLD "
    "CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS UNUSED RTMIN RTMAX"
).split()
_REALTIME = re.compile(r"RTMIN\+([1-9]|1[0-5])|RTMAX-([1-9]|1[0-4])")


def duration(text: str) -> int | None:
    """Read a time as `1m30s` or `1.5h`, in nanoseconds; a negative one is None."""
    rest = text.removeprefix("+")
    if rest == "0":
        return 0
    total = 0
    if not rest:
        return None
    while rest:
        match = _DURATION.match(rest)
        if match is None or not (match[1] or match[2]) or len(match[1]) > 19:
            return None
        unit = _UNITS[match[3]]
        total += int(match[1] or 0) * unit
        fraction = (match[2] or "")[:18]
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
        rest = rest[match.end() :]
    return total if total <= _DURATION_MAX else None


def size(text: str) -> int | None:
    """Read a number of bytes, with a unit of 1024: `64m`, `1.5g`, `512`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or len(text) > 32:
        return None
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


def ports(line: Line, words: Iterable[str]) -> tuple[str, ...]:
    """Read ports of EXPOSE: `80/tcp` for each, ranges written out, sorted.

    An address and a port of the host, as in `127.0.0.1:8080:80`, are passed over.
    """
    found: set[str] = set()
    for word in words:
        spec, slash, protocol = word.partition("/")
        protocol = protocol.lower() if slash else "tcp"
        if protocol not in PROTOCOLS:
            raise line.error(
                f'EXPOSE: unknown protocol "{protocol}" in "{word}"',
                near=word,
                hint=did_you_mean(protocol, PROTOCOLS) or "there are tcp, udp and sctp",
            )
        host, colon, spec = spec.rpartition(":")
        match = _PORT.fullmatch(spec)
        if colon and not _HOST.fullmatch(host):
            match = None
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if match is None or last > 65535 or first > 65535:
            raise line.error(
                f'EXPOSE: "{word}" is no port',
                near=word,
                hint="a number up to 65535 or a range, as in 80 8000-8010 53/udp",
            )
        if last < first:
            raise line.error(f'EXPOSE: the range "{word}" ends before it begins', near=word)
        found.update(f"{port}/{protocol}" for port in range(first, last + 1))
    return tuple(sorted(found))


def signal(line: Line, text: str) -> None:
    """Refuse what is no signal: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`."""
    name = text.upper().removeprefix("SIG")
    if text.isascii() and text.isdecimal() and len(text) < 4:
        if 1 <= int(text) <= 64:
            return
    elif name in _SIGNALS or _REALTIME.fullmatch(name):
        return
    meant = did_you_mean(name, _SIGNALS).replace("mean ", "mean SIG")
    raise line.error(
        f'STOPSIGNAL: "{text}" is no signal',
        near=text,
        hint=meant or "a name such as SIGTERM or a number from 1 to 64",
    )


def owner(line: Line, text: str) -> None:
    """Refuse what cannot be `user[:group]`."""
    user, colon, group = text.partition(":")
    if text and (":" in group or not (user or group) or (colon and not group)):
        raise line.error(
            f'{line.keyword}: --chown is user, user:group or :group, not "{text}"', near=text
        )


def mode(line: Line, text: str) -> None:
    """Refuse what is no mode, in numbers or letters."""
    if text and modes.parse(text) is None:
        raise line.error(
            f'{line.keyword}: --chmod "{text}" is no mode',
            near=text,
            hint="an octal number up to 7777, or letters as in u=rwX,go=rX",
        )


def checksum(line: Line, text: str) -> None:
    """Refuse what is no checksum of a download, nor the beginning of a commit."""
    if text and not _CHECKSUM.fullmatch(text):
        raise line.error(
            f'ADD: --checksum "{text[:80]}" is no digest',
            near=text,
            hint="sha256: and 64 digits from 0 to f; of a git repository the commit",
        )
