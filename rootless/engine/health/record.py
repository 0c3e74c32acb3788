"""Health checks as container.json keeps them; types alone.

Read and written with the rest of that document by `engine.containers.record`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class StageRecord(TypedDict):
        """A command that checks a container, and when; times in seconds."""

        test: list[str]
        command: list[str]
        interval: float
        timeout: float
        retries: int

    class StartupRecord(StageRecord):
        """The check of a container that starts."""

        success: int

    class HealthRecord(StageRecord):
        """A health check as container.json keeps it."""

        startPeriod: float
        startInterval: float
        onFailure: str
        startup: StartupRecord | None
        destination: str
        logCount: int
        logSize: int

    class CheckedEntry(TypedDict):
        """One check in the log, as inspect shows it."""

        Start: str
        End: str
        ExitCode: int
        Output: str

    class StartupProgress(TypedDict):
        """How the check of a container that starts has gone."""

        passed: bool
        successes: int
        failures: int

    class HealthDocument(TypedDict):
        """`containers/ID/health`: what checks have found since the start `startedAt` (ns)."""

        version: int
        startedAt: int
        status: str
        failingStreak: int
        log: list[CheckedEntry]
        startup: StartupProgress

    class WithHealth(TypedDict):
        """What the record of a container says of its health check."""

        health: HealthRecord | None

    class CheckedRecord(WithHealth):
        """What the record of a checked container says."""

        remove: bool
