"""`engine.containers`: names as in docker's Python client."""

from __future__ import annotations

from rootless import documents
from rootless.engine import names
from rootless.errors import Conflict, ContainerNotFound, DamagedDocument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal, overload

    from rootless.engine.container import Container
    from rootless.engine.engine import Engine
    from rootless.engine.options import ContainerOptions
    from rootless.engine.results import ExecResult
    from rootless.engine.session import Session
    from rootless.images.store import ImageRecord

    ContainerList = list[Container]
    Strings = list[str]
    Filters = Mapping[str, str | Strings]


class Containers:
    """The containers of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def create(
        self,
        image: str | ImageRecord | ContainerOptions,
        command: Strings | str | None = None,
        **words: object,
    ) -> Container:
        """Make a container without starting it; words as `run` has them."""
        from rootless.engine import create, running
        from rootless.engine.container import Container

        options = running.options(image, command, words)
        identifier, lock = create.create(self.engine, options)
        lock.close()
        return Container(self.engine, identifier)

    def launch(
        self, options: ContainerOptions, *, attach: bool
    ) -> tuple[Container, Session | None]:
        """Make and start a container; with `attach` also the session that talks to it.

        If it cannot be started it is removed: who asks for a running container and gets an error
        wants nothing left behind.
        """
        from rootless.engine import create
        from rootless.engine.container import Container

        identifier, lock = create.create(self.engine, options, starts=True)
        try:
            container = Container(self.engine, identifier)
            try:
                return container, container.start(attach=attach)
            except BaseException:
                try:
                    container.remove(force=True, volumes=True)
                except ContainerNotFound:
                    pass  # with --rm the monitor was first
                raise
        finally:
            lock.close()

    if TYPE_CHECKING:

        @overload
        def run(
            self,
            image: str | ImageRecord,
            command: Strings | str | None = None,
            *,
            detach: Literal[True],
            **words: object,
        ) -> Container: ...

        @overload
        def run(
            self,
            image: str | ImageRecord,
            command: Strings | str | None = None,
            *,
            detach: Literal[False] = False,
            **words: object,
        ) -> ExecResult: ...

    def run(
        self,
        image: str | ImageRecord,
        command: Strings | str | None = None,
        *,
        detach: bool = False,
        **words: object,
    ) -> Container | ExecResult:
        """Make and start a container.

        Detached, the container is returned; otherwise it is waited for, removed, and its
        ExecResult returned.  Other words are those of ContainerOptions: `name`, `env`, `volume`,
        `publish`, `memory` and so on.  `input`: bytes for its standard input.
        """
        from rootless.engine import running

        return running.run(self, image, command, detach, dict(words))

    def get(self, text: str, *, damaged: bool = False) -> Container:
        """The container of this name, id or beginning of an id.

        Raises ContainerNotFound; DamagedDocument, unless `damaged`: then one whose document cannot
        be read is found as well, and can be removed.
        """
        from rootless.engine.container import Container

        identifier = names.resolve(self.engine.containers_dir, text)
        try:
            return Container(self.engine, identifier)
        except DamagedDocument as error:
            if not damaged:
                raise
            from rootless.engine.damaged import Damaged

            return Damaged(self.engine, identifier, error)

    def list(self, all: bool = False, filters: Filters | None = None) -> ContainerList:
        """Running containers, or all; newest first.  Filters as docker's: {"status": "exited"},
        several values of one in a list.  Raises UsageError."""
        from rootless.engine.container import Container

        found = []
        for identifier in documents.names_in(self.engine.containers_dir):
            if len(identifier) != 64:
                continue
            try:
                one = Container(self.engine, identifier)
            except ContainerNotFound:
                self._sweep(identifier)
                continue
            except DamagedDocument as error:
                from rootless.engine.damaged import Damaged

                one = Damaged(self.engine, identifier, error)
            starting = one.record["remove"] and one.record.get("starts") and one.status == "created"
            if not (starting and self._sweep(identifier)):
                found.append(one)
        if filters:
            from rootless.engine import filtering, given

            found = filtering.containers(self.engine, found, given.filters(filters))
            all = all or "status" in filters or "exited" in filters
        if not all:
            found = [one for one in found if one.status in ("running", "paused", "restarting")]
        found.sort(key=lambda one: one.created, reverse=True)
        return found

    def prune(self, filters: Filters | None = None) -> Strings:
        """Remove what does not run; returns the ids."""
        gone = []
        for one in self.list(all=True, filters=filters):
            if one.status in ("created", "exited", "dead"):
                try:
                    one.remove()
                    gone.append(one.id)
                except (Conflict, ContainerNotFound):
                    continue
        self.engine.event("container", "prune", "", "", {"count": str(len(gone))})
        return gone

    def _sweep(self, identifier: str) -> bool:
        from rootless.engine import rubbish

        return rubbish.sweep(self.engine, identifier)
