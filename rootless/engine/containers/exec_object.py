"""Commands that are described first, started later and asked about after their end.

An exec object is a document in the directory of its container, `exec/<12 digits>.json`, and, once
it was started, the state that its monitor writes beside it.  Both go with the container; those that
have ended are forgotten some minutes later, when the next one is made.  The last digits of its id
are the first of its container's, so that it is found without a look at every container.
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.containers import exec as container_exec
from rootless.engine.containers import names as container_names
from rootless.engine.containers import state as container_state
from rootless.engine.containers.ref import ContainerRef
from rootless.errors import Conflict, NotFound, RootlessError
from rootless.runtime import operations, plan_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rootless.documents import Json
    from rootless.engine.containers.attach import Session
    from rootless.engine.context import Context
    from rootless.engine.spec.option_values import ExecOptions

VERSION = 1
_SHAPE: Json = {
    "version": int, "id": str, "created": float, "started": float, "streams": [str],
    "options": {"*": lambda _: True}, "failed?": int, "pid?": int,
}  # fmt: skip
_OWN = 40  # digits of an id that are random; the rest are the container's
_KEPT_SECONDS = 600
_HEX = frozenset("0123456789abcdef")


class ExecObject:
    """One of them; `options` are those that it was made with."""

    def __init__(self, container: ContainerRef, identifier: str) -> None:
        """Raises NotFound, DamagedDocument."""
        self.container = container
        self.id = identifier
        self._directory = os.path.join(container.directory, "exec")
        self._path = os.path.join(self._directory, identifier[:12] + ".json")
        try:
            document = documents.read(self._path)
        except FileNotFoundError:
            raise _missing(identifier) from None
        except ValueError as error:
            raise documents.damaged(self._path, str(error), "start another exec") from None
        if not documents.fits(document, _SHAPE):
            fault = documents.fault(document, _SHAPE)
            raise documents.damaged(self._path, fault, "start another exec")
        if document["id"] != identifier:
            raise _missing(identifier)
        self.document: Json = document

    @property
    def options(self) -> ExecOptions:
        """The command and how it runs."""
        from rootless.engine.spec.option_values import ExecOptions

        given: dict[str, object] = dict(self.document["options"])
        return ExecOptions(**given)

    def start(
        self,
        *,
        attach: bool,
        stdin: bool = False,
        tty: bool | None = None,
        window: tuple[int, int] | None = None,
    ) -> Session | None:
        """Start it; with `attach` the session that talks to it.

        Raises Conflict when it was started before or its container does not run, and what the
        failing step means; how that is called as an exit status is kept.
        """
        from rootless.engine.containers.attach import Session

        options = self.options
        options.interactive = stdin
        if tty is not None:
            options.tty = tty
        with documents.Lock(self._path + ".lock"):
            self.document = documents.read(self._path)
            if self.document["started"]:
                raise Conflict(f"the exec {self.id} has been started already")
            items = container_exec.plan(self.container, options)
            self._write(started=time.time())
        short = self.id[:12]
        path = plan_format.write(self._directory, short + ".plan", items, operations.NUMBERS)
        try:
            started = container_exec.monitored(
                self.container,
                options,
                self.id,
                self._directory,
                path,
                container_exec.tell(self.container, self.id),
                keep_state=True,
                window=window,
            )
        except RootlessError as error:
            self._write(failed=error.exit_code)
            raise
        self._write(pid=started.pid)
        if not attach:
            os.close(started.channel)
            return None
        return Session(None, fd=started.channel)

    def _write(self, **changes: object) -> None:
        self.document = {**self.document, **changes}
        documents.write(self._path, self.document)

    def state(self) -> tuple[bool, int | None, int]:
        """(running, exit code or None, host pid or 0)."""
        document = self.document
        if not document["started"]:
            return False, None, 0
        if "failed" in document:
            return False, int(document["failed"]), 0
        found = container_state.read(self._directory, self.id[:12] + ".state")
        if found.status == "created":
            # its monitor has not come to writing it, or never will
            return "pid" not in document, None, 0
        if found.alive:
            return True, None, found.pid
        return False, found.exit_code, int(document.get("pid") or 0)


def create(container: ContainerRef, words: dict[str, object], streams: Iterable[str] = ()) -> str:
    """Describe a command; words as ExecOptions has them.  Returns the id.

    `streams`: stdout, stderr: what whoever starts it wants to see.

    Raises UsageError, and Conflict when the container does not run.
    """
    from rootless.engine.spec.option_values import ExecOptions
    from rootless.errors import UsageError

    options = ExecOptions(**words)
    if not options.command:
        raise UsageError("No exec command specified")
    found = container.state()
    if not found.alive:
        raise Conflict(f"container {container.id} is not running")
    if found.status == "paused":
        raise Conflict(f"container {container.id} is paused, unpause the container before exec")
    directory = os.path.join(container.directory, "exec")
    os.makedirs(directory, 0o700, exist_ok=True)
    _forget(container)
    identifier = os.urandom(_OWN // 2).hex() + container.id[: 64 - _OWN]
    document = {
        "version": VERSION,
        "id": identifier,
        "created": time.time(),
        "started": 0,
        "streams": list(streams),
        "options": {name: value for name, value in vars(options).items() if value},
    }
    documents.write(os.path.join(directory, identifier[:12] + ".json"), document)
    return identifier


def get(ctx: Context, identifier: str) -> ExecObject:
    """The exec of this id.  Raises NotFound."""
    if len(identifier) != 64 or not set(identifier) <= _HEX:
        raise _missing(identifier)
    begin = identifier[_OWN:]
    try:
        found = ContainerRef(ctx, container_names.resolve(ctx.containers_dir, begin))
    except NotFound:
        raise _missing(identifier) from None
    return ExecObject(found, identifier)


def listed(container: ContainerRef) -> list[str]:
    """Ids of those that run."""
    made = []
    for one in _all(container):
        if one.state()[0]:
            made.append(one.id)
    return made


def _all(container: ContainerRef) -> list[ExecObject]:
    directory = os.path.join(container.directory, "exec")
    made = []
    for name in documents.names_in(directory):
        if name.endswith(".json"):
            try:
                found = documents.read(os.path.join(directory, name))
                made.append(ExecObject(container, str(found["id"])))
            except (OSError, ValueError, KeyError, TypeError, RootlessError):
                continue
    return made


def _forget(container: ContainerRef) -> None:
    """Remove those that ended some minutes ago, and those that nobody has started in an hour."""
    now = time.time()
    directory = os.path.join(container.directory, "exec")
    for one in _all(container):
        running, code, _ = one.state()
        age = now - float(one.document["started"] or one.document["created"])
        if running or age < (_KEPT_SECONDS if code is not None else 3600):
            continue
        for end in (".json", ".json.lock", ".state"):
            try:
                os.unlink(os.path.join(directory, one.id[:12] + end))
            except OSError:
                pass


def _missing(identifier: str) -> NotFound:
    return NotFound(f"No such exec instance: {identifier}")
