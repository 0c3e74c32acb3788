"""Volumes: directories that outlive containers."""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.errors import Conflict, UsageError, VolumeNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps

_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Volumes:
    """The volumes of one data directory."""

    def __init__(self, data_dir: str, maps: IdMaps) -> None:
        self.base = os.path.join(data_dir, "volumes")
        self.maps = maps

    def directory(self, name: str) -> str:
        """Where a volume is kept."""
        return os.path.join(self.base, name)

    def _check(self, name: str) -> None:
        if not name or not name[0].isalnum() or not set(name) <= _ALLOWED:
            raise UsageError(
                f'invalid volume name "{name}"',
                hint="use a-z A-Z 0-9 _ . -, first a letter or digit; paths begin with / or .",
            )

    def create(
        self, name: str, labels: dict[str, str], driver: str, options: dict[str, str]
    ) -> Json:
        """Make a volume.  Raises UsageError, Conflict."""
        self._check(name)
        if driver != "local" or options:
            raise UsageError(f'volume driver "{driver}" with options is not offered', hint="local")
        path = self.directory(name)
        try:
            os.makedirs(self.base, 0o711, exist_ok=True)
            os.mkdir(path, 0o711)
        except FileExistsError:
            raise Conflict(f'the volume "{name}" exists') from None
        os.mkdir(os.path.join(path, "_data"), 0o755)
        documents.write(
            os.path.join(path, "volume.json"),
            {"name": name, "labels": labels, "driver": driver, "created": time.time()},
        )
        return self.get(name)

    def ensure(self, name: str) -> str:
        """The data directory of a volume, which is made if it does not exist."""
        self._check(name)
        path = os.path.join(self.directory(name), "_data")
        if not os.path.isdir(path):
            try:
                self.create(name, {}, "local", {})
            except Conflict:
                os.makedirs(path, 0o755, exist_ok=True)
        return path

    def get(self, name: str) -> Json:
        """The shape of `docker volume inspect`.  Raises VolumeNotFound."""
        try:
            found = documents.read(os.path.join(self.directory(name), "volume.json"))
        except (OSError, ValueError):
            raise VolumeNotFound(
                f'no such volume: "{name}"', hint="rootless volume ls lists the volumes there are"
            ) from None
        return {
            "Name": name,
            "Driver": found["driver"],
            "Mountpoint": os.path.join(self.directory(name), "_data"),
            "CreatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found["created"])),
            "Labels": found["labels"],
            "Scope": "local",
            "Options": {},
        }

    def list(self) -> list[Json]:
        """All volumes."""
        made = []
        for name in documents.names_in(self.base):
            try:
                made.append(self.get(name))
            except VolumeNotFound:
                continue
        return made

    def remove(self, name: str) -> None:
        """Remove a volume and what it holds.  Raises VolumeNotFound."""
        self.get(name)
        self.remove_quietly(name)

    def remove_quietly(self, name: str) -> None:
        """As remove; a volume that is not there is no error."""
        from rootless.storage import rootfs

        rootfs.remove(self.directory(name), self.maps)

    def prune(self, used: set[str]) -> list[str]:  # type: ignore[valid-type]
        """Remove those not in `used`; returns their names."""
        gone = [one["Name"] for one in self.list() if one["Name"] not in used]
        for name in gone:
            self.remove_quietly(name)
        return gone
