"""What a health check needs of a container, which belongs to a room above this one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from rootless.cgroups.managers import Manager
    from rootless.engine.context import Context
    from rootless.engine.health.record import CheckedRecord

    class Life(Protocol):
        """One look at the life of a container."""

        @property
        def status(self) -> str: ...
        @property
        def started(self) -> int:
            """Nanoseconds since the epoch."""

        @property
        def pid(self) -> int: ...
        @property
        def pid_start(self) -> int: ...

    class CheckedContainer(Protocol):
        """A container that has a health check, or gets one."""

        ctx: Context
        id: str
        directory: str

        @property
        def record(self) -> CheckedRecord: ...
        @property
        def name(self) -> str: ...
        @property
        def short_id(self) -> str: ...
        def state(self) -> Life: ...
        def cgroup(self) -> str: ...
        def manager(self) -> Manager: ...
        def emit(self, action: str, **more: str) -> None: ...

    class CheckableContainer(CheckedContainer, Protocol):
        """A container in which a check can be carried out, with what may follow from it."""

        def stop(self) -> None: ...
        def restart(self) -> None: ...
        def execute(self, command: list[str], seconds: float) -> tuple[int, str]:
            """Run a command in it: (exit status, what it wrote to both streams); -1: too long."""
