"""Units of the program's own, which a user can enable.

Source: systemd.service(5), systemd.timer(5).
"""

from __future__ import annotations

from rootless.quadlet import generate, syntax

# name of the service: (what it does, the unit that is enabled, {unit: text}); @ is the program
_RESTART = """\
[Unit]
Description=Start containers whose restart policy says so
After=default.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=@ start --all --filter should-start-on-boot=true

[Install]
WantedBy=default.target
"""
_UPDATE = """\
[Unit]
Description=Newer images for containers of units

[Service]
Type=oneshot
ExecStart=@ auto-update
ExecStartPost=@ image prune --force
"""
_TIMER = """\
[Unit]
Description=Newer images for containers of units, every day

[Timer]
OnCalendar=daily
RandomizedDelaySec=900
Persistent=true

[Install]
WantedBy=timers.target
"""
MATTERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "auto-update": (
        "update containers that ask for it, every day",
        "rootless-auto-update.timer",
        {"rootless-auto-update.service": _UPDATE, "rootless-auto-update.timer": _TIMER},
    ),
    "restart": (
        "start containers with --restart always or unless-stopped at boot",
        "rootless-restart.service",
        {"rootless-restart.service": _RESTART},
    ),
}


def texts(matter: str, program: list[str]) -> dict[str, str]:
    """Return the unit files of a service of the program's own, by their names."""
    front = f"{generate.MARK}rootless service enable {matter}; changes here are lost.\n\n"
    words = syntax.command(program)
    return {
        name: front + text.replace("=@ ", f"={words} ") for name, text in MATTERS[matter][2].items()
    }
