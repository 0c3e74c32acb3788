"""Who a container's process is, by the image's own /etc/passwd and /etc/group."""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    ReadFile = Callable[[str], bytes | None]


class Account:
    """Who the container's process is: ids, further groups, home directory."""

    __slots__ = ("gid", "groups", "home", "name", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str, name: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home
        self.name = name


def _rows(data: bytes | None) -> list[list[str]]:
    text = (data or b"").decode("utf-8", "surrogateescape")
    return [line.split(":") for line in text.split("\n") if ":" in line]


def account(spec: str, extra_groups: list[str], read_file: ReadFile) -> Account:
    """Resolve `user[:group]` against the image's /etc/passwd and /etc/group.

    Raises UsageError for names that the image does not know.
    """
    user, _, group = spec.partition(":")
    user = user or "0"
    passwd = _rows(read_file("/etc/passwd"))
    found = None
    for row in passwd:
        if len(row) >= 6 and (row[0] == user or (user.isdigit() and row[2] == user)):
            found = row
            break
    if found:
        uid, gid, home, name = int(found[2]), int(found[3]), found[5] or "/", found[0]
    elif user.isdigit():
        uid, gid, home, name = int(user), 0, "/", ""
    else:
        raise UsageError(
            f'the image has no user "{user}" in /etc/passwd', hint="use a number, as in --user 1000"
        )
    groups = _rows(read_file("/etc/group"))
    if group:
        gid = _group(group, groups)
        found_groups: list[int] = []
    else:
        found_groups = [
            int(row[2]) for row in groups if len(row) >= 4 and name and name in row[3].split(",")
        ]
    for one in extra_groups:
        found_groups.append(_group(one, groups))
    unique = list(dict.fromkeys(found_groups))
    return Account(uid, gid, unique, home, name)


def _group(text: str, groups: list[list[str]]) -> int:
    if text.isdigit():
        return int(text)
    for row in groups:
        if len(row) >= 3 and row[0] == text:
            return int(row[2])
    raise UsageError(
        f'the image has no group "{text}" in /etc/group',
        hint="use a number, as in --user 1000:1000",
    )
