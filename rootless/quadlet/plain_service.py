"""`generate systemd`: a plain unit for a container, to be kept and changed by hand.

Source: podman-generate-systemd(1), systemd.service(5).
"""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.quadlet import syntax

POLICIES = ("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always")


class Wanted:
    """What the unit is to have beside its commands."""

    def __init__(
        self,
        *,
        policy: str = "on-failure",
        restart_seconds: int | None = None,
        start_seconds: int | None = None,
        stop_seconds: int = 10,
        environment: list[str] | None = None,
        wants: list[str] | None = None,
        after: list[str] | None = None,
        requires: list[str] | None = None,
        header: bool = True,
    ) -> None:
        """Raises UsageError for a policy that systemd does not know."""
        if policy not in POLICIES:
            raise UsageError(f'unknown --restart-policy "{policy}"', hint=", ".join(POLICIES))
        self.policy = policy
        self.restart_seconds = restart_seconds
        self.start_seconds = start_seconds
        self.stop_seconds = stop_seconds
        self.environment = environment or []
        self.wants = wants or []
        self.after = after or []
        self.requires = requires or []
        self.header = header


def unit(
    name: str, wanted: Wanted, program: list[str], create: list[str] | None, service: str
) -> str:
    """Return the unit's text: of an existing container, or with `create` (the arguments of `run`)
    of a new one at each start."""
    command = [*program]
    lines = [f"# {service}, made by rootless generate systemd"] if wanted.header else []
    lines += ["", "[Unit]"] if wanted.header else ["[Unit]"]
    lines += [
        f"Description=Container {name}",
        "Documentation=https://www.freedesktop.org/software/systemd/man/systemd.service.html",
    ]
    for key, values in (("Wants", wanted.wants), ("After", wanted.after),
                        ("Requires", wanted.requires)):  # fmt: skip
        if values:
            lines.append(f"{key}={' '.join(values)}")
    lines += ["", "[Service]"]
    lines += [f"Environment={syntax.quote(one)}" for one in wanted.environment]
    lines.append(f"Restart={wanted.policy}")
    if wanted.restart_seconds is not None:
        lines.append(f"RestartSec={wanted.restart_seconds}")
    if wanted.start_seconds is not None:
        lines.append(f"TimeoutStartSec={wanted.start_seconds}")
    # systemd waits longer than we do
    lines.append(f"TimeoutStopSec={wanted.stop_seconds + 60}")
    if create is not None:
        start = ["run", *create]
        lines += ["Type=notify", "NotifyAccess=all", "KillMode=mixed", "Delegate=yes"]
    else:
        # our client stays, passes output on, and ends as the container ends; the container itself
        # is in a scope of its own, out of systemd's reach for this unit
        start = ["start", "--attach", "--sig-proxy=false", name]
        lines += ["Type=simple", "SuccessExitStatus=143 137"]
        if wanted.policy in ("on-failure", "always"):
            # by SIGKILL ends what does not listen to a stop, but also what memory ran out for
            lines.append("RestartForceExitStatus=137")
    stop = ["stop", "--ignore", "--time", str(wanted.stop_seconds), name]
    lines.append(f"ExecStart={syntax.command([*command, *start])}")
    lines.append(f"ExecStop={syntax.command([*command, *stop])}")
    if create is not None:
        gone = ["rm", "--force", "--ignore", "--volumes", name]
        lines.append(f"ExecStopPost=-{syntax.command([*command, *gone])}")
    else:
        lines.append(f"ExecStopPost=-{syntax.command([*command, *stop])}")
    lines += ["", "[Install]", "WantedBy=default.target"]
    return "\n".join(lines) + "\n"
