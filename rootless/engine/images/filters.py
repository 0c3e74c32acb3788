"""`--filter` of images and prune, by docker's meanings."""

from __future__ import annotations

from rootless.engine.common import list_filters, times
from rootless.errors import UsageError
from rootless.images.store import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.store.store import ImageRecord, ImageStore

    Filters = dict[str, list[str]]

_KEYS = ("before", "dangling", "label", "label!", "reference", "since", "until")


def passing(store: ImageStore, found: list[ImageRecord], filters: Filters) -> list[ImageRecord]:
    """Images that pass all filters."""
    for key in filters:
        if key not in _KEYS:
            raise UsageError(f'unknown filter "{key}"', hint=", ".join(_KEYS))
    for key, values in filters.items():
        found = [one for one in found if _passes(store, one, key, values)]
    return found


def _passes(store: ImageStore, one: ImageRecord, key: str, values: list[str]) -> bool:
    if key == "dangling":
        return any((value in ("true", "1")) == (not one.names) for value in values)
    if key == "label":
        labels = one.config.get("Labels") or {}
        return all(list_filters.has_label(labels, value) for value in values)
    if key == "label!":
        labels = one.config.get("Labels") or {}
        return not any(list_filters.has_label(labels, value) for value in values)
    if key == "until":
        return all(index.moment(one.created) < times.moment(value) for value in values)
    if key == "reference":
        return any(_is_called(name, value) for name in one.names for value in values)
    other = store.resolve(values[0]).created
    return one.created < other if key == "before" else one.created > other


def _is_called(name: str, pattern: str) -> bool:
    """Whether a pattern matches a name: whole, without its registry, or its last part alone.

    Each with the tag and without it, as with podman, so that `small` finds localhost/small:1.
    A `*` matches no `/`.
    """
    import fnmatch

    from rootless.images.names import reference

    ref = reference.parse(name)
    wanted = pattern.split("/")
    return any(
        len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
        for text in (ref.name, ref.repository, ref.repository.rpartition("/")[2], ref.familiar_name)
        for parts in (text.split("/"), f"{text}:{ref.tag}".split("/"))
    )
