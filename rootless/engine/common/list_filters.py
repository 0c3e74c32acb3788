"""`--filter` of ps, images and prune, by docker's meanings."""

from __future__ import annotations

from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.engine.containers.container import Container
    from rootless.engine.engine import Engine
    from rootless.images.store.store import ImageRecord

    Filters = dict[str, list[str]]

_IMAGE_KEYS = ("before", "dangling", "label", "label!", "reference", "since", "until")


def has_label(labels: dict[str, str], wanted: str) -> bool:
    """Whether they have `NAME` or `NAME=VALUE`."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


def containers(engine: Engine, found: list[Container], filters: Filters) -> list[Container]:
    """Those that pass: every key must, by any of its values (labels: by all)."""
    tests: list[Callable[[Container], bool]] = []
    for key, values in filters.items():
        tests.append(_container_test(engine, key, values))
    return [one for one in found if all(test(one) for test in tests)]


# docker's, and podman's word for exited; nothing is restarting, removing or dead for long here
_STATUSES = frozenset(
    "created running paused exited stopped stopping restarting removing dead".split()
)


def _container_test(engine: Engine, key: str, values: list[str]) -> Callable[[Container], bool]:
    simple: dict[str, Callable[[Container, str], bool]] = {
        "id": lambda one, value: one.id.startswith(value),
        "name": lambda one, value: matches(value, one.name),
        "status": lambda one, value: one.status == {"stopped": "exited"}.get(value, value),
        "health": lambda one, value: one.health == value,
        "exited": lambda one, value: one.status == "exited" and str(one.look().exit_code) == value,
        "ancestor": lambda one, value: _is_ancestor(engine, one, value),
        "volume": lambda one, value: any(
            value in (mount.get("Name"), mount["Destination"], mount["Source"])
            for mount in one.record["mounts"]
        ),
        "network": lambda one, value: one.record["network"] == value,
        "restart-policy": lambda one, value: _policy(one) == value,
        "should-start-on-boot": lambda one, value: _starts_on_boot(one) == (value == "true"),
        "before": lambda one, value: one.created < engine.containers.get(value).created,
        "since": lambda one, value: one.created > engine.containers.get(value).created,
    }
    if key == "label":
        return lambda one: all(has_label(one.labels, value) for value in values)
    if key == "label!":
        return lambda one: not any(has_label(one.labels, value) for value in values)
    if key == "until":
        return lambda one: all(one.created < _moment(value) for value in values)
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
    import os

    stopped = os.path.exists(os.path.join(container.directory, "stopping"))
    return _policy(container) == "always" or (
        _policy(container) == "unless-stopped" and not stopped
    )


def _moment(text: str) -> float:
    from rootless.engine.logs import reader as log_reader

    return log_reader.parse_time(text)


def matches(pattern: str, text: str) -> bool:
    """Whether a regular expression is found in a text.  Raises UsageError."""
    import re

    try:
        return re.search(pattern, text) is not None
    except re.error:
        raise UsageError(f'invalid pattern "{pattern}"') from None


def _is_ancestor(engine: Engine, one: Container, value: str) -> bool:
    try:
        return engine.images.get(value).id == one.image_id
    except RootlessError:
        return one.image == value


def check_prune(filters: Filters) -> None:
    """Raises UsageError for what `system prune` does not filter by."""
    for key in filters:
        if key not in ("until", "label", "label!"):
            raise UsageError(f'unknown filter "{key}"', hint="until, label, label!")


def images(engine: Engine, found: list[ImageRecord], filters: Filters) -> list[ImageRecord]:
    """Images that pass all filters."""
    for key in filters:
        if key not in _IMAGE_KEYS:
            raise UsageError(f'unknown filter "{key}"', hint=", ".join(_IMAGE_KEYS))
    for key, values in filters.items():
        found = [one for one in found if _image_passes(engine, one, key, values)]
    return found


def _image_passes(engine: Engine, one: ImageRecord, key: str, values: list[str]) -> bool:
    from rootless.images.names import reference

    if key == "dangling":
        return any((value in ("true", "1")) == (not one.names) for value in values)
    if key == "label":
        labels = one.config.get("Labels") or {}
        return all(has_label(labels, value) for value in values)
    if key == "label!":
        labels = one.config.get("Labels") or {}
        return not any(has_label(labels, value) for value in values)
    if key == "until":
        from rootless.images.store.index import moment

        return all(moment(one.created) < _moment(value) for value in values)
    if key == "reference":
        import fnmatch

        familiar = [reference.parse(name) for name in one.names]
        texts = [ref.familiar for ref in familiar] + [
            ref.familiar.rpartition(":")[0] for ref in familiar
        ]
        return any(fnmatch.fnmatchcase(text, value) for text in texts for value in values)
    other = engine.images.get(values[0]).created
    return one.created < other if key == "before" else one.created > other
