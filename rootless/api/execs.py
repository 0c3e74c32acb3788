"""Exec objects: made, started with or without a client, resized, asked about."""

from __future__ import annotations

from rootless.api import attaching, failures, streams
from rootless.errors import Conflict, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service

_KNOWN = frozenset((
    "AttachStdin", "AttachStdout", "AttachStderr", "Cmd", "ConsoleSize", "Container", "Detach",
    "DetachKeys", "Env", "Privileged", "Tty", "User", "WorkingDir",
))  # fmt: skip


def create(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/exec."""
    from rootless.engine.containers import exec_object

    # as Go's decoder, which takes other cases for the same field: docker-py writes detachKeys
    names = {one.lower(): one for one in _KNOWN}
    body = {names.get(key.lower(), key): value for key, value in exchange.body.json().items()}
    for key in body:
        if key not in _KNOWN:
            raise UsageError(f"an exec has no {key} here")
    container = service.engine().containers.get(name)
    identifier = exec_object.create(
        container,
        {
            "command": [str(one) for one in body.get("Cmd") or ()],
            "env": [str(one) for one in body.get("Env") or () if "=" in str(one)],
            "tty": bool(body.get("Tty")),
            "interactive": bool(body.get("AttachStdin")),
            "privileged": bool(body.get("Privileged")),
            "user": str(body.get("User") or "") or None,
            "workdir": str(body.get("WorkingDir") or "") or None,
            "detach_keys": str(body.get("DetachKeys") or "") or None,
        },
        streams=[key[6:].lower() for key in ("AttachStdout", "AttachStderr") if body.get(key)],
    )
    exchange.json({"Id": identifier}, 201)


def start(service: Service, exchange: Exchange, name: str) -> None:
    """POST /exec/{id}/start."""
    from rootless.engine.containers import exec_object
    from rootless.engine.containers.attach import DETACH_KEYS, parse_keys

    found_keys = exchange.body.json().items()
    body = {{"detach": "Detach", "tty": "Tty"}.get(key, key): value for key, value in found_keys}
    found = exec_object.get(service.engine().context, name)
    if found.document["started"]:
        running, _, _ = found.state()
        what = "is already running" if running else "has already run"
        raise Conflict(f"Error: Exec command {name} {what}")
    if not found.container.state().alive:
        raise Conflict(f"container {found.container.id} is not running")
    window = None
    given = body.get("ConsoleSize")
    if isinstance(given, list) and len(given) == 2 and all(isinstance(one, int) for one in given):
        window = (given[0] & 0xFFFF, given[1] & 0xFFFF) if any(given) else None
    if body.get("Detach"):
        found.start(attach=False, window=window)
        exchange.send(200)
        return
    options = found.options
    # docker frames by what is said here, not by what was said at the making
    tty = bool(body.get("Tty"))
    wanted = attaching.Wanted(
        stdin=options.interactive,
        stdout="stdout" in found.document["streams"],
        stderr="stderr" in found.document["streams"],
        tty=tty,
        detach_keys=parse_keys(options.detach_keys or DETACH_KEYS),
    )
    connection = exchange.hijack(attaching.kind(exchange, tty))
    try:
        session = found.start(attach=True, stdin=options.interactive, window=window)
    except (RootlessError, OSError) as error:
        # the status is sent: as docker, the reason goes where the output would have gone
        text = f"OCI runtime exec failed: {failures.sentence(error)}\r\n".encode()
        connection.send(b"" if tty else attaching.frame(True, text), text)
        return
    assert session is not None
    channel = session.channel()
    service.terminals[name] = channel
    try:
        attaching.relay(connection, channel, wanted)
    finally:
        service.terminals.pop(name, None)


def resize(service: Service, exchange: Exchange, name: str) -> None:
    """POST /exec/{id}/resize; of one whose client is not connected here there is nobody to see."""
    from rootless.engine.containers import exec_object
    from rootless.engine.containers.channel import Channel

    rows, columns = streams.size(exchange)
    found = exec_object.get(service.engine().context, name)
    channel = service.terminals.get(name)
    if isinstance(channel, Channel):
        try:
            channel.resize(rows, columns)
        except OSError:
            pass  # it has ended just now
    elif not found.state()[0]:
        raise Conflict(f"no running process found for exec {name}")
    exchange.send(200)


def inspect(service: Service, exchange: Exchange, name: str) -> None:
    """GET /exec/{id}/json."""
    from rootless.engine.containers import exec_object

    found = exec_object.get(service.engine().context, name)
    running, code, pid = found.state()
    options = found.options
    shown = found.document["streams"]
    exchange.json(
        {
            "ID": found.id,
            "Running": running,
            "ExitCode": code,
            "ProcessConfig": {
                "tty": options.tty,
                "entrypoint": options.command[0],
                "arguments": options.command[1:],
                "privileged": options.privileged,
                **({"user": options.user} if options.user else {}),
            },
            "OpenStdin": options.interactive,
            "OpenStdout": "stdout" in shown,
            "OpenStderr": "stderr" in shown,
            "CanRemove": False,
            "ContainerID": found.container.id,
            "DetachKeys": "",
            "Pid": pid,
        }
    )
