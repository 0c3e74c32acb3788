"""Requests that go on while a container lives: attach, logs, wait; and the size of a terminal."""

from __future__ import annotations

from rootless.api import attaching
from rootless.errors import Conflict, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.engine.containers.channel import Channel
    from rootless.engine.containers.container import Container


def attach(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/attach, also before it is started."""
    from rootless.engine.containers.attach import DETACH_KEYS, parse_keys

    container = service.engine().containers.get(name)
    record = container.record
    keys = exchange.query.get("detachKeys") or record["detachKeys"] or DETACH_KEYS
    wanted = attaching.Wanted(
        stdin=exchange.flag("stdin") and record["stdin"],
        stdout=exchange.flag("stdout"),
        stderr=exchange.flag("stderr"),
        tty=record["tty"],
        detach_keys=parse_keys(keys),
    )
    status = container.status
    if status == "paused":
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    streams = exchange.flag("stream")
    pending = None
    before = container.state()
    if streams and not before.monitor:
        # from here on nothing that it writes is missed, whoever starts it here
        pending = attaching.Pending()
        with service.lock:
            service.pending.setdefault(container.id, []).append(pending)
    try:
        connection = exchange.hijack(attaching.kind(exchange, wanted.tty))
        if exchange.flag("logs"):
            _replay(exchange, container, wanted)
        if not streams:
            return
        if pending is None:
            channel = _channel(container)
        else:
            channel = _waited(pending, container, exchange, wanted, before.started)
        if channel is not None:
            attaching.relay(connection, channel, wanted)
    finally:
        if pending is not None:
            with service.lock:
                waiting = service.pending.get(container.id, [])
                if pending in waiting:
                    waiting.remove(pending)
                if not waiting:
                    service.pending.pop(container.id, None)
            pending.close()


def _channel(container: Container) -> Channel | None:
    try:
        return container.attach_session().channel()
    except Conflict:
        return None  # it has ended meanwhile


def _waited(
    pending: attaching.Pending,
    container: Container,
    exchange: Exchange,
    wanted: attaching.Wanted,
    before: int,
) -> Channel | None:
    """The channel once the container is started, by us or by another program.

    `before`: when its last life began.  Who is not handed the channel of the start, because another
    client has it, reads the log: that has the very first byte, also of a life that is over.
    """
    while not pending.wait(exchange.connection, 1):
        try:
            container.reload()
            found = container.state()
        except NotFound:
            return None
        if found.started == before and not found.monitor:
            continue
        if wanted.stdin or container.record["logDriver"] == "none":
            return _channel(container)
        since = found.started / 1e9 if before else None
        for stream, data in container.logs(follow=True, since=since, stop=exchange.gone):
            _pass(exchange, wanted, stream, data)
        return None
    return pending.channel


def _pass(exchange: Exchange, wanted: attaching.Wanted, stream: str, data: bytes) -> None:
    stderr = stream == "stderr"
    if wanted.stderr if stderr else wanted.stdout:
        exchange.connection.send(b"" if wanted.tty else attaching.frame(stderr, data), data)


def _replay(exchange: Exchange, container: Container, wanted: attaching.Wanted) -> None:
    for stream, data in container.logs():
        _pass(exchange, wanted, stream, data)


def logs(service: Service, exchange: Exchange, name: str) -> None:
    """GET /containers/{id}/logs."""
    from rootless.engine.common import times

    container = service.engine().containers.get(name)
    out, err = exchange.flag("stdout"), exchange.flag("stderr")
    if not (out or err):
        raise UsageError("Bad parameters: you must choose at least one stream")
    tail = exchange.query.get("tail", "all")
    lines = int(tail) if tail.isdigit() else None
    moments: dict[str, float] = {}
    for key in ("since", "until"):
        text = exchange.query.get(key, "")
        if text and text not in ("0", "0.000000000"):
            moments[key] = times.moment(text)
    tty = container.record["tty"]
    follow = exchange.flag("follow")
    found = container.logs(
        follow=follow,
        tail=lines,
        timestamps=exchange.flag("timestamps"),
        since=moments.get("since"),
        until=moments.get("until"),
        stop=exchange.gone if follow else None,
    )
    exchange.stream(attaching.kind(exchange, tty))
    for stream, data in found:
        stderr = stream == "stderr"
        if err if stderr else out:
            exchange.write(data if tty else attaching.frame(stderr, data) + data)
    exchange.finish()


_CONDITIONS = {"": "not-running", "not-running": "not-running", "next-exit": "next-exit",
               "removed": "removed"}  # fmt: skip


def wait(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/wait: the head is sent when the condition is armed."""
    condition = _CONDITIONS.get(exchange.query.get("condition", ""))
    if condition is None:
        raise UsageError(f'invalid condition: "{exchange.query["condition"]}"')
    waiter = service.engine().containers.get(name).waiter(condition)
    exchange.stream("application/json")
    code = waiter.wait(stop=exchange.gone)
    if code is None:
        exchange.keeps = False
        return
    exchange.line({"StatusCode": max(0, code)})
    exchange.finish()


def resize(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/resize."""
    container = service.engine().containers.get(name)
    rows, columns = size(exchange)
    if not container.state().monitor:
        raise Conflict(f"Container {container.id} is not running")
    from rootless import paths
    from rootless.engine.containers.channel import Channel

    with Channel(f"{paths.socket_directory(container.id)}/attach") as channel:
        channel.resize(rows, columns)
    container.emit("resize", height=str(rows), width=str(columns))
    exchange.send(200)


def size(exchange: Exchange) -> tuple[int, int]:
    """Rows and columns of the query.  Raises UsageError."""
    rows, columns = exchange.integer("h") or 0, exchange.integer("w") or 0
    if not (0 <= rows < 1 << 16 and 0 <= columns < 1 << 16):
        raise UsageError("a terminal has at most 65535 rows and columns")
    return rows, columns
