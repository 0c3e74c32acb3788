"""The networks and ports of a body as the engine's options."""

from __future__ import annotations

from rootless.api.exchange import ApiError
from rootless.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.networks.collection import Networks

    Words = dict[str, object]

_USUAL = ("default", "bridge")


def networks(words: Words, body: Json, host: Json, known: Networks | None) -> None:
    """NetworkMode and NetworkingConfig as `network`.  Raises ApiError, UsageError."""
    mode = str(host.get("NetworkMode") or "default")
    if body.get("NetworkDisabled"):
        mode = "none"
    endpoints: Json = dict((body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {})
    if mode in _USUAL and endpoints and not set(endpoints) & {*_USUAL}:
        mode = next(iter(endpoints))
    if mode in _USUAL:
        endpoints = {name: one for name, one in endpoints.items() if name != "default"}
        endpoints.setdefault("bridge", endpoints.pop("bridge", None))
    if mode in ("host", "none") or mode in _USUAL or mode.startswith("container:"):
        for name, given in endpoints.items():
            if name not in (mode, "bridge"):
                raise ApiError(
                    400, f"a container on {mode} cannot be on the network {name} as well"
                )
            _plain(name, given or {})
        if mode not in _USUAL:
            words["network"] = [mode]
        return
    endpoints.setdefault(mode, None)
    words["network"] = [
        _place(name, given or {}, known)
        for name, given in sorted(endpoints.items(), key=lambda one: one[0] != mode)
    ]


def _plain(name: str, given: Json) -> None:
    """An endpoint on a network that has nothing to choose."""
    for key in ("IPAMConfig", "Links", "MacAddress", "DriverOpts"):
        value = given.get(key)
        if value and any(value.values() if isinstance(value, dict) else [value]):
            raise UsageError(
                f"NetworkingConfig.EndpointsConfig.{name}.{key} is not supported here: "
                "it is for networks that were created"
            )


def _place(name: str, given: Json, known: Networks | None) -> str:
    """The argument of --network for an endpoint.  Raises ApiError, UsageError."""
    if known is not None:
        try:
            name = known.get(name)["name"]
        except (NotFound, UsageError):
            raise ApiError(404, f"network {name} not found") from None
    parts = []
    address = given.get("IPAMConfig") or {}
    if address.get("LinkLocalIPs"):
        raise UsageError(f"EndpointsConfig.{name}.IPAMConfig.LinkLocalIPs is not supported")
    for key, value in (
        ("ip", address.get("IPv4Address")), ("ip6", address.get("IPv6Address")),
        ("mac", given.get("MacAddress")), *(("alias", one) for one in given.get("Aliases") or ()),
    ):  # fmt: skip
        if value and ("," in str(value) or "=" in str(value)):
            raise UsageError(f'"{value}" is no {key} of a network')
        if value:
            parts.append(f"{key}={value}")
    for key in ("Links", "DriverOpts"):
        if given.get(key):
            raise UsageError(f"NetworkingConfig.EndpointsConfig.{name}.{key} is not supported")
    return f"{name}:{','.join(parts)}" if parts else name


def ports(words: Words, body: Json, host: Json) -> None:
    """PortBindings and ExposedPorts as `publish` and `expose`."""
    made: list[str] = []
    for port, places in (host.get("PortBindings") or {}).items():
        for place in places or [{}]:
            address, outside = place.get("HostIp") or "", str(place.get("HostPort") or "")
            if outside == "0":
                outside = ""
            if address == "::" and len(places) > 1:
                continue  # what docker's clients add for the same port of IPv6
            if ":" in address:
                address = f"[{address}]"
            made.append(":".join([*([address] if address else []), outside, port]))
    words["publish"] = [one.removeprefix(":") for one in made]
    words["expose"] = [str(one) for one in body.get("ExposedPorts") or ()]
