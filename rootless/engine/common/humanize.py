"""Times and ports in the words that docker uses."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.ports import PortRecord


def duration(seconds: float) -> str:
    """`Less than a second`, `5 seconds`, `About a minute`, `3 hours`, `2 weeks`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    days = whole // 86400
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    return f"{days // 365} years"


def ports(table: list[PortRecord]) -> str:
    """The PORTS column of `ps`."""
    return ", ".join(
        f"{_host(one['host_ip'])}:{one['host_port']}->{one['container_port']}/{one['protocol']}"
        for one in table
    )


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip or "0.0.0.0"


def published(place: dict[str, str]) -> str:
    """`0.0.0.0:8080` of a place in `port_table`."""
    return f"{_host(place['HostIp'])}:{place['HostPort']}"


def port_table(table: list[PortRecord]) -> dict[str, list[dict[str, str]]]:
    """{"80/tcp": [{"HostIp": …, "HostPort": …}]}, docker's way to name published ports."""
    found: dict[str, list[dict[str, str]]] = {}
    for one in table:
        key = f"{one['container_port']}/{one['protocol']}"
        place = {"HostIp": one["host_ip"] or "0.0.0.0", "HostPort": str(one["host_port"])}
        found.setdefault(key, []).append(place)
    return found


def rfc3339(seconds: float) -> str:
    """UTC with nanosecond digits, docker's form; the zero time where there is none."""
    if not seconds:
        return "0001-01-01T00:00:00Z"
    whole = int(seconds)
    nanoseconds = int((seconds - whole) * 1e9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{nanoseconds:09d}Z"


def ago(seconds: float) -> str:
    """How long ago a moment was: `5 minutes ago`."""
    return duration(time.time() - seconds) + " ago"


def local(seconds: float) -> str:
    """Return a moment in the user's own time zone: `2024-05-01 10:00:00 +0200 CEST`."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))
