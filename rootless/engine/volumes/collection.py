"""The volumes of an engine."""

from __future__ import annotations

import os

from rootless.errors import DamagedDocument, HostError, InUse, UsageError, VolumeNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json
    from rootless.engine.context import Context
    from rootless.engine.volumes.users import VolumeUsers
    from rootless.engine.volumes.volume import Volume
    from rootless.storage.volumes.store import Volumes as VolumeStore

    Documents = list[Json]
    VolumeList = list[Volume]
    Strings = list[str]
    Filters = Mapping[str, str | Strings]
    Users = dict[str, Strings]

_KEYS = ("anonymous", "dangling", "driver", "label", "label!", "name", "opt", "scope", "since",
         "until", "all")  # fmt: skip


class Volumes:
    """The volumes of one engine."""

    def __init__(self, ctx: Context, users: VolumeUsers) -> None:
        self.ctx = ctx
        self._users = users

    @property
    def store(self) -> VolumeStore:
        """The storage room's volumes."""
        from rootless.storage.volumes.store import Volumes as VolumeStore

        return VolumeStore(self.ctx.data_dir, self.ctx.maps)

    def create(
        self,
        name: str = "",
        labels: dict[str, str] | Strings | None = None,
        driver: str = "local",
        options: dict[str, str] | Strings | None = None,
        *,
        ignore: bool = False,
        driver_opts: dict[str, str] | None = None,
    ) -> Volume:
        """Make a volume; anonymous without a name.  `ignore`: one that exists is as good.

        Labels and options are tables, or NAME=VALUE words; `driver_opts` is docker's name of
        options.  Raises Conflict, UsageError, HostError.
        """
        from rootless.engine.common import arguments

        self.ctx.prepare()
        if ignore and name and self.exists(name):
            return self.get(name)
        chosen = name or os.urandom(32).hex()
        made = self.store.create(
            chosen,
            arguments.pairs("labels", labels),
            driver,
            arguments.pairs("options", driver_opts or options),
            anonymous=not name,
        )
        self.event("create", chosen)
        return self._hand(made)

    def _hand(self, found: Json) -> Volume:
        from rootless.engine.volumes.volume import Volume

        return Volume(found, self)

    def event(self, action: str, name: str) -> None:
        """Write an event of a volume."""
        self.ctx.emit("volume", action, name, name, {"driver": "local"})

    def get(self, name: str) -> Volume:
        """The volume of this name, or the only one whose name begins so.

        Raises VolumeNotFound, DamagedDocument.
        """
        return self._hand(self.store.get(self._full(name)))

    def _full(self, name: str) -> str:
        try:
            self.store.get(name)
        except DamagedDocument:
            pass
        except VolumeNotFound:
            found = [one for one in self.store.list() if name and one["Name"].startswith(name)]
            if len(found) != 1:
                raise
            return str(found[0]["Name"])
        return name

    def inspect(self, name: str) -> Json:
        """As `get`, with who owns what on the host and who uses it."""
        from rootless.storage.trees import chown as trees_chown

        found = self.get(name)
        found["Ownership"] = trees_chown.explained(found["Mountpoint"], self.ctx.maps)
        found["UsedBy"] = self.users().get(found["Name"], [])
        return found

    def exists(self, name: str) -> bool:
        """Whether there is a volume of this name."""
        try:
            self.store.get(name)
            return True
        except DamagedDocument:
            return True
        except VolumeNotFound:
            return False

    def list(self, filters: Filters | None = None) -> VolumeList:
        """All volumes that pass the filters.  Raises UsageError."""
        from rootless.engine.common import arguments

        found = self._filtered(self.store.list(), arguments.filters(filters))
        return [self._hand(one) for one in found]

    def _filtered(self, found: Documents, filters: Users) -> Documents:
        from rootless.engine.common import list_filters

        for key in filters:
            if key not in _KEYS:
                raise UsageError(f'unknown filter "{key}"', hint=", ".join(_KEYS))
        users = self.users() if "dangling" in filters else {}

        def passes(one: Json, key: str, value: str) -> bool:
            if key == "dangling":
                return _true(value) == (one["Name"] not in users)
            if key == "anonymous":
                return _true(value) == bool(one["Anonymous"])
            if key in ("label", "label!"):
                return list_filters.has_label(one["Labels"], value) == (key == "label")
            if key == "name":
                return list_filters.matches(value, one["Name"])
            if key in ("until", "since"):
                from rootless.engine.common import times
                from rootless.images.store.index import moment

                if key == "since" and self.exists(value):
                    return bool(one["CreatedAt"] > self.get(value)["CreatedAt"])
                made, limit = moment(one["CreatedAt"]), times.moment(value)
                return made < limit if key == "until" else made > limit
            if key == "opt":
                name, equals, wanted = value.partition("=")
                options = one["Options"]
                return name in options and (not equals or options[name] == wanted)
            return key == "all" or bool(one[key.capitalize()] == value)

        def through(one: Json) -> bool:
            return all(
                (all if key.startswith("label") else any)(
                    passes(one, key, value) for value in values
                )
                for key, values in filters.items()
            )

        return [one for one in found if through(one)]

    def users(self) -> Users:
        """Names of volumes that containers use, and which."""
        return self._users.of_volumes()

    def remove(self, name: str, force: bool = False) -> str:
        """Remove a volume; its full name.  Raises Conflict when a container uses it."""
        name = self._full(name)
        users = self.users().get(name)
        if users:
            raise InUse(
                f'the volume "{name}" is used by the container {users[0]}',
                hint=f"rootless rm {users[0]} first",
            )
        self.store.remove(name)
        self.event("remove", name)
        return name

    def prune(self, filters: Filters | None = None, *, all: bool = False) -> Json:
        """Remove volumes that no container uses: anonymous ones, with `all` those with a name too.

        {"VolumesDeleted": [names], "SpaceReclaimed": bytes}
        """
        from rootless.engine.common import arguments, disk_usage

        wanted = arguments.filters(filters)
        everything = all or any(_true(one) for one in wanted.pop("all", ()))
        used = self.users()
        unused = [one for one in self._filtered(self.store.list(), wanted)
                  if one["Name"] not in used and (everything or one["Anonymous"])]  # fmt: skip
        sizes = disk_usage.measured(self.ctx.maps, [str(one["Mountpoint"]) for one in unused])
        gone: Strings = []
        for one in unused:
            self.store.remove(one["Name"])
            self.event("remove", one["Name"])
            gone.append(one["Name"])
        self.ctx.emit("volume", "prune", "", "", {"count": str(len(gone))})
        return {"VolumesDeleted": gone, "SpaceReclaimed": sum(sizes.values())}

    def reload(self) -> Strings:
        """Remove what killed commands have left behind; returns the directories' names."""
        return self.store.sweep()

    def mount(self, name: str) -> str:
        """Where the files of a volume are.  Raises HostError for one that is in memory."""
        found = self.get(name)
        if found["Options"].get("type") == "tmpfs":
            raise HostError(
                f'the volume "{name}" is a tmpfs, which exists in each container only',
                hint=f"rootless exec CONTAINER, or rootless run -v {name}:/data",
            )
        return str(found["Mountpoint"])

    def _place(self, name: str) -> Json:
        return {"path": self.mount(name), "no_links": "device" in self.get(name)["Options"]}

    def export(self, name: str, out: int) -> Json:
        """Write everything in a volume as a tar stream to the descriptor `out`."""
        from rootless.userns import calls

        request = {**self._place(name), "get": "/", "name": "."}
        worker = "rootless.storage.rootfs.archive_copy:get_worker"
        return calls.call(worker, request, maps=self.ctx.maps, mount_namespace=True, stdout=out)

    def import_archive(self, name: str, source: int) -> Json:
        """Unpack a tar stream, compressed or not, over what is in a volume.

        Raises StorageError for a damaged archive.
        """
        from rootless.userns import calls

        maps = self.ctx.maps
        request = {
            **self._place(name),
            "put": "/",
            "renamed": None,
            "owner": None,
            "single": maps.single,
            "top": True,
            "compressed": True,
        }
        worker = "rootless.storage.rootfs.archive_copy:put_worker"
        return calls.call(worker, request, maps=maps, mount_namespace=True, stdin=source)


def _true(value: str) -> bool:
    if value not in ("true", "false", "1", "0"):
        raise UsageError(f'the filter takes true or false, not "{value}"')
    return value in ("true", "1")
