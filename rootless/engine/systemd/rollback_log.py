"""Images that auto-update has tried for a unit and taken back.

`$XDG_DATA_HOME/rootless/setbacks.json`: for each unit and container the images that failed, the
latest last.
"""

from __future__ import annotations

import os
import time

from rootless import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from rootless.documents import Json
    from rootless.engine.collections import Collections

    class Setback(TypedDict):
        """One image: its name, its id, the digest of its manifest (empty where no registry was
        asked), when it was taken back (seconds since the epoch), and why."""

        name: str
        image: str
        digest: str
        time: float
        reason: str

    class SetbacksDocument(TypedDict):
        """The document; the keys of `containers` are a unit's name, a space, a container's."""

        version: int
        containers: dict[str, list[Setback]]


VERSION = 1
_MOST = 10  # images of one container; who moves a tag back and forth has two
_UNITS = 500


def _time(value: Json) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e11


_SHAPE: Json = {
    "version": int,
    "containers": {
        "*": [{"name": str, "image": str, "digest": str, "time": _time, "reason": str}],
    },
}


def read(path: str) -> dict[str, list[Setback]]:
    """Return what the document says of each container; nothing where it is missing or damaged,
    because what is remembered here saves trying an image again, and no more.

    Raises NewerDocument.
    """
    try:
        found = documents.read(path)
    except (OSError, ValueError):
        return {}
    documents.refuse_newer(path, found, VERSION)
    if type(found) is dict and "version" not in found:
        # the first form: the table alone
        found = {"version": VERSION, "containers": found}
    if not documents.fits(found, _SHAPE):
        return {}
    document: SetbacksDocument = found
    return document["containers"]


class Setbacks:
    """What is known of one container of a unit."""

    def __init__(self, engine: Collections, unit: str, container: str) -> None:
        """Raises NewerDocument."""
        self._path = os.path.join(engine.context.data_dir, "setbacks.json")
        self._key = f"{unit} {container}"
        self.entries: list[Setback] = read(self._path).get(self._key, [])

    def find(self, *, image: str = "", digest: str = "") -> Setback | None:
        """Return the entry of an image, by its id or the digest of its manifest; None without
        one."""
        for entry in reversed(self.entries):
            if (image and entry["image"] == image) or (digest and entry["digest"] == digest):
                return entry
        return None

    def add(self, name: str, image: str, digest: str, reason: str) -> None:
        """Record an image that was taken back."""
        entry: Setback = {
            "name": name, "image": image, "digest": digest, "time": int(time.time()),
            "reason": reason,
        }  # fmt: skip
        others = [one for one in self.entries if one["image"] != image]
        self._write([*others, entry][-_MOST:])

    def forget(self, image: str) -> None:
        """Remove the record of an image that does well now."""
        if self.find(image=image):
            self._write([one for one in self.entries if one["image"] != image])

    def _write(self, entries: list[Setback]) -> None:
        with documents.DirectoryLock(os.path.dirname(self._path), blocking=True):
            table = read(self._path)
            table.pop(self._key, None)
            if entries:
                table[self._key] = entries
            kept = dict(list(table.items())[-_UNITS:])
            document: SetbacksDocument = {"version": VERSION, "containers": kept}
            documents.write(self._path, document)
        self.entries = entries


def sentence(entry: Setback) -> str:
    """Return what is said of an image that is not tried again."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["time"]))
    which = f"{entry['name']} ({(entry['digest'] or entry['image']).removeprefix('sha256:')[:12]})"
    return f"the image {which} was tried on {when} and taken back: {entry['reason']}"
