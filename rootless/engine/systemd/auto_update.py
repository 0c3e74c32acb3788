"""`auto-update`: newer images for containers of units, and the old ones back where they fail.

A container takes part by its label `io.containers.autoupdate` (or `io.rootless.autoupdate`):
`registry` asks the registry, `local` looks at what its name means here now.  The unit to restart
is in its label PODMAN_SYSTEMD_UNIT, which generated units set.

Source: podman-auto-update(1).
"""

from __future__ import annotations

import time

from rootless.engine.containers import sd_notify
from rootless.engine.systemd.rollback_log import Setbacks, sentence
from rootless.errors import ContainerNotFound, ImageNotFound, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.engine.containers.container import Container
    from rootless.engine.systemd.manager import Services

LABELS = ("io.containers.autoupdate", "io.rootless.autoupdate")
UNIT_LABELS = ("PODMAN_SYSTEMD_UNIT", "io.rootless.unit")
_WATCHED = 1.0  # seconds that a new container is looked at when nothing else says that it is well
_PATIENCE = 900.0  # seconds for a health check's verdict


def _label(container: Container, names: tuple[str, ...]) -> str:
    labels = container.labels
    return next((labels[name] for name in names if labels.get(name)), "")


def policy(container: Container) -> str:
    """Return `registry`, `local`, or empty for a container that takes no part.  Raises
    UsageError."""
    text = _label(container, LABELS)
    if text in ("", "disabled"):
        return ""
    if text == "image":  # podman's older name
        return "registry"
    if text not in ("registry", "local"):
        raise UsageError(
            f'the container {container.name} has the auto-update policy "{text}"',
            hint="registry, local or disabled",
        )
    return text


class Update:
    """One container that takes part, and what came of it."""

    def __init__(self, container: Container, kind: str) -> None:
        self.container = container
        self.policy = kind
        self.unit = _label(container, UNIT_LABELS)
        self.updated = "false"
        self.note = ""
        self.error: RootlessError | None = None

    def row(self) -> Json:
        """Return the columns of podman's table."""
        one = self.container
        return {
            "Unit": self.unit,
            "Container": f"{one.short_id} ({one.name})",
            "ContainerName": one.name,
            "ContainerID": one.id,
            "Image": one.image,
            "Policy": self.policy,
            "Updated": self.updated,
            "Note": self.note,
            "Error": self.error.message if self.error else "",
        }


def auto_update(
    engine: Collections,
    *,
    dry_run: bool = False,
    rollback: bool = True,
    force: bool = False,
    tls_verify: bool | None = None,
) -> list[Update]:
    """Update containers that take part and run; with `dry_run` only look (`pending`).

    An image that was taken back once is not tried again unless `force`: `note` says so.

    One container's failure is its own: it is in its `error`.  Raises HostError without systemd.
    """
    found: list[Update] = []
    for container in reversed(engine.containers.list()):
        update = Update(container, "")
        try:
            update.policy = policy(container)
        except UsageError as error:
            update.policy, update.updated, update.error = "invalid", "failed", error
        if update.policy:
            found.append(update)
    services = None
    if not dry_run and any(one.error is None for one in found):
        from rootless.engine.systemd.manager import Services

        services = Services()
    restarted: dict[str, str] = {}
    for update in found:
        if update.error is not None:
            continue
        try:
            _one(engine, update, services, restarted, rollback, force, tls_verify)
        except RootlessError as error:
            update.updated, update.error = "failed", error
    return found


def _one(
    engine: Collections,
    update: Update,
    services: Services | None,
    restarted: dict[str, str],
    rollback: bool,
    force: bool,
    tls_verify: bool | None,
) -> None:
    container = update.container
    if not update.unit:
        raise UsageError(
            f"the container {container.name} is in no unit that could be restarted",
            hint=f"give it the label {UNIT_LABELS[0]}=UNIT, as units made of .container files do",
        )
    if update.unit in restarted:
        # another container of the same unit, which was restarted as a whole
        update.updated = restarted[update.unit]
        return
    known = Setbacks(engine, update.unit, container.name)
    image, digest = _newer(engine, update, tls_verify)
    if not image and not digest:
        return
    if not force and _taken_back(update, known, image, digest):
        return
    if services is None:
        update.updated = "pending"
        return
    if digest:
        image = engine.images.pull(container.image, tls_verify=tls_verify).id
        if image == container.image_id:
            return  # the same image, packed another way
        if not force and _taken_back(update, known, image, ""):
            engine.images.tag(container.image_id, container.image)
            return
    restarted[update.unit] = update.updated = "failed"
    try:
        _restart(engine, update, services)
    except RootlessError as error:
        if not rollback:
            raise
        known.add(container.image, image, digest, error.message)
        _roll_back(engine, update, services, error)
        restarted[update.unit] = update.updated = "rolled back"
        return
    known.forget(image)
    restarted[update.unit] = update.updated = "true"


def _taken_back(update: Update, known: Setbacks, image: str, digest: str) -> bool:
    """Whether the image was tried before and did not do well; the note says so."""
    entry = known.find(image=image, digest=digest)
    if entry:
        update.note = sentence(entry)
    return bool(entry)


def _newer(engine: Collections, update: Update, tls_verify: bool | None) -> tuple[str, str]:
    """(id, "") of a newer image that is here, ("", digest) of one in its registry, or ("", "")."""
    container = update.container
    if update.policy == "local":
        try:
            found = engine.images.get(container.image).id
        except ImageNotFound:
            return "", ""
        return ("" if found == container.image_id else found), ""
    from rootless.images.names import reference
    from rootless.images.registry import client as registry_client

    name = reference.parse(container.image)
    if name.digest or not container.image_id:
        raise UsageError(
            f"the image {container.image} of {container.name} never changes: it is named by digest",
            hint="name it by a tag, or use the policy local",
        )
    session = registry_client.connect(container.image, tls_verify=tls_verify)
    try:
        digest = session.manifest_digest(name.tag or "latest")
    finally:
        session.close()
    own = engine.images.store.get(container.image_id)
    there = own is not None and f"{name.name}@{digest}" in own.digests
    return "", "" if there else digest


def _restart(engine: Collections, update: Update, services: Services) -> None:
    """Restart the unit, and look whether the new container does well.  Raises RootlessError."""
    services.reset(update.unit)
    result = services.restart(update.unit)
    if result != "done":
        raise RootlessError(
            f"the unit {update.unit} did not start with the new image: {result}",
            hint=f"journalctl --user -u {update.unit}",
        )
    name = update.container.name
    try:
        container = engine.containers.get(name)
    except ContainerNotFound:
        raise RootlessError(f"the container {name} has ended at once") from None
    end = time.monotonic() + (_PATIENCE if sd_notify.health(container) else _WATCHED)
    while time.monotonic() < end:
        state, health = container.state(), sd_notify.health(container)
        if not state.alive:
            raise RootlessError(f"the container {name} has ended with status {state.exit_code}")
        if health == "unhealthy":
            raise RootlessError(f"the container {name} is unhealthy with the new image")
        if health == "healthy":
            return
        time.sleep(0.1)


def _roll_back(
    engine: Collections, update: Update, services: Services, reason: RootlessError
) -> None:
    """The old image gets its name back and the unit is started with it.  Raises RootlessError."""
    container = update.container
    engine.context.progress.message(f"{update.unit} is rolled back: {reason.message}")
    engine.images.tag(container.image_id, container.image)
    try:
        _restart(engine, update, services)
    except RootlessError as error:
        raise RootlessError(
            f"{reason.message}; and with the old image: {error.message}", hint=error.hint
        ) from None
