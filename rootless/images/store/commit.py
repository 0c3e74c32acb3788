"""The image that a container becomes: its configuration and the record.

Scope: pure functions over documents, and `keep`.  What goes into the layer is the storage room's.
Sources: OCI image specification, config.md; docker-commit(1).
"""

from __future__ import annotations

import copy
import os
import time

from rootless import documents
from rootless.errors import UsageError
from rootless.images.formats import dockerfile_changes, manifests, platforms
from rootless.images.record import ImageRecord, Layer
from rootless.images.store import assemble
from rootless.images.store.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

FORMATS = ("oci", "docker")


class Words:
    """What `commit` was asked for.

    `changes`: Dockerfile instructions.  `timestamp`: seconds since the epoch for the image and
    everything in its layer.  `squash`: one layer with everything instead of one more.
    """

    __slots__ = (
        "author", "changes", "format", "include_volumes", "message", "pause", "squash", "timestamp"
    )  # fmt: skip

    def __init__(
        self,
        *,
        changes: list[str] | str | None = None,
        author: str = "",
        message: str = "",
        format: str = "oci",
        include_volumes: bool = False,
        pause: bool | None = None,
        squash: bool = False,
        timestamp: int | None = None,
    ) -> None:
        """Raises UsageError for what can be known to be wrong before anything is done."""
        if format not in FORMATS:
            raise UsageError(f'unknown image format "{format}"', hint="oci or docker")
        self.changes = [changes] if isinstance(changes, str) else list(changes or ())
        self.author = author
        self.message = message
        self.format = format
        self.include_volumes = include_volumes
        self.pause = pause
        self.squash = squash
        self.timestamp = timestamp
        apply({}, self.changes)


def apply(config: dict[str, Json], wanted: list[str]) -> None:
    """Apply Dockerfile instructions.  Raises UsageError."""
    dockerfile_changes.apply(config, wanted)


def source_date() -> int | None:
    """Return $SOURCE_DATE_EPOCH, the latest time that anything reproducible may have.

    Source: the specification of that name by the Reproducible Builds project.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            f'SOURCE_DATE_EPOCH is "{text}"', hint="a whole number of seconds since the epoch"
        )
    return int(text)


def configuration(
    base: dict[str, Json] | None,
    settings: dict[str, Json],
    command: list[str],
    layer: Layer,
    words: Words,
) -> dict[str, Json]:
    """Return the configuration of the new image.

    `base` is the configuration of the image the container was made from, None without one;
    `settings` the container's own Cmd, Env and so on, which replace the image's; `command` what it
    ran, for the history.
    """
    config = copy.deepcopy(base) if base else {}
    here = platforms.host()
    config.setdefault("architecture", here.architecture)
    config.setdefault("os", here.os)
    if here.variant and not base:
        config["variant"] = here.variant
    moment = words.timestamp if words.timestamp is not None else source_date()
    created = time.strftime(
        "%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment if moment is not None else time.time())
    )
    config["created"] = created
    if words.author:
        config["author"] = words.author
    # of docker's older images: which container they were made from
    for key in ("container", "container_config", "id", "parent", "docker_version"):
        config.pop(key, None)
    inner = {key: value for key, value in (config.get("config") or {}).items() if value is not None}
    inner.update(settings)
    apply(inner, words.changes)
    config["config"] = {key: value for key, value in inner.items() if value not in ("", [], {})}
    entry: dict[str, Json] = {"created": created, "created_by": " ".join(command)}
    if words.author:
        entry["author"] = words.author
    if words.message:
        entry["comment"] = words.message
    history = [] if words.squash else list(config.get("history") or [])
    diffs = [] if words.squash else list((config.get("rootfs") or {}).get("diff_ids") or [])
    config["history"] = [*history, entry]
    config["rootfs"] = {"type": "layers", "diff_ids": [*diffs, layer.diff_id]}
    return config


def keep(
    store: ImageStore,
    config: dict[str, Json],
    below: list[Layer],
    layer: Layer,
    words: Words,
    names: list[str],
) -> ImageRecord:
    """Store the image.  The caller holds `guard`.  Raises StorageError."""
    layers = [layer] if words.squash else [*below, layer]
    # what is invalid is found before anything is written
    manifests.record(layer.digest, layer.digest, layers, config)
    data = documents.dumps(config).encode()
    return assemble.keep(store, data, config, layers, names, form=words.format)
