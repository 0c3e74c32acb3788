"""Signals that reach a command whose container is in the foreground, and how it waits.

A batch system may end a job in the moment in which it starts.  What comes before there is a
process to pass it on to is kept for it; else this command would end and leave the container.
"""

from __future__ import annotations

import os

_ENDING = ("SIGTERM", "SIGHUP", "SIGINT")
# what a terminal sends goes to the helper as well, without us
_PASSED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH")


def hold() -> None:
    """Let no signal come between the taking of an id and the words that give it back."""
    import _signal  # type: ignore[import-not-found,unused-ignore]

    _signal.pthread_sigmask(_signal.SIG_BLOCK, [getattr(_signal, name) for name in _ENDING])


def release(*, ends: bool) -> None:
    """Let them come; with `ends` each is an exception, so that what was made is removed."""
    import _signal

    numbers = [getattr(_signal, name) for name in _ENDING]

    def end(number: int, _: object) -> None:
        for one in numbers:
            _signal.signal(one, _signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in numbers if ends else ():
        # who has had it ignored (nohup) is not ended by it
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, end)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, numbers)


class Passing:
    """Takes these signals from now on."""

    __slots__ = ("early", "pid")

    def __init__(self) -> None:
        import _signal

        self.early: list[int] = []
        self.pid = 0
        for name in _PASSED:
            _signal.signal(getattr(_signal, name), self._take)

    def _take(self, number: int, _: object) -> None:
        if not self.pid:
            self.early.append(number)
            return
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def wait(self, pid: int) -> int:
        """Pass them on to the helper, which passes them on, and give its exit status."""
        import _signal

        self.pid = pid
        for name in ("SIGINT", "SIGQUIT"):
            _signal.signal(getattr(_signal, name), lambda *_: None)
        while self.early:
            self._take(self.early.pop(0), None)
        # not reaped before nobody signals it any more: its pid could be another's by then
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.pid = 0
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code
