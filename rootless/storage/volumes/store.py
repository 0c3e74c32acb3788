"""Volumes: directories that outlive containers.

`volumes/NAME/volume.json` says what was asked for, `volumes/NAME/_data` has the files.  A volume is
made under a name that no volume can have and renamed: it is there as a whole or not at all.

The first container that uses a volume fills it with what its image has at that place; record.py
says how that is noted.
"""

from __future__ import annotations

import os
import time

from rootless import documents, paths
from rootless.errors import (
    Conflict,
    DamagedDocument,
    NewerDocument,
    StorageError,
    UsageError,
    VolumeNotFound,
)
from rootless.storage.volumes import record as volume_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.storage.volumes.options import VolumeOptions
    from rootless.storage.volumes.record import VolumeRecord
    from rootless.userns.idmap import IdMaps


_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_DRAFT = ".new-"


class Volumes:
    """The volumes of one data directory."""

    def __init__(self, data_dir: str, maps: IdMaps) -> None:
        self.base = os.path.join(data_dir, "volumes")
        self.maps = maps

    def directory(self, name: str) -> str:
        """Where a volume is kept."""
        return os.path.join(self.base, name)

    def _check(self, name: str) -> None:
        if not name or not name[0].isalnum() or not set(name) <= _ALLOWED or len(name) > 255:
            raise UsageError(
                f'invalid volume name "{name}"',
                hint="use a-z A-Z 0-9 _ . -, first a letter or digit; paths begin with / or .",
            )

    def create(
        self,
        name: str,
        labels: dict[str, str],
        driver: str,
        options: dict[str, str],
        *,
        anonymous: bool = False,
    ) -> Json:
        """Make a volume.  Raises UsageError, HostError, Conflict, StorageError."""
        self._check(name)
        if driver != "local":
            raise UsageError(
                f'unknown volume driver "{driver}"', hint="local; plugins are not offered"
            )
        owner = None
        if options:
            from rootless.storage.volumes import options as volume_options

            parsed = volume_options.parse(options)
            owner = parsed.owner
            if parsed.device:
                options = {**options, "device": parsed.device}
        draft = os.path.join(self.base, f"{_DRAFT}{os.getpid()}-{os.urandom(6).hex()}")
        try:
            if not os.path.isdir(self.base):
                paths.ensure(self.base, 0o711)
            paths.directory(draft, 0o711)
            paths.directory(os.path.join(draft, "_data"), 0o755)
            if owner:
                self._give(os.path.join(draft, "_data"), owner)
            made: VolumeRecord = {
                "version": volume_record.VERSION,
                "name": name,
                "labels": labels,
                "driver": driver,
                "options": options,
                "anonymous": anonymous,
                "created": time.time(),
                "copyUp": "todo",
            }
            volume_record.write(draft, made)
            os.rename(draft, self.directory(name))
        except BaseException as error:
            self._remove(draft)
            if isinstance(error, FileExistsError | NotADirectoryError) or (
                isinstance(error, OSError) and os.path.isdir(self.directory(name))
            ):
                raise Conflict(
                    f'the volume "{name}" exists', hint=f"rootless volume rm {name}"
                ) from None
            if isinstance(error, OSError):
                from rootless import disks

                raise disks.refused(
                    self.directory(name), error, what=f'cannot make the volume "{name}" at'
                ) from None
            raise
        return self.get(name)

    def _give(self, path: str, owner: tuple[int, int]) -> None:
        from rootless.storage.trees.chown import give

        if self.maps.to_host_uid(owner[0]) is None or self.maps.to_host_gid(owner[1]) is None:
            raise UsageError(
                f"a volume cannot belong to {owner[0]}:{owner[1]}, which your ids do not reach",
                hint=self.maps.why,
            )
        give([path], *owner, self.maps)

    def ensure(self, name: str, *, anonymous: bool = False) -> tuple[str, VolumeOptions]:
        """Where the files of a volume are, and how it is mounted; made if it does not exist."""
        from rootless.storage.volumes import options as volume_options

        self._check(name)
        try:
            found = self._record(name)
        except VolumeNotFound:
            try:
                self.create(name, {}, "local", {}, anonymous=anonymous)
            except Conflict:
                pass  # another command was first
            found = self._record(name)
        parsed = volume_options.parse(found["options"])
        return parsed.device or os.path.join(self.directory(name), "_data"), parsed

    def fills(self, name: str, path: str) -> str:
        """The record of a volume whose files are at `path`, for the launcher that may have to fill
        it; "" for a volume that was used before."""
        directory = self.directory(name)
        if "copyUp" not in self._record(name):
            # made by an earlier version, which looked at the files at each start
            with documents.DirectoryLock(directory, blocking=True):
                found = self._record(name)
                if "copyUp" not in found:
                    found["copyUp"] = "todo" if is_empty(path) else "done"
                    volume_record.write(directory, found)
        used = self._record(name)["copyUp"] == "done"
        return "" if used else volume_record.path_of(directory)

    def _record(self, name: str) -> VolumeRecord:
        try:
            return volume_record.read(self.directory(name), name)
        except OSError:
            raise VolumeNotFound(
                f'no such volume: "{name}"', hint="rootless volume ls lists the volumes there are"
            ) from None

    def repair(self, name: str) -> None:
        """Write a damaged record anew: a plain volume that was used, without labels or options.

        Raises NewerDocument: that one is not damaged.
        """
        directory = self.directory(name)
        try:
            self._record(name)
        except NewerDocument:
            raise
        except DamagedDocument:
            pass
        record: VolumeRecord = {
            "version": volume_record.VERSION,
            "name": name,
            "labels": {},
            "driver": "local",
            "options": {},
            "anonymous": len(name) == 64 and not name.strip("0123456789abcdef"),
            "created": os.stat(volume_record.path_of(directory)).st_mtime,
            "copyUp": "done",
        }
        volume_record.write(directory, record)

    def get(self, name: str) -> Json:
        """The shape of `docker volume inspect`.  Raises VolumeNotFound, DamagedDocument."""
        # a name that no volume can have must not lead to another place
        if not name or "/" in name or name.startswith("."):
            raise VolumeNotFound(f'no such volume: "{name}"')
        found = self._record(name)
        options = found["options"]
        return {
            "Name": name,
            "Driver": found["driver"],
            "Mountpoint": options.get("device")
            if options.get("device", "").startswith("/")
            else os.path.join(self.directory(name), "_data"),
            "CreatedAt": _shown(found["created"]),
            "Labels": found["labels"],
            "Scope": "local",
            "Options": options,
            "Anonymous": found["anonymous"],
            **_podman(found["options"], needs_copy=found.get("copyUp") == "todo"),
        }

    def list(self) -> list[Json]:
        """All volumes.  One whose record is damaged has the sentence in `Damaged`."""
        made = []
        for name in documents.names_in(self.base):
            try:
                made.append(self.get(name))
            except VolumeNotFound:
                continue
            except DamagedDocument as error:
                made.append(self._stand_in(name, error))
        return made

    def _stand_in(self, name: str, error: DamagedDocument) -> Json:
        return {
            "Name": name,
            "Driver": "<damaged>",
            "Mountpoint": os.path.join(self.directory(name), "_data"),
            "CreatedAt": _shown(os.stat(self.directory(name)).st_mtime),
            "Labels": {},
            "Scope": "local",
            "Options": {},
            "Anonymous": len(name) == 64 and not name.strip("0123456789abcdef"),
            **_podman({}, needs_copy=False),
            "Damaged": error.message,
        }

    def remove(self, name: str) -> None:
        """Remove a volume and what it holds.  Raises VolumeNotFound, StorageError."""
        try:
            self.get(name)
        except DamagedDocument:
            pass
        self.remove_quietly(name)
        if os.path.lexists(self.directory(name)):
            raise StorageError(
                f'the volume "{name}" cannot be removed as a whole',
                hint=f"rootless unshare rm -rf {self.directory(name)}",
            )

    def remove_quietly(self, name: str) -> None:
        """As remove; a volume that is not there is no error."""
        self._remove(self.directory(name))

    def _remove(self, path: str) -> None:
        from rootless.storage.trees import remove as trees_remove

        trees_remove.remove(path, self.maps)

    def sweep(self) -> list[str]:  # type: ignore[valid-type]
        """Remove what killed commands have left behind; returns the names of those directories."""
        gone = []
        for name in documents.names_in(self.base):
            path = self.directory(name)
            if name.startswith(_DRAFT):
                if os.path.exists(f"/proc/{name[len(_DRAFT) :].partition('-')[0]}"):
                    continue
            elif os.path.exists(volume_record.path_of(path)) or not os.path.isdir(path):
                continue
            elif os.listdir(path):
                continue  # files without a record are a person's to judge
            self._remove(path)
            gone.append(name)
        return gone


def is_empty(path: str) -> bool:
    """Whether nothing is in there; a directory that its owner closed to us is not."""
    try:
        return not os.listdir(path)
    except PermissionError:
        return False


def _shown(created: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created))


def _podman(options: dict[str, str], *, needs_copy: bool) -> Json:
    """What podman's `volume inspect` has beside docker's.

    Source: podman-volume-inspect(1).  Nothing is mounted but in a container, so nothing is counted.
    """
    found: Json = {"MountCount": 0, "NeedsCopyUp": needs_copy, "NeedsChown": False}
    words = dict(word.partition("=")[::2] for word in options.get("o", "").split(","))
    for name in ("uid", "gid"):
        found[name.upper()] = int(words[name]) if words.get(name, "").isdigit() else 0
    return found
