"""The driver `copy`: every container has files of its own.  Works everywhere."""

from __future__ import annotations

from rootless.storage.drivers.driver import Driver, RootMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps


class Copy(Driver):
    """All layers, copied one over the other (copy_layers.py)."""

    name = "copy"
    works = "works everywhere; every container has all files of its image for itself"
    used = "every container gets copies of the image's files"
    layered = False
    loses_noted_owners = True

    def fill(self, mount: RootMount, maps: IdMaps, stored: IdMaps) -> None:
        """Copy the layers, with the owners that `maps` wants."""
        from rootless.userns import calls

        request: Json = {
            "layers": list(reversed(mount.lowers)),
            "target": mount.merged,
            "single": maps.single,
        }
        if mount.uidmapping:
            from rootless.storage.drivers import id_remap

            # a person's own ids, which a container may lack, are there where the layers are stored
            request["uids"], request["gids"] = id_remap.texts(stored, maps)
        calls.call("rootless.storage.drivers.copy_layers:copy_worker", request, maps=stored)

    def notice(self, why: str, *, fallback: bool, remapped: bool) -> tuple[str, str, bool] | None:
        """Copies are never silent: they cost time and disk for every container."""
        if not fallback:
            return None
        return "copy", f"the image's files are copied for this container: {why}", True

    def made(self, kinds: Collection[str], server: Sequence[str]) -> bool:
        """Nothing is mounted and nothing served at its root."""
        return not server


DRIVER = Copy()
