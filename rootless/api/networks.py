"""Networks: the engine's, and `host` and `none`, which are none of a container's own."""

from __future__ import annotations

from rootless.api.exchange import ApiError
from rootless.api.network_names import WITHOUT, identifier, names
from rootless.errors import Conflict, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json
    from rootless.engine.engine import Engine

_KEYS = ("dangling", "driver", "id", "label", "name", "scope", "type", "until")
_FIELDS = frozenset((
    "Name", "CheckDuplicate", "Driver", "Scope", "Internal", "Attachable", "Ingress", "IPAM",
    "EnableIPv4", "EnableIPv6", "Options", "Labels", "ConfigOnly", "ConfigFrom",
))  # fmt: skip


def _shape(one: Json) -> Json:
    """A network of the engine in docker's fields."""
    config = []
    for each in one["subnets"]:
        made = {"Subnet": each["subnet"], "Gateway": each["gateway"]}
        config.append(made)
    return {
        "Name": one["name"],
        "Id": one["id"],
        "Created": one["created"],
        "Scope": "local",
        "Driver": one["driver"],
        "EnableIPv4": True,
        "EnableIPv6": one["ipv6_enabled"],
        "IPAM": {"Driver": "default", "Options": None, "Config": config},
        "Internal": one["internal"],
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": one["options"],
        "Labels": one["labels"],
    }


def _without(name: str) -> Json:
    return {
        **_shape(
            {
                "name": name, "id": identifier(name), "created": "0001-01-01T00:00:00Z",
                "driver": WITHOUT[name], "subnets": [], "ipv6_enabled": False, "internal": False,
                "options": {}, "labels": {},
            }
        )
    }  # fmt: skip


def list_(service: Service, exchange: Exchange, _: str) -> None:
    """GET /networks."""
    filters = exchange.filters()
    for key in filters:
        if key not in _KEYS:
            raise UsageError(f"invalid filter '{key}'")
    found = [_shape(one) for one in service.engine().networks.list(filters)]
    found += [one for one in map(_without, WITHOUT) if _passes(one, filters)]
    exchange.json(found)


def _passes(one: Json, filters: dict[str, list[str]]) -> bool:
    for key, wanted in filters.items():
        if key == "name" and not any(text in one["Name"] for text in wanted):
            return False
        if key == "id" and not any(one["Id"].startswith(text) for text in wanted):
            return False
        if key == "driver" and one["Driver"] not in wanted:
            return False
        if key == "scope" and "local" not in wanted:
            return False
        if key == "type" and "builtin" not in wanted:
            return False
        if key in ("label", "until") or (key == "dangling" and wanted[0] in ("true", "1")):
            return False
    return True


def _known_without(name: str) -> str:
    for one in WITHOUT:
        if name == one or (len(name) >= 4 and identifier(one).startswith(name)):
            return one
    return ""


def _name(engine: Engine, name: str) -> str:
    """The whole name.  Raises ApiError."""
    known = _known_without(name)
    if known:
        return known
    try:
        return str(engine.networks.get(name)["name"])
    except (NotFound, UsageError):
        raise ApiError(404, f"network {name} not found") from None


def inspect(service: Service, exchange: Exchange, name: str) -> None:
    """GET /networks/{id}."""
    engine = service.engine()
    whole = _name(engine, name)
    if whole in WITHOUT:
        found, members = _without(whole), {}
    else:
        told = engine.networks.inspect(whole)
        found, members = _shape(told), told["containers"]
    for one in engine.containers.list():
        if whole not in names(one):
            continue
        place = (members.get(one.id) or {}).get("interfaces", {}).get("eth0", {})
        addresses = [each["ipnet"] for each in place.get("subnets", ())]
        found["Containers"][one.id] = {
            "Name": one.name,
            "EndpointID": one.id,
            "MacAddress": place.get("mac_address", ""),
            "IPv4Address": next((each for each in addresses if ":" not in each), ""),
            "IPv6Address": next((each for each in addresses if ":" in each), ""),
        }
    exchange.json(found)


def create(service: Service, exchange: Exchange, _: str) -> None:
    """POST /networks/create."""
    body = exchange.body.json()
    name = str(body.get("Name") or "")
    if name in (*WITHOUT, "bridge"):
        raise ApiError(403, f"operation is not permitted on predefined {name} network")
    for key, value in body.items():
        if (key not in _FIELDS or key in ("ConfigOnly", "Ingress")) and value:
            raise UsageError(f"a network has no {key} here")
    if (body.get("ConfigFrom") or {}).get("Network"):
        raise UsageError("a network has no ConfigFrom here")
    if body.get("Scope") not in (None, "", "local"):
        raise UsageError(f"the scope of a network is local, not {body['Scope']}")
    if body.get("EnableIPv4") is False:
        raise UsageError("a network without IPv4 (EnableIPv4) is not supported")
    subnets, gateways, ranges = _ipam(body.get("IPAM") or {})
    try:
        made = service.engine().networks.create(
            name,
            body.get("Driver") or None,
            {str(key): str(value) for key, value in (body.get("Options") or {}).items()},
            subnets=subnets,
            gateways=gateways,
            ip_ranges=ranges,
            internal=bool(body.get("Internal")),
            labels=body.get("Labels") or {},
            enable_ipv6=bool(body.get("EnableIPv6")),
        )
    except Conflict as error:
        if error.message == f"the network {name} exists":
            raise ApiError(409, f"network with name {name} already exists") from None
        raise ApiError(403, error.message) from None
    exchange.json({"Id": made["id"], "Warning": ""}, 201)


def _ipam(given: Json) -> tuple[list[str], list[str], list[str]]:
    """Subnets, gateways and ranges.  Raises UsageError."""
    if given.get("Driver") not in (None, "", "default") or given.get("Options"):
        raise UsageError("IPAM: there is only the driver default, without options")
    subnets, gateways, ranges = [], [], []
    for one in given.get("Config") or ():
        for key, value in one.items():
            if key not in ("Subnet", "Gateway", "IPRange") and value:
                raise UsageError(f"IPAM.Config has no {key} here")
        if one.get("Subnet"):
            subnets.append(str(one["Subnet"]))
        elif one.get("Gateway") or one.get("IPRange"):
            raise UsageError("IPAM.Config: a gateway or a range needs its Subnet")
        gateways += [str(one["Gateway"])] if one.get("Gateway") else []
        ranges += [str(one["IPRange"])] if one.get("IPRange") else []
    return subnets, gateways, ranges


def remove(service: Service, exchange: Exchange, name: str) -> None:
    """DELETE /networks/{id}."""
    engine = service.engine()
    whole = _name(engine, name)
    if whole in (*WITHOUT, "bridge"):
        raise ApiError(403, f"{whole} is a pre-defined network and cannot be removed")
    try:
        engine.networks.remove(whole)
    except Conflict as error:
        raise ApiError(403, f"error while removing network: {error.message}") from None
    exchange.send(204)


def connect(service: Service, exchange: Exchange, name: str) -> None:
    """POST /networks/{id}/connect."""
    whole = _name(service.engine(), name)
    raise ApiError(501, f"a container cannot be connected to the network {whole} later on")


def disconnect(service: Service, exchange: Exchange, name: str) -> None:
    """POST /networks/{id}/disconnect."""
    whole = _name(service.engine(), name)
    raise ApiError(501, f"a container cannot be disconnected from the network {whole}")


def prune(service: Service, exchange: Exchange, _: str) -> None:
    """POST /networks/prune."""
    filters = exchange.filters()
    for key in filters:
        if key not in ("label", "label!", "until"):
            raise UsageError(f"invalid filter '{key}'")
    exchange.json({"NetworksDeleted": service.engine().networks.prune(filters) or None})
