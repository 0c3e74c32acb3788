"""`system check` of the documents about containers and volumes."""

from __future__ import annotations

import os

from rootless.engine.containers import damaged
from rootless.errors import DamagedDocument, NewerDocument, RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.engine.collections import Collections
    from rootless.engine.containers.container import Container
    from rootless.images.store.fsck import Damage


def containers(engine: Collections, *, repair: bool) -> Iterator[Damage]:
    """Return the containers' documents that cannot be read; `repair` writes them anew from other
    files."""
    from rootless.images.store.fsck import Damage

    for one in engine.containers.list(all=True):
        for path, error in _faults(one):
            found = Damage("container", one.id, error.message, [one.name])
            found.remedy = f"rootless rm -f {one.name} removes it; its files are in {one.directory}"
            if isinstance(error, NewerDocument):
                found.remedy = f"{error.hint}; {found.remedy}"
            elif one.look().monitor or one.listener():
                found.remedy = f"it runs: stop it, and check again; or rootless rm -f {one.name}"
            elif repair:
                _mend(one, engine, path, found)
            elif not path.endswith("config.json"):
                found.remedy = f"rootless system check --repair repairs it; {found.remedy}"
            yield found


def _faults(one: Container) -> Iterator[tuple[str, DamagedDocument]]:
    if isinstance(one, damaged.Damaged):
        yield one.error.path, one.error
    try:
        one.config()
    except DamagedDocument as error:
        yield error.path, error
    found = one.look()
    if found.damage is not None and found.damage.path.endswith("/state"):
        yield found.damage.path, found.damage


def _mend(one: Container, engine: Collections, path: str, found: Damage) -> None:
    if path.endswith("/state"):
        os.unlink(path)
        found.repaired, found.remedy = True, "forgotten: how it ended last is not known any more"
    elif path.endswith("/container.json"):
        from rootless.engine.containers import rebuild_record

        try:
            lost = rebuild_record.rebuild(one, engine.images.store.list())
        except RootlessError as error:
            found.remedy = f"it cannot be rebuilt: {error.message}; {found.remedy}"
            return
        found.repaired = True
        found.remedy = f"rebuilt from its configuration and its plan, without {lost}"


def volumes(engine: Collections, *, repair: bool) -> Iterator[Damage]:
    """Return volumes whose records cannot be read."""
    from rootless.images.store.fsck import Damage

    store = engine.volumes.store
    for one in store.list():
        if "Damaged" not in one:
            continue
        found = Damage("volume", one["Name"], one["Damaged"], [])
        name = one["Name"]
        found.remedy = (
            f"rootless system check --repair repairs it; rootless volume rm {name} removes it"
        )
        if repair:
            try:
                store.repair(name)
                found.repaired, found.remedy = True, "written anew, without labels and options"
            except NewerDocument as error:
                found.remedy = error.hint
        yield found
