"""Volumes."""

from __future__ import annotations

from rootless.api.exchange import ApiError
from rootless.errors import Conflict, UsageError, VolumeNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json

_KEYS = ("CreatedAt", "Driver", "Mountpoint", "Name", "Scope")


def shown(one: Json) -> Json:
    """A volume with docker's fields."""
    made = {key: one[key] for key in _KEYS}
    made["Labels"] = one["Labels"] or None
    made["Options"] = one["Options"] or None
    return made


def list_(service: Service, exchange: Exchange, _: str) -> None:
    """GET /volumes."""
    found = service.engine().volumes.list(exchange.filters())
    exchange.json({"Volumes": [shown(one) for one in found], "Warnings": None})


def create(service: Service, exchange: Exchange, _: str) -> None:
    """POST /volumes/create: one that exists is answered as it is."""
    body = exchange.body.json()
    for key, value in body.items():
        if key not in ("Name", "Driver", "DriverOpts", "Labels") and value:
            raise UsageError(f"volumes have no {key} here")
    driver = str(body.get("Driver") or "local")
    if driver != "local":
        raise ApiError(404, f'create {body.get("Name")}: error looking up volume plugin {driver}: '
                            f'plugin "{driver}" not found')  # fmt: skip
    made = service.engine().volumes.create(
        str(body.get("Name") or ""),
        body.get("Labels") or {},
        driver,
        body.get("DriverOpts") or {},
        ignore=True,
    )
    exchange.json(shown(made), 201)


def inspect(service: Service, exchange: Exchange, name: str) -> None:
    """GET /volumes/{name}."""
    exchange.json(shown(service.engine().volumes.get(name)))


def remove(service: Service, exchange: Exchange, name: str) -> None:
    """DELETE /volumes/{name}."""
    volumes = service.engine().volumes
    try:
        volumes.remove(name)
    except VolumeNotFound:
        if not exchange.flag("force"):
            raise
    except Conflict as error:
        raise ApiError(
            409, f"remove {name}: volume is in use - [{error.message.rpartition(' ')[2]}]"
        ) from None
    exchange.send(204)


def prune(service: Service, exchange: Exchange, _: str) -> None:
    """POST /volumes/prune: anonymous ones; with the filter all, or before 1.42, those with a name
    as well."""
    engine = service.engine()
    filters = exchange.filters()
    everything = filters.pop("all", ["false"])[0].lower() in ("true", "1")
    everything = everything or exchange.version < (1, 42)
    for key in filters:
        if key not in ("label", "label!"):
            raise UsageError(f"invalid filter '{key}'")
    done = engine.volumes.prune(filters, all=everything)
    exchange.json({**done, "VolumesDeleted": done["VolumesDeleted"] or None})
