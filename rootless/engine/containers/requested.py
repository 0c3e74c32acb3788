"""What a client of docker's API asked for, kept so that `inspect` shows it again as it was.

Docker's clients compare what they read with what they wrote: null is not [], and an order is kept.
What holds for the container is in its record; nothing is decided by this document.
"""

from __future__ import annotations

import os

from rootless import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef

_NAME = "requested.json"


def write(container: ContainerRef, document: Json) -> None:
    """Keep it in the container's directory, with which it goes."""
    documents.write(os.path.join(container.directory, _NAME), document)


def read(container: ContainerRef) -> Json:
    """What was asked for; {} for a container that was not made by the API."""
    try:
        found = documents.read(os.path.join(container.directory, _NAME))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
