"""What the requests of one service share."""

from __future__ import annotations

import threading

from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.api.attaching import Pending
    from rootless.engine.engine import Engine

    Maker = Callable[[Progress], Engine]


class Told(Progress):
    """What the engine says while it answers one request: warnings of the answer."""

    quiet = True

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        """Keep a line."""
        self.messages.append(text)


class Service:
    """What the requests of one service share: nothing that would be missed when it ends.

    `make` makes an engine for a request: progress and warnings are each request's own.
    `socket_path`: what a container gets that asks for docker's socket.
    """

    def __init__(self, make: Maker, *, socket_path: str = "", debug: bool = False) -> None:
        self._make = make
        self.socket_path = socket_path
        self.debug = debug
        self.lock = threading.Lock()
        # clients that attached to a container which is not started yet; see attaching
        self.pending: dict[str, list[Pending]] = {}
        # channels of commands whose clients are connected here, for resize
        self.terminals: dict[str, object] = {}

    def engine(self, progress: Progress | None = None) -> Engine:
        """An engine for one request."""
        return self._make(progress or Told())
