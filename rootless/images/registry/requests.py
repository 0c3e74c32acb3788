"""Requests to registries: attempts, authorization, and bodies.

Scope: plain values, given to every request (`transport`).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.registry.credentials import Credentials

_RETRY_AFTER_MAX = 60.0
LEAST_RATE = 256
"""Bytes per second; who sends less for two stalls' time holds us up and brings nothing."""


class Settings:
    """How patient to be, and who we are.

    stall        seconds without a byte that count as a stall; $ROOTLESS_STALL_SECONDS, else 30
    attempts     tries of one request before giving up
    backoff      seconds before the second try, doubling from there; $ROOTLESS_RETRY_SECONDS,
                 else 0.5
    authfile     where passwords are, instead of the usual places
    cert_dir     certificates as in certs.d/HOST, instead of the usual places
    credentials  instead of what is stored
    """

    __slots__ = ("attempts", "authfile", "backoff", "cert_dir", "credentials", "stall")

    def __init__(
        self,
        *,
        stall: float | None = None,
        attempts: int = 5,
        backoff: float | None = None,
        authfile: str = "",
        cert_dir: str = "",
        credentials: Credentials | None = None,
    ) -> None:
        self.stall = stall if stall is not None else _from_environment("STALL", 30.0)
        self.attempts = attempts
        self.backoff = backoff if backoff is not None else _from_environment("RETRY", 0.5)
        self.authfile = authfile
        self.cert_dir = cert_dir
        self.credentials = credentials

    @property
    def window(self) -> float:
        """Seconds over which a server's rate is looked at."""
        return 2 * self.stall

    @property
    def least(self) -> int:
        """Bytes in such a window; an attempt that brings fewer is a failure like any other."""
        return max(1, int(LEAST_RATE * self.window))

    def wait(self, attempt: int, retry_after: str | None = None) -> None:
        """Sleep before try number `attempt` + 1, as long as the server asked for if it did."""
        pause = self.backoff * 2**attempt * random.uniform(0.75, 1.25)
        time.sleep(max(pause, min(seconds(retry_after), _RETRY_AFTER_MAX)))

    def too_long(self, retry_after: str | None) -> float:
        """Return the seconds that a server asks for, if no user would wait for so long; else
        0."""
        asked = seconds(retry_after)
        return asked if asked > _RETRY_AFTER_MAX else 0.0


def _from_environment(name: str, otherwise: float) -> float:
    try:
        value = float(os.environ.get(f"ROOTLESS_{name}_SECONDS", ""))
    except ValueError:
        return otherwise
    return value if value > 0 else otherwise


def seconds(retry_after: str | None) -> float:
    """Return what a Retry-After header asks for: seconds or a date (RFC 9110, section 10.2.3)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        from email.utils import parsedate_to_datetime

        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


class Payload:
    """A body that is sent in pieces: `size` bytes, which `open` gives from the beginning, again
    for every attempt."""

    __slots__ = ("open", "size")

    def __init__(self, size: int, open: Callable[[], Iterable[bytes]]) -> None:
        self.size = size
        self.open = open


Body = Payload | bytes | None
