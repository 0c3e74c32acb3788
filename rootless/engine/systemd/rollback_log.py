"""Images that auto-update has tried for a unit and taken back.

`$XDG_DATA_HOME/rootless/setbacks.json`: for each unit and container the images that did not do
well, the latest last: `image` (id), `digest` (of the manifest, empty where no registry was asked),
`name`, `time` (seconds since the epoch), `reason`.
"""

from __future__ import annotations

import os
import time

from rootless import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections

_MOST = 10  # images of one container; who moves a tag back and forth has two
_UNITS = 500


def _time(value: Json) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e11


_SHAPE: Json = {
    "*": [{"name": str, "image": str, "digest": str, "time": _time, "reason": str}],
}


class Setbacks:
    """What is known of one container of a unit."""

    def __init__(self, engine: Collections, unit: str, container: str) -> None:
        self._path = os.path.join(engine.context.data_dir, "setbacks.json")
        self._key = f"{unit} {container}"
        self.entries: list[Json] = self._read().get(self._key, [])

    def _read(self) -> dict[str, list[Json]]:
        try:
            found = documents.read(self._path)
        except (OSError, ValueError):
            return {}
        # what is remembered here saves trying an image again, and no more
        return found if documents.fits(found, _SHAPE) else {}

    def find(self, *, image: str = "", digest: str = "") -> Json:
        """Return the entry of an image, by its id or the digest of its manifest; None without
        one."""
        for entry in reversed(self.entries):
            if (image and entry["image"] == image) or (digest and entry["digest"] == digest):
                return entry
        return None

    def add(self, name: str, image: str, digest: str, reason: str) -> None:
        """Record an image that was taken back."""
        entry = {
            "name": name, "image": image, "digest": digest, "time": int(time.time()),
            "reason": reason,
        }  # fmt: skip
        others = [one for one in self.entries if one["image"] != image]
        self._write([*others, entry][-_MOST:])

    def forget(self, image: str) -> None:
        """Remove the record of an image that does well now."""
        if self.find(image=image):
            self._write([one for one in self.entries if one["image"] != image])

    def _write(self, entries: list[Json]) -> None:
        with documents.DirectoryLock(os.path.dirname(self._path), blocking=True):
            table = self._read()
            table.pop(self._key, None)
            if entries:
                table[self._key] = entries
            documents.write(self._path, dict(list(table.items())[-_UNITS:]))
        self.entries = entries


def sentence(entry: Json) -> str:
    """Return what is said of an image that is not tried again."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["time"]))
    which = f"{entry['name']} ({(entry['digest'] or entry['image']).removeprefix('sha256:')[:12]})"
    return f"the image {which} was tried on {when} and taken back: {entry['reason']}"
