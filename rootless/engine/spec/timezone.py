"""`--tz`: the time zone inside, as a file /etc/localtime of the container's own.

A file serves also images that have no time zone data, where a variable TZ with a name would
silently mean UTC.  Source: podman-run(1), localtime(5), tzfile(5).
"""

from __future__ import annotations

import os

from rootless.errors import UsageError

ZONES = "/usr/share/zoneinfo"


def zone(name: str) -> bytes:
    """The time zone file of `Area/City`, or of this host for `local`.  Raises UsageError."""
    path = "/etc/localtime" if name == "local" else os.path.join(ZONES, name)
    hint = "an area and a city as in Europe/Berlin, UTC, or local"
    # a name is looked up there and nowhere else
    if name.startswith("/") or ".." in name.split("/"):
        raise UsageError(f'invalid --tz "{name}"', hint=hint)
    try:
        with open(path, "rb") as file:
            data = file.read(1 << 20)
    except OSError:
        if name == "local":
            return _UTC  # localtime(5): a host without the file is in UTC
        if not os.path.isdir(ZONES):
            hint = "this host has no time zone data; as root: apt-get install tzdata"
        raise UsageError(f'there is no time zone "{name}"', hint=hint) from None
    if not data.startswith(b"TZif"):
        raise UsageError(f'there is no time zone "{name}"', hint=hint)
    return data


# one type of local time (offset 0, no daylight saving, name at 0), in both forms, and the footer
_UTC = (
    b"TZif2" + bytes(15 + 16) + b"\0\0\0\1" + b"\0\0\0\4" + bytes(6) + b"UTC\0"
) * 2 + b"\nUTC0\n"
