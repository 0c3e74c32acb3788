"""`commit` and `export`: a container's files on their way into an image or an archive."""

from __future__ import annotations

import os

from rootless.engine.containers import pause as container_pause
from rootless.engine.spec import single_id
from rootless.errors import Conflict, HostError, RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.images.collection import Images
    from rootless.engine.images.image import Image
    from rootless.images.store.commit import Words
    from rootless.images.store.ingest import Arrived
    from rootless.userns.calls import Call

# names that the engine gives to processes and that belong to no image
_OURS = ("HOSTNAME", "HOME", "TERM", "container")


def commit(container: ContainerRef, images: Images, name: str, **given: Any) -> Image:
    """Make an image of a container; `name` may be empty.  `given`: see images.commit.Words.

    Raises UsageError, Conflict (a container of --rootfs), HostError (it cannot be paused),
    StorageError.
    """
    from rootless import documents
    from rootless.engine.images.unpack import Making
    from rootless.images.names import reference
    from rootless.images.store import commit as store_commit

    words = store_commit.Words(**given)
    names = [reference.parse(name).canonical] if name else []
    if names and "@" in names[0]:
        from rootless.errors import UsageError

        raise UsageError(f"{name} cannot be given to an image: it contains a digest")
    if not container.image_id and not words.squash:
        raise Conflict(
            f"the container {container.name} runs a directory or a file of the host, not an image",
            hint="commit --squash makes an image of all that is in it",
        )
    base, below = None, []
    if container.image_id and images.exists(container.image_id):
        # an image that was pulled lazily is completed first, as for push and save
        images.fetch_missing(container.image_id)
    with Making(images) as store, store.guard():
        if container.image_id:
            try:
                record = store.resolve(container.image_id)
            except RootlessError:
                raise Conflict(
                    f"the image {container.image_id[:12]} of the container {container.name} "
                    "has been removed",
                    hint="commit --squash needs the container's files alone"
                    if not words.squash
                    else "",
                ) from None
            base = documents.loads(store.read_blob(record.config_digest).decode())
            below = record.layers
        with _Still(container, words.pause):
            arrived = _layer(container, images, words)
        from rootless.images.store import assemble

        layer = assemble.layer_of(arrived)
        settings = _settings(container, images, words)
        config = store_commit.configuration(
            base, settings, list(container.record["command"]), layer, words
        )
        made = store_commit.keep(store, config, below, layer, words, names)
    container.emit("commit", comment=words.message, imageID=made.id)
    return images.hand(made)


def export(container: ContainerRef, out: int) -> Json:
    """Write the container's whole file system to the descriptor as a tar; {"files", "bytes"}.

    What is mounted in the container is not part of it, as with docker.
    """
    request: Json = {"stack": stack(container), "root": False}
    request["skip"] = sorted(single_id.files(container.maps()))
    return _spawn(
        container, "rootless.storage.rootfs.layer_export:union_worker", request, out
    ).wait()


def export_to(container: ContainerRef, target: str | int) -> Json:
    """As `export`; a path is there whole or not at all.  Raises StorageError."""
    from rootless.images.transfer import sinks

    container.emit("export")
    if isinstance(target, int):
        return export(container, target)
    return sinks.whole(target, lambda file: export(container, file.fileno()))


def stack(container: ContainerRef) -> list[str]:
    """Directories of the container's file system, topmost first."""
    from rootless.engine.containers import copy as container_copy
    from rootless.engine.containers import rootfs as container_rootfs

    if not container_rootfs.driver_of(container).layered:
        return [container_rootfs.path_of(container)]
    return [os.path.join(container.directory, "upper"), *container_copy.lowers(container)]


def _spawn(container: ContainerRef, function: str, request: Json, out: int) -> Call:
    from rootless.engine.containers import rootfs as container_rootfs
    from rootless.userns import calls

    driver = container_rootfs.driver_of(container)
    whole = os.path.join(container.directory, "merged")
    for one in container.record.get("servers", ()):
        if one[1] != whole:
            request.setdefault("servers", []).append(one)
        elif driver.notes_owners(one[2:]):
            request["override"] = True
    return calls.spawn(
        function, request, maps=container.storage_maps(), stdout=out,
        mount_namespace="servers" in request,
    )  # fmt: skip


class _Still:
    """The container frozen, where that was asked for or can be done."""

    def __init__(self, container: ContainerRef, wanted: bool | None) -> None:
        self._container: ContainerRef | None = None
        if wanted is False or container.status != "running":
            return
        try:
            container_pause.freeze(container, True)
        except HostError:
            if wanted:
                raise
            container.ctx.notice(
                "commit", f"the container {container.name} runs on while it is committed: "
                "it has no cgroup to freeze it", always=True,
            )  # fmt: skip
            return
        self._container = container

    def __enter__(self) -> _Still:
        return self

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            container_pause.freeze(self._container, False)


def _layer(container: ContainerRef, images: Images, words: Words) -> Arrived:
    """The container's layer, in the store."""
    from rootless.engine.containers import copy as container_copy
    from rootless.engine.containers import rootfs as container_rootfs
    from rootless.images.store import commit as store_commit
    from rootless.images.store import layer_ingest

    request: Json = {
        "skip": sorted(_mount_points(container)),
        "stamp": words.timestamp,
        "clamp": store_commit.source_date(),
    }
    driver = container_rootfs.driver_of(container)
    if words.squash:
        function = "union_worker"
        request["stack"] = stack(container)
    elif not driver.layered:
        function = "copied_worker"
        request["merged"] = os.path.join(container.directory, "merged")
        request["lowers"] = container_copy.lowers(container)
    else:
        function = "layer_worker"
        request["upper"] = os.path.join(container.directory, "upper")
        request["lowers"] = container_copy.lowers(container)
        request["plain"] = driver.plain_whiteouts
    reading, writing = os.pipe()
    told: list[Json] = []
    with open(reading, "rb") as source:
        try:
            running = _spawn(
                container, "rootless.storage.rootfs.layer_export:" + function, request, writing
            )
        finally:
            os.close(writing)
        with running:
            # the stream also ends when the worker fails, and then nothing may be kept
            arrived = layer_ingest.ingest(
                images.store, source, check=lambda: told.append(running.wait())
            )
    unfit = told[0]["unfit"]
    if unfit:
        container.ctx.notice(
            "commit", f"left out of the image, because its name would mean a deletion: {unfit[0]}"
            + (f" and {len(unfit) - 1} more" if len(unfit) > 1 else ""), always=True,
        )  # fmt: skip
    return arrived


def _mount_points(container: ContainerRef) -> set[str]:
    """Paths that are in the container because of the engine or of a volume that is mounted."""
    ours = {mount["destination"] for mount in container.config()["mounts"]}
    ours |= single_id.files(container.maps())
    return ours | {mount["Destination"] for mount in container.record["mounts"]} | {
        "/dev", "/proc", "/sys", "/etc/mtab",
    }  # fmt: skip


def _settings(container: ContainerRef, images: Images, words: Words) -> dict[str, Json]:
    """The container's own settings, as its image would have them."""
    record = container.record
    process = container.config()["process"]
    image = _image_config(container, images)
    command = list(record["command"])
    if record["init"] and command[:2] == ["/run/.rootless-init", "--"]:
        command = command[2:]
    entry = list(record["entrypoint"] or ())
    if command[: len(entry)] == entry:
        command = command[len(entry) :]
    else:
        entry, command = command[:1], command[1:]
    known = {one.partition("=")[0] for one in image.get("Env") or ()}
    env = [
        one
        for one in process["env"]
        if one.partition("=")[0] in known or one.partition("=")[0] not in _OURS
    ]
    exposed = dict(image.get("ExposedPorts") or {})
    exposed.update({port: {} for port in record["exposed"]})
    exposed.update({f"{one['container_port']}/{one['protocol']}": {} for one in record["ports"]})
    volumes = dict(image.get("Volumes") or {})
    for mount in record["mounts"]:
        anonymous = mount.get("Name") in record["anonymous"]
        if words.include_volumes or (mount["Type"] == "volume" and anonymous):
            volumes[mount["Destination"]] = {}
    cwd = process["cwd"]
    stop = record["stopSignal"]
    return {
        "Cmd": command,
        "Entrypoint": entry,
        "Env": env,
        "User": record["user"],
        "WorkingDir": cwd if cwd != "/" or image.get("WorkingDir") else "",
        "Labels": record["labels"],
        "ExposedPorts": dict(sorted(exposed.items())),
        "Volumes": dict(sorted(volumes.items())),
        "StopSignal": stop if stop != "SIGTERM" or image.get("StopSignal") else "",
    }


def _image_config(container: ContainerRef, images: Images) -> dict[str, Json]:
    try:
        return images.get(container.image_id).config
    except RootlessError:
        return {}
