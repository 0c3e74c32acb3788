"""Which containers live in the namespaces of another one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.collection import Containers


def of(containers: Containers, identifier: str) -> list[str]:
    """Ids of those that share its namespaces, or those of one that does; the last made first."""
    everyone = containers.list(all=True)
    found = {identifier}
    # who joins another's namespaces is younger than that one
    for one in reversed(everyone):
        if one.record["networkTarget"] in found:
            found.add(one.id)
    return [one.id for one in everyone if one.id in found and one.id != identifier]
