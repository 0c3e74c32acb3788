"""`auto-update`: newer images for containers of units, and the old ones back where they fail.

A container takes part by its label `io.containers.autoupdate` (or `io.rootless.autoupdate`):
`registry` asks the registry, `local` looks at what its name means here now.  The unit to restart
is in its label PODMAN_SYSTEMD_UNIT, which generated units set.

Source: podman-auto-update(1).
"""

from __future__ import annotations

import time

from rootless.engine import notifying
from rootless.errors import ContainerNotFound, ImageNotFound, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.container import Container
    from rootless.engine.engine import Engine
    from rootless.engine.services import Services

LABELS = ("io.containers.autoupdate", "io.rootless.autoupdate")
UNIT_LABELS = ("PODMAN_SYSTEMD_UNIT", "io.rootless.unit")
_WATCHED = 1.0  # seconds that a new container is looked at when nothing else says that it is well
_PATIENCE = 900.0  # seconds for a health check's verdict


def _label(container: Container, names: tuple[str, ...]) -> str:
    labels = container.labels
    return next((labels[name] for name in names if labels.get(name)), "")


def policy(container: Container) -> str:
    """`registry`, `local`, or empty for a container that takes no part.  Raises UsageError."""
    text = _label(container, LABELS)
    if text in ("", "disabled"):
        return ""
    if text == "image":  # podman's older word
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
        self.error: RootlessError | None = None

    def row(self) -> Json:
        """For a person: the columns of podman's table."""
        one = self.container
        return {
            "Unit": self.unit,
            "Container": f"{one.short_id} ({one.name})",
            "ContainerName": one.name,
            "ContainerID": one.id,
            "Image": one.image,
            "Policy": self.policy,
            "Updated": self.updated,
            "Error": self.error.message if self.error else "",
        }


def auto_update(
    engine: Engine,
    *,
    dry_run: bool = False,
    rollback: bool = True,
    tls_verify: bool | None = None,
) -> list[Update]:
    """Update what takes part and runs; with `dry_run` only look (`pending`).

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
        from rootless.engine.services import Services

        services = Services()
    restarted: dict[str, str] = {}
    for update in found:
        if update.error is not None:
            continue
        try:
            _one(engine, update, services, restarted, rollback, tls_verify)
        except RootlessError as error:
            update.updated, update.error = "failed", error
    return found


def _one(
    engine: Engine,
    update: Update,
    services: Services | None,
    restarted: dict[str, str],
    rollback: bool,
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
    if not _newer(engine, update, tls_verify):
        return
    if services is None:
        update.updated = "pending"
        return
    if update.policy == "registry":
        record = engine.images.pull(container.image, tls_verify=tls_verify)
        if record.id == container.image_id:
            return  # the same image, packed another way
    restarted[update.unit] = update.updated = "failed"
    try:
        _restart(engine, update, services)
    except RootlessError as error:
        if not rollback:
            raise
        _roll_back(engine, update, services, error)
        restarted[update.unit] = update.updated = "rolled back"
        return
    restarted[update.unit] = update.updated = "true"


def _newer(engine: Engine, update: Update, tls_verify: bool | None) -> bool:
    container = update.container
    if update.policy == "local":
        try:
            return engine.images.get(container.image).id != container.image_id
        except ImageNotFound:
            return False
    from rootless.images import reference, registry

    name = reference.parse(container.image)
    if name.digest or not container.image_id:
        raise UsageError(
            f"the image {container.image} of {container.name} never changes: it is named by digest",
            hint="name it by a tag, or use the policy local",
        )
    session = registry.connect(container.image, tls_verify=tls_verify)
    try:
        digest = session.manifest_digest(name.tag or "latest")
    finally:
        session.close()
    own = engine.images.store.get(container.image_id)
    return own is None or f"{name.name}@{digest}" not in own.digests


def _restart(engine: Engine, update: Update, services: Services) -> None:
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
    end = time.monotonic() + (_PATIENCE if notifying.health(container) else _WATCHED)
    while time.monotonic() < end:
        state, health = container.state(), notifying.health(container)
        if not state.alive:
            raise RootlessError(f"the container {name} has ended with status {state.exit_code}")
        if health == "unhealthy":
            raise RootlessError(f"the container {name} is unhealthy with the new image")
        if health == "healthy":
            return
        time.sleep(0.1)


def _roll_back(engine: Engine, update: Update, services: Services, reason: RootlessError) -> None:
    """The old image gets its name back and the unit is started with it.  Raises RootlessError."""
    container = update.container
    engine.progress.message(f"{update.unit} is rolled back: {reason.message}")
    engine.images.tag(container.image_id, container.image)
    try:
        _restart(engine, update, services)
    except RootlessError as error:
        raise RootlessError(
            f"{reason.message}; and with the old image: {error.message}", hint=error.hint
        ) from None
