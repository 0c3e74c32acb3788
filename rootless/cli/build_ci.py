"""`build --in-ci`: what a job of a CI lacks, and which of its walls a build goes around.

Scope: sentences, made of what `doctor` finds; what goes around a wall is in the rooms themselves.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.engine import Engine

# by the name of doctor's line; where nothing is said here, a build does not need it
_AROUND = {
    "proc": "steps see the /proc of the job, read-only: a new one is refused",
    "host name": "steps keep the job's host name",
    "subordinate ids": "one id stands for all: COPY --chown is kept, chown in a step is answered "
    "and not kept",
    "newuidmap": "one id stands for all: COPY --chown is kept, chown in a step is answered and "
    "not kept",
    "/dev/fuse": "no program serves files",
    "/dev/net/tun": "steps have the network of the job, also its loopback (--network none: none)",
    "overlay": "one tree of plain files goes from step to step, which needs room and time",
    "cgroups": "steps have the limits of the job",
}


def lines(checks: list[Json]) -> list[str]:
    """One sentence for each wall, with what opens it; and those that stop a build."""
    made = []
    for one in checks:
        if one["status"] == "fine":
            continue
        around = _AROUND.get(one["name"], "")
        if one["required"] and one["status"] == "missing":
            around = f"no way around it: {one['text']}"
        if around:
            remedy = f" ({one['remedy']} opens it)" if one["remedy"] else ""
            made.append(f"{one['name']}: {around}{remedy}")
    return made or ["nothing is missing"]


def report(engine: Engine) -> None:
    """Write them to standard error."""
    import sys

    from rootless.cli.output import harmless

    for line in lines(engine.doctor()):
        sys.stderr.write(f"in CI: {harmless(line)}\n")
    sys.stderr.flush()
