"""`engine.containers.run` of the library."""

from __future__ import annotations

from rootless.engine.common import arguments
from rootless.engine.containers.exec_result import ExecResult
from rootless.engine.spec.options import ContainerOptions
from rootless.runtime import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.attach import Session
    from rootless.engine.containers.channel import Channel
    from rootless.images.store.store import ImageRecord


def options(
    image: str | ImageRecord | ContainerOptions,
    command: list[str] | str | None,
    words: dict[str, object],
) -> ContainerOptions:
    """The options of a call; see `arguments.command` for a command in one string."""
    if isinstance(image, ContainerOptions):
        return image
    name = image if isinstance(image, str) else image.id
    if isinstance(entrypoint := words.get("entrypoint"), str) and entrypoint[:1] != "[":
        # on the command line it is one program's name
        words = {**words, "entrypoint": arguments.command(entrypoint, "the entry point")}
    return ContainerOptions(image=name, command=command, **words)


def collect(session: Session, fed: object) -> ExecResult:
    """Feed a container that was just started and collect what it writes until it ends."""
    output, error = bytearray(), bytearray()
    with session.channel() as channel:
        if isinstance(fed, bytes):
            _feed(channel, fed)
        code = 125
        for kind, payload in channel.received():
            if kind == frames.STDOUT:
                output += payload
            elif kind == frames.STDERR:
                error += payload
            elif kind == frames.EXIT:
                code = frames.number(payload)
    return ExecResult(code, bytes(output), bytes(error))


def _feed(channel: Channel, data: bytes) -> None:
    """Send the input from a thread of its own, so that neither direction can block the other."""
    import threading

    def work() -> None:
        try:
            for at in range(0, len(data), 65536):
                channel.send_stdin(data[at : at + 65536])
            channel.close_stdin()
        except OSError:
            pass  # the container has ended without reading everything

    threading.Thread(target=work, daemon=True).start()
