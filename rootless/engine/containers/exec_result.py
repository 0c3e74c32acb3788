"""What a command that was run from Python came to."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class ExecResult:
    """`exit_code`, `output` (standard output) and `error` (standard error), as bytes.

    Unpacks to (exit_code, output) as docker's own result does.
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


def collect(
    arguments: list[str], given: bytes | None, started: Callable[[int], None] | None = None
) -> ExecResult:
    """Run a program to its end; `started` is told its pid at once."""
    import subprocess

    with subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            if started is not None:
                started(process.pid)
            output, error = process.communicate(given)
        except BaseException:
            process.kill()
            raise
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return ExecResult(code, output, error)
