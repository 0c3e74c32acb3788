"""The options of `run` and `create` that say how health is checked: docker's and podman's names."""

from __future__ import annotations

from rootless.cli.options import flag, number, text

OPTIONS = (
    text("--health-cmd", "COMMAND",
         "Command to run to check health: a shell command, or a JSON list (none to disable)"),
    text("--health-interval", "TIME",
        "Time between running the check (default 30s; disable for manual checks only)"),
    text("--health-timeout", "TIME", "Maximum time to allow one check to run (default 30s)"),
    number("--health-retries", "NUMBER",
        "Consecutive failures needed to report unhealthy (default 3)"),
    text("--health-start-period", "TIME",
        "Start period in which failures do not count towards retries (default 0s)"),
    text("--health-start-interval", "TIME",
        "Time between running the check during the start period (default 5s)"),
    text("--health-on-failure", "ACTION",
        "Action to take once the container is unhealthy: none, kill, restart or stop",
         complete="none kill restart stop"),
    text("--health-startup-cmd", "COMMAND",
        "Command of the startup check, which must succeed before health checks begin"),
    text("--health-startup-interval", "TIME",
        "Time between running the startup check (default 30s)"),
    number("--health-startup-retries", "NUMBER",
        "Failed startup checks after which the container is restarted (default: never)"),
    number("--health-startup-success", "NUMBER",
        "Successful startup checks needed before health checks begin (default 1)"),
    text("--health-startup-timeout", "TIME",
        "Maximum time to allow one startup check to run (default 30s)"),
    text("--health-log-destination", "PLACE",
        "Destination of the health check log: local, events_logger or a directory",
         complete="local events_logger"),
    number("--health-max-log-count", "NUMBER",
        "Maximum number of results in the health check log (default 5; 0 for unlimited)"),
    number("--health-max-log-size", "NUMBER",
        "Maximum characters of output kept for each check (default 500; 0 for unlimited)"),
    flag("--no-healthcheck", "Disable any health check specified by the image"),
)  # fmt: skip
