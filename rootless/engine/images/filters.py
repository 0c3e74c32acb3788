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
    from rootless.images.names import reference

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
        import fnmatch

        familiar = [reference.parse(name) for name in one.names]
        texts = [ref.familiar for ref in familiar] + [
            ref.familiar.rpartition(":")[0] for ref in familiar
        ]
        return any(fnmatch.fnmatchcase(text, value) for text in texts for value in values)
    other = store.resolve(values[0]).created
    return one.created < other if key == "before" else one.created > other
