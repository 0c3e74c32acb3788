"""`diff A B`: containers and images held against each other."""

from __future__ import annotations

import os

from rootless.errors import ContainerNotFound, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.collection import Containers
    from rootless.engine.images.local import LocalImages


def compare(
    containers: Containers, images: LocalImages, name: str, other: str
) -> list[tuple[str, str]]:
    """(kind, path) pairs: what is in `name` and added (A), changed (C) or missing (D) against
    `other`; each is a container or an image.  Raises ContainerNotFound, HostError."""
    from rootless.engine.containers import copy as container_copy
    from rootless.userns import calls

    ours: set[str] = set()
    for word in (name, other):
        try:
            ours |= container_copy.places(containers.get(word))
        except ContainerNotFound:
            continue  # an image
    told = calls.call(
        "rootless.storage.layers.compare:images_worker",
        {
            "new": _directories(containers, images, name),
            "old": _directories(containers, images, other),
        },
        maps=containers.ctx.maps,
    )
    return container_copy.without_ours([(kind, path) for kind, path in told], ours)


def _directories(containers: Containers, images: LocalImages, name: str) -> list[str]:
    """Where its files are, topmost first."""
    from rootless.engine.containers import copy as container_copy
    from rootless.engine.containers import rootfs as container_rootfs

    try:
        container = containers.get(name)
    except ContainerNotFound:
        if not images.exists(name):
            raise
        return images.unpack(images.store.resolve(name), containers.ctx.maps)
    driver = container_rootfs.driver_of(container)
    if not driver.of_image or container.record.get("servers"):
        raise HostError(
            f"the files of {container.name} cannot be compared without mounting them",
            hint=f"rootless export {container.name}, and compare the archives",
        )
    if not driver.layered:
        return [os.path.join(container.directory, "merged")]
    return [os.path.join(container.directory, "upper"), *container_copy.lowers(container)]
