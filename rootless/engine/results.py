"""What a command that was run from Python came to."""

from __future__ import annotations

TYPE_CHECKING = False


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


def collect(arguments: list[str], given: bytes | None) -> ExecResult:
    """Run a program to its end."""
    import subprocess

    done = subprocess.run(
        arguments,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        check=False,
    )
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return ExecResult(code, done.stdout, done.stderr)
