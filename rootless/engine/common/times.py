"""Moments and durations as users write them."""

from __future__ import annotations

import time

from rootless.errors import RootlessError, UsageError

_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip


def moment(text: str, *, ahead: bool = False) -> float:
    """Return a moment as docker's --since takes it, in seconds since the epoch.

    Seconds since the epoch (`1700000000.5`), a time ago (`10m`, `1h30m`; `-10m` is to come), or a
    date (`2024-05-01`, `2024-05-01T10:00:00Z`).  `ahead`: times are to come.  Raises UsageError.
    """
    word = text.strip()
    try:
        return float(word)
    except ValueError:
        pass
    ago = duration(word.removeprefix("-"))
    if ago is not None:
        return time.time() + (ago if ahead != word.startswith("-") else -ago)
    import datetime

    try:
        # a fraction is counted apart, because Python's own form knows no nanoseconds
        head, _, rest = word.replace("Z", "+00:00").partition(".")
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        moment = datetime.datetime.fromisoformat(head + rest[len(digits) :])
        return moment.timestamp() + float(f"0.{digits or 0}")
    except ValueError:
        raise UsageError(
            f'"{text}" is not a time', hint="as in 10m, 1h30m, 2024-05-01T10:00:00Z or 1700000000"
        ) from None


def duration(word: str) -> float | None:
    """Seconds of `90s` or `1h30m`; None for what is none."""
    total, number = 0.0, ""
    at = 0
    while at < len(word):
        if word[at].isdigit() or word[at] == ".":
            number += word[at]
            at += 1
            continue
        unit = word[at : at + 2] if word[at : at + 2] in _UNITS else word[at]
        if unit not in _UNITS or not number or number.count(".") > 1:
            return None
        total += float(number) * _UNITS[unit]
        number = ""
        at += len(unit)
    return total if word and not number else None


def moment_or_zero(text: str) -> float:
    """As `moment`, 0 where there is none (an image need not say)."""
    try:
        return moment(text) if text else 0.0
    except RootlessError:
        return 0.0
