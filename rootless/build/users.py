"""Who `--chown` and USER name, by the passwd and group files of the image that is being built.

Source: experiments with BuildKit; CVE-2016-3697 (a number is an id, whatever is called so),
CVE-2024-40635 (an id that does not fit would wrap around to root's).
"""

from __future__ import annotations

from rootless.build import resolve
from rootless.errors import UsageError


def owner(root: int, text: str) -> tuple[int, int]:
    """`user[:group]` of --chown: ids.  A number alone is both.  Raises UsageError."""
    user, colon, group = text.partition(":")
    gid = -1
    if user == "":
        uid = 0
    elif user.isascii() and user.isdigit():
        uid = number(user)
        gid = uid
    else:
        row = _row(root, "etc/passwd", user, 4)
        if row is None:
            raise UsageError(
                f'--chown={text}: the image has no user "{user}" in /etc/passwd',
                hint="use a number, or make the user in an earlier RUN",
            )
        uid, gid = number(row[2]), number(row[3])
    if colon and group:
        gid = group_id(root, group, f"--chown={text}")
    return uid, max(gid, 0)


def user(root: int, text: str) -> tuple[int, int]:
    """`user[:group]` of USER.  Of a number without an entry the group is 0.  Raises UsageError."""
    name, colon, group = text.partition(":")
    if name == "":
        uid, gid = 0, 0
    else:
        digits = name.isascii() and name.isdigit()
        row = _row(root, "etc/passwd", name, 4, column=2 if digits else 0)
        if row is not None:
            uid, gid = number(row[2]), number(row[3])
        elif digits:
            uid, gid = number(name), 0
        else:
            raise UsageError(
                f'USER {text}: the image has no user "{name}" in /etc/passwd',
                hint="use a number, or make the user in an earlier RUN",
            )
    if colon and group:
        gid = group_id(root, group, f"USER {text}")
    return uid, gid


def group_id(root: int, text: str, what: str) -> int:
    """A group by name or number.  Raises UsageError."""
    if text.isascii() and text.isdigit():
        return number(text)
    row = _row(root, "etc/group", text, 3)
    if row is None:
        raise UsageError(
            f'{what}: the image has no group "{text}" in /etc/group',
            hint="use a number, or make the group in an earlier RUN",
        )
    return number(row[2])


def number(text: str) -> int:
    """An id.  Raises UsageError."""
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    if not 0 <= value < (1 << 32) - 1:
        raise UsageError(f'"{text}" is no id of a user or group: it is not in 0 to 4294967294')
    return value


def _row(root: int, path: str, wanted: str, least: int, *, column: int = 0) -> list[str] | None:
    data = resolve.read_file(root, path) or b""
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) >= least and fields[column] == wanted:
            return fields
    return None
