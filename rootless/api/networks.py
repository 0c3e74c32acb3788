"""Networks: those that every host has; others are the engine's to make."""

from __future__ import annotations

from rootless.api.exchange import ApiError
from rootless.api.network_names import identifier, network_name
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json

_USUAL = {"bridge": "bridge", "host": "host", "none": "null"}
_SLIRP = [{"Subnet": "10.0.2.0/24", "Gateway": "10.0.2.2"}]
_KEYS = ("driver", "id", "label", "name", "scope", "type", "dangling", "until")


def _one(name: str) -> Json:
    return {
        "Name": name,
        "Id": identifier(name),
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": _USUAL[name],
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            # what slirp4netns gives each container, which is alone in it
            "Config": _SLIRP if name == "bridge" else [],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }  # fmt: skip


def list_(service: Service, exchange: Exchange, _: str) -> None:
    """GET /networks."""
    filters = exchange.filters()
    for key in filters:
        if key not in _KEYS:
            raise UsageError(f"invalid filter '{key}'")
    exchange.json([one for one in map(_one, _USUAL) if _passes(one, filters)])


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
        if key == "label" or (key == "dangling" and wanted[0] in ("true", "1")):
            return False
    return True


def _find(name: str) -> str:
    for one in _USUAL:
        if name == one or (len(name) >= 4 and identifier(one).startswith(name)):
            return one
    raise ApiError(404, f"network {name} not found")


def inspect(service: Service, exchange: Exchange, name: str) -> None:
    """GET /networks/{id}."""
    found = _one(_find(name))
    for one in service.engine().containers.list():
        if network_name(one.record["network"]) == found["Name"]:
            found["Containers"][one.id] = {
                "Name": one.name, "EndpointID": one.id, "MacAddress": "", "IPv4Address": "",
                "IPv6Address": "",
            }  # fmt: skip
    exchange.json(found)


def create(service: Service, exchange: Exchange, _: str) -> None:
    """POST /networks/create."""
    name = str(exchange.body.json().get("Name") or "")
    if name in _USUAL:
        raise ApiError(403, f"operation is not permitted on predefined {name} network")
    raise ApiError(501, "networks of one's own are not made by this service")


def remove(service: Service, exchange: Exchange, name: str) -> None:
    """DELETE /networks/{id}."""
    found = _find(name)
    raise ApiError(403, f"{found} is a pre-defined network and cannot be removed")


def connect(service: Service, exchange: Exchange, name: str) -> None:
    """POST /networks/{id}/connect."""
    found = _find(name)
    raise ApiError(403, f"a container cannot be connected to the network {found} later on")


def disconnect(service: Service, exchange: Exchange, name: str) -> None:
    """POST /networks/{id}/disconnect."""
    found = _find(name)
    raise ApiError(403, f"a container cannot be disconnected from the network {found}")


def prune(service: Service, exchange: Exchange, _: str) -> None:
    """POST /networks/prune."""
    exchange.json({"NetworksDeleted": None})
