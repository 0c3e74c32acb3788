"""Signals by name and number, sent to a process and never to another that got its pid."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # signal itself imports enum
import os

from rootless.engine.common import processes
from rootless.errors import Conflict, UsageError


def number(text: str | int) -> int:
    """`SIGTERM`, `term`, `15` -> 15; also `RTMIN+3`.  Raises UsageError."""
    word = str(text).upper()
    if word.isdigit():
        value = int(word)
    else:
        name = word[3:] if word.startswith("SIG") else word
        base, _, offset = name.partition("+")
        found = getattr(signal, "SIG" + base, None)
        value = (
            int(found) + int(offset or 0) if found is not None and (offset or "0").isdigit() else 0
        )
    if not 0 < value < signal.NSIG:
        raise UsageError(f'unknown signal "{text}"', hint="a name such as TERM, or a number")
    return value


def send(pid: int, start: int, value: int) -> None:
    """Send through a pidfd after checking the start time: a pid used again is not hit."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if processes.start_time(pid) == start:
            signal.pidfd_send_signal(descriptor, value)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise Conflict(f"not allowed to send signal {value} to process {pid}") from None
    finally:
        os.close(descriptor)
