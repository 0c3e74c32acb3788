"""`--filter` of ps and prune, by docker's meanings."""

from __future__ import annotations

import os

from rootless.engine.common import list_filters, times
from rootless.engine.containers import ref as container_ref
from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.engine.containers.container import Container
    from rootless.engine.containers.stores import Stores
    from rootless.engine.context import Context

    Filters = dict[str, list[str]]


def passing(
    ctx: Context, stores: Stores, found: list[Container], filters: Filters
) -> list[Container]:
    """Those that pass: every key must, by any of its values (labels: by all)."""
    tests: list[Callable[[Container], bool]] = []
    for key, values in filters.items():
        tests.append(_test(ctx, stores, key, values))
    return [one for one in found if all(test(one) for test in tests)]


# docker's, and podman's word for exited; nothing is restarting, removing or dead for long here
_STATUSES = frozenset(
    "created running paused exited stopped stopping restarting removing dead".split()
)


def _test(ctx: Context, stores: Stores, key: str, values: list[str]) -> Callable[[Container], bool]:
    simple: dict[str, Callable[[Container, str], bool]] = {
        "id": lambda one, value: one.id.startswith(value),
        "name": lambda one, value: list_filters.matches(value, one.name),
        "status": lambda one, value: one.status == {"stopped": "exited"}.get(value, value),
        "health": lambda one, value: one.health == value,
        "exited": lambda one, value: one.status == "exited" and str(one.look().exit_code) == value,
        "ancestor": lambda one, value: _is_ancestor(stores, one, value),
        "volume": lambda one, value: any(
            value in (mount.get("Name"), mount["Destination"], mount["Source"])
            for mount in one.record["mounts"]
        ),
        "network": lambda one, value: value in one.networks,
        "restart-policy": lambda one, value: _policy(one) == value,
        "should-start-on-boot": lambda one, value: _starts_on_boot(one) == (value == "true"),
        "before": lambda one, value: one.created < container_ref.get(ctx, value).created,
        "since": lambda one, value: one.created > container_ref.get(ctx, value).created,
    }
    if key == "label":
        return lambda one: all(list_filters.has_label(one.labels, value) for value in values)
    if key == "label!":
        return lambda one: not any(list_filters.has_label(one.labels, value) for value in values)
    if key == "until":
        return lambda one: all(one.created < times.moment(value) for value in values)
    if key not in simple:
        raise UsageError(
            f'unknown filter "{key}"', hint="label, until, " + ", ".join(sorted(simple))
        )
    if key == "status" and (unknown := [one for one in values if one not in _STATUSES]):
        raise UsageError(
            f'no container can have the status "{unknown[0]}"', hint=", ".join(sorted(_STATUSES))
        )
    check = simple[key]
    return lambda one: any(check(one, value) for value in values)


def _policy(container: Container) -> str:
    return str(container.record["restart"]).partition(":")[0]


def _starts_on_boot(container: Container) -> bool:
    """`always`, and `unless-stopped` that nobody has stopped: docker's rule for a new daemon."""
    stopped = os.path.exists(os.path.join(container.directory, "stopping"))
    return _policy(container) == "always" or (
        _policy(container) == "unless-stopped" and not stopped
    )


def _is_ancestor(stores: Stores, one: Container, value: str) -> bool:
    try:
        return stores.images.get(value).id == one.image_id
    except RootlessError:
        return one.image == value
