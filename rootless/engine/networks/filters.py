"""`--filter` of network ls and prune, by podman's and docker's meanings."""

from __future__ import annotations

from rootless.engine.common import list_filters, times
from rootless.errors import UsageError
from rootless.network import definitions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.networks.users import NetworkUsers
    from rootless.network.definitions import NetworkDocument

_KEYS = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type", "until")


def passing(
    known: list[NetworkDocument], filters: dict[str, list[str]], users: NetworkUsers
) -> list[NetworkDocument]:
    """Those that pass: every key must, by any of its values (labels: by all)."""
    for key in filters:
        if key not in _KEYS:
            raise UsageError(f'unknown filter "{key}"', hint=", ".join(_KEYS))
    used = users.of_networks() if "dangling" in filters else {}
    return [
        one
        for one in known
        if all(_passes(one, key, values, used) for key, values in filters.items())
    ]


def _passes(one: NetworkDocument, key: str, values: list[str], used: object) -> bool:
    if key == "label":
        return all(list_filters.has_label(one["labels"], value) for value in values)
    if key == "label!":
        return not any(list_filters.has_label(one["labels"], value) for value in values)
    if key == "until":
        return all(one["created"] < times.moment(value) for value in values)
    return any(_is(one, key, value, used) for value in values)


def _is(one: NetworkDocument, key: str, value: str, used: object) -> bool:
    if key == "name":
        return list_filters.matches(value, one["name"])
    if key == "id":
        return one["id"].startswith(value)
    if key == "driver":
        return one["driver"] == value
    if key == "scope":
        return value == "local"
    if key == "type":
        # docker's: what is always there, and what somebody has made
        return (one["name"] == definitions.BUILT_IN) == (value == "builtin")
    in_use = isinstance(used, dict) and one["name"] in used
    return in_use != (value in ("true", "1"))
