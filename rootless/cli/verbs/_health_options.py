"""The options of `run` and `create` that say how health is checked: docker's and podman's names."""

from __future__ import annotations

from rootless.cli.words import flag, number, text

OPTIONS = (
    text("--health-cmd", "COMMAND",
         "checks whether it is well: of a shell, or a JSON list of words; none for no check"),
    text("--health-interval", "TIME", "between two checks (30s); disable for checks by hand"),
    text("--health-timeout", "TIME", "how long a check may take (30s)"),
    number("--health-retries", "NUMBER", "so many failures one after the other are unhealthy (3)"),
    text("--health-start-period", "TIME", "failures do not count so long after a start (0s)"),
    text("--health-start-interval", "TIME", "between two checks in the start period (5s)"),
    text("--health-on-failure", "ACTION", "what is done when it becomes unhealthy",
         complete="none kill restart stop"),
    text("--health-startup-cmd", "COMMAND", "a check that must succeed before the others begin"),
    text("--health-startup-interval", "TIME", "between two of them (30s)"),
    number("--health-startup-retries", "NUMBER", "after so many failures it is restarted (never)"),
    number("--health-startup-success", "NUMBER", "so many successes end them (1)"),
    text("--health-startup-timeout", "TIME", "how long one of them may take (30s)"),
    text("--health-log-destination", "PLACE", "local, events_logger or a directory (local)",
         complete="local events_logger"),
    number("--health-max-log-count", "NUMBER", "results that are kept (5); 0 for all"),
    number("--health-max-log-size", "NUMBER", "characters kept of an output (500); 0 for all"),
    flag("--no-healthcheck", "do not use the image's health check"),
)  # fmt: skip
