"""`exec_run` of docker's Python client, in its forms."""

from __future__ import annotations

from rootless.engine.containers import exec as container_exec
from rootless.engine.containers import exec_stream, output
from rootless.engine.containers.exec_result import ExecResult
from rootless.engine.spec.option_values import ExecOptions
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rootless.engine.containers.ref import ContainerRef

    Words = dict[str, object]


def run(
    container: ContainerRef,
    command: list[str] | str,
    stdout: bool,
    stderr: bool,
    stdin: bool,
    *,
    detach: bool,
    stream: bool,
    socket: bool,
    demux: bool,
    words: Words,
) -> Any:
    """See Container.exec_run.  Raises UsageError for what contradicts itself."""
    if socket and (stream or demux):
        raise UsageError("socket contradicts stream and demux", hint="read from the socket")
    if detach:
        options = ExecOptions(command=command, detach=True, **words)
        container_exec.become(container, options)
        return None, b""
    if socket:
        options = ExecOptions(command=command, interactive=stdin, **words)
        return None, exec_stream.talk(container, options)
    if stream:
        options = ExecOptions(command=command, **words)
        pairs = output.chosen(exec_stream.pairs(container, options), stdout, stderr)
        return None, output.shaped(pairs, True, demux)
    result = container_exec.run(container, command, **words)  # type: ignore[arg-type]
    if demux:
        return result.exit_code, output.both(output.chosen(_pairs(result), stdout, stderr))
    if not stdout:
        result.output = b""
    elif stderr:
        # docker's client gives both as one
        result.output += result.error
    return result


def _pairs(result: ExecResult) -> Iterator[tuple[str, bytes]]:
    for stream, data in (("stdout", result.output), ("stderr", result.error)):
        if data:
            yield stream, data
