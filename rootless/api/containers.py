"""A container's life: list, inspect, start, stop, kill, remove and the like."""

from __future__ import annotations

from rootless.api import shapes
from rootless.api.network_names import Ids
from rootless.errors import Conflict, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.engine.containers.container import Container


def _get(service: Service, name: str) -> Container:
    return service.engine().containers.get(name)


def listed(service: Service, exchange: Exchange, _: str) -> None:
    """GET /containers/json."""
    engine = service.engine()
    filters = exchange.filters()
    limit = exchange.integer("limit") or 0
    for key in ("before", "since"):
        # older clients name these by themselves
        if exchange.query.get(key):
            filters.setdefault(key, []).append(exchange.query[key])
    for word in filters.get("status", ()):
        if word not in _STATUSES:
            raise UsageError(f"invalid filter 'status={word}'")
    everything = exchange.flag("all") or limit > 0
    found = engine.containers.list(all=everything, filters=filters)
    if limit > 0:
        found = found[:limit]
    size = exchange.flag("size")
    ids = Ids(engine)
    made = []
    for one in found:
        try:
            made.append(shapes.summary(one, ids, size=size))
        except (RootlessError, OSError):
            continue  # removed meanwhile, or damaged
    exchange.json(made)


_STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")


def inspect(service: Service, exchange: Exchange, name: str) -> None:
    """GET /containers/{id}/json."""
    engine = service.engine()
    found = engine.containers.get(name)
    size = exchange.flag("size")
    exchange.json(shapes.inspected(found, exchange, Ids(engine), size=size))


def start(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/start: whoever attached before gets the very first byte."""
    from rootless.engine.containers import requested

    exchange.body.whole()
    container = _get(service, name)
    status = container.status
    if status == "paused":
        raise Conflict("cannot start a paused container, try unpause instead")
    if status in ("running", "restarting"):
        exchange.send(304)
        return
    window = None
    if container.record["tty"]:
        given = (requested.read(container).get("HostConfig") or {}).get("ConsoleSize")
        if isinstance(given, list) and len(given) == 2 and all(given):
            window = (int(given[0]) & 0xFFFF, int(given[1]) & 0xFFFF)
    with service.lock:
        waiting = list(service.pending.get(container.id, ()))
    try:
        session = container.start(attach=bool(waiting), window=window)
    except BaseException:
        for one in waiting:
            one.give(None)
        raise
    if session is not None:
        channel = session.channel()
        if not waiting.pop(0).give(channel):
            channel.close()
        for one in waiting:
            # they look at the socket of its monitor by themselves, soon
            one.wake()
    exchange.send(204)


def stop(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/stop."""
    container = _get(service, name)
    if container.status not in ("running", "paused", "restarting"):
        exchange.send(304)
        return
    timeout = exchange.integer("t")
    container.stop(
        2147483647 if timeout is not None and timeout < 0 else timeout,
        exchange.query.get("signal") or None,
    )
    exchange.send(204)


def restart(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/restart."""
    timeout = exchange.integer("t")
    _get(service, name).restart(timeout)
    exchange.send(204)


def kill(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/kill."""
    container = _get(service, name)
    signal = exchange.query.get("signal") or "SIGKILL"
    if container.status not in ("running", "paused", "restarting"):
        raise Conflict(f"cannot kill container: {name}: container {container.id} is not running")
    container.kill(int(signal) if signal.isdigit() else signal)
    if signal.upper() in ("9", "KILL", "SIGKILL"):
        # docker's answer to this one comes when it has ended
        container.waiter("not-running").wait(stop=exchange.gone)
    exchange.send(204)


def remove(service: Service, exchange: Exchange, name: str) -> None:
    """DELETE /containers/{id}."""
    if exchange.flag("link"):
        raise UsageError("links between containers do not exist here")
    container = service.engine().containers.get(name, damaged=True)
    force = exchange.flag("force")
    status = container.status
    if not force and status in ("running", "paused", "restarting"):
        raise Conflict(
            f'cannot remove container "{container.name}": container is {status}: '
            "stop the container before removing or force remove"
        )
    container.remove(force=force, volumes=exchange.flag("v"))
    exchange.send(204)


def rename(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/rename."""
    new = exchange.query.get("name", "").removeprefix("/")
    container = _get(service, name)
    if not new:
        raise UsageError("Neither old nor new names may be empty")
    container.rename(new)
    exchange.send(204)


def pause(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/pause."""
    container = _get(service, name)
    if container.status == "paused":
        raise Conflict(f"Container {container.id} is already paused")
    container.pause()
    exchange.send(204)


def unpause(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/unpause."""
    container = _get(service, name)
    if container.status != "paused":
        raise Conflict(f"Container {container.id} is not paused")
    container.unpause()
    exchange.send(204)


def update(service: Service, exchange: Exchange, name: str) -> None:
    """POST /containers/{id}/update."""
    from rootless.api.shared import Told
    from rootless.api.updating import words
    from rootless.engine.containers import requested

    body = exchange.body.json()
    told = Told()
    container = service.engine(told).containers.get(name)
    container.update(**words(body))
    asked = requested.read(container)
    if asked:
        host = asked.setdefault("HostConfig", {})
        host.update({key: value for key, value in body.items() if value not in (None, 0, "", [])})
        requested.write(container, asked)
    exchange.json({"Warnings": told.messages or None})


def top(service: Service, exchange: Exchange, name: str) -> None:
    """GET /containers/{id}/top."""
    container = _get(service, name)
    if not container.state().alive:
        raise Conflict(f"container {container.id} is not running")
    asked = exchange.query.get("ps_args") or "-ef"
    # ps(1): wide output, in any order of the letters
    wide = "u" in asked and set(asked) <= set("-auxw")
    exchange.json(container.top("aux" if wide else asked))


def changes(service: Service, exchange: Exchange, name: str) -> None:
    """GET /containers/{id}/changes."""
    kinds = {"C": 0, "A": 1, "D": 2}
    found = [{"Path": path, "Kind": kinds[kind]} for kind, path in _get(service, name).diff()]
    exchange.json(found or None)


def prune(service: Service, exchange: Exchange, _: str) -> None:
    """POST /containers/prune."""
    engine = service.engine()
    filters = exchange.filters()
    for key in filters:
        if key not in ("label", "label!", "until"):
            raise UsageError(f"invalid filter '{key}'")
    done = engine.containers.prune(filters)
    exchange.json({**done, "ContainersDeleted": done["ContainersDeleted"] or None})
