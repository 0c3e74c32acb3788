"""What a command that was run from Python came to."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from subprocess import Popen
    from typing import Any


_PATIENCE = 5.0
"""Seconds that a launcher has to end after what it started was killed."""


class ExecResult:
    """`exit_code`, `output` (standard output) and `error` (standard error), as bytes.

    Unpacks to (exit_code, output) as docker's own result does; where bytes are expected it is the
    output: `result.decode()`, `b"done" in result`, `result == b"done\\n"`.
    """

    __slots__ = ("error", "exit_code", "output")

    def __init__(self, exit_code: int, output: bytes, error: bytes) -> None:
        self.exit_code = exit_code
        self.output = output
        self.error = error

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield self.exit_code
        yield self.output

    def __repr__(self) -> str:
        return f"ExecResult(exit_code={self.exit_code}, output={self.output!r})"

    def __bytes__(self) -> bytes:
        return self.output

    def __contains__(self, part: bytes) -> bool:
        return part in self.output

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ExecResult):
            return (self.exit_code, self.output, self.error) == (
                other.exit_code, other.output, other.error,
            )  # fmt: skip
        return self.output == other if isinstance(other, bytes) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.exit_code, self.output, self.error))

    def __getattr__(self, name: str) -> Any:
        # what bytes can do: decode, split, strip, startswith
        if name.startswith("_") or name in self.__slots__:
            raise AttributeError(name)
        return getattr(self.output, name)

    def check(self, command: Sequence[str], where: str) -> None:
        """Raise CommandFailed unless it has ended with 0."""
        from rootless.errors import CommandFailed

        if self.exit_code:
            raise CommandFailed(
                where, list(command), self.exit_code, output=self.output, error=self.error
            )


def collect(
    process: Popen[bytes], given: bytes | None, timeout: float | None, command: Sequence[str]
) -> ExecResult:
    """Wait for a command; raises TimedOut, with what it wrote until then, after `timeout`."""
    import subprocess

    with process:
        try:
            output, error = process.communicate(given, timeout)
        except subprocess.TimeoutExpired:
            from rootless.errors import TimedOut

            kill(process.pid)
            try:
                output, error = process.communicate(timeout=_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                output, error = process.communicate()
            raise TimedOut(
                f"{' '.join(command)} did not end within {timeout:g} seconds",
                output=output, error=error,
            ) from None  # fmt: skip
        except BaseException:
            process.kill()
            raise
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return ExecResult(code, output, error)


def end(process: Popen[bytes]) -> None:
    """Kill a command whose output nobody reads any more."""
    import subprocess

    kill(process.pid)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        # it had not begun, or its launcher cannot get rid of what it wrote
        process.kill()


def kill(launcher: int) -> None:
    """Kill the command, which is the launcher's child; the launcher then ends by itself."""
    import _signal  # type: ignore[import-not-found,unused-ignore]

    opened: dict[int, int] = {}
    try:
        for child in _children(launcher):
            opened[child] = os.pidfd_open(child)
        # a descriptor is of whom we mean if that one was a child after it was opened
        for child in set(_children(launcher)) & set(opened):
            _signal.pidfd_send_signal(opened[child], 9)
    except OSError:
        pass
    finally:
        for fd in opened.values():
            os.close(fd)


def _children(launcher: int) -> list[int]:
    with open(f"/proc/{launcher}/task/{launcher}/children", encoding="ascii") as file:
        return list(map(int, file.read().split()))
