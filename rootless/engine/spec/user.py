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
        # a number is an id, also where the image has a user of that name (CVE-2016-3697)
        if len(row) >= 6 and row[2 if user.isdigit() else 0] == user:
            found = row
            break
    if found:
        uid, gid, home, name = _number(found[2]), _number(found[3]), found[5] or "/", found[0]
    elif user.isdigit():
        uid, gid, home, name = _number(user), 0, "/", ""
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
            _number(row[2])
            for row in groups
            if len(row) >= 4 and name in row[3].split(",") and name
        ]
    for word in extra_groups:
        found_groups += [_group(one, groups) for one in word.split(",") if one]
    # the first group is among them: else a program that changes its group could shed it, and with
    # it what the modes of files refuse to that group (CVE-2022-36109, CVE-2022-2989)
    unique = list(dict.fromkeys([gid, *found_groups]))
    return Account(uid, gid, unique, home, name)


def _number(text: str) -> int:
    """An id.  One that does not fit would wrap around, and could come out as root's.

    Source: CVE-2024-40635; the largest number means "no id" to the kernel.
    """
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    if not 0 <= number < (1 << 32) - 1:
        raise UsageError(f'"{text}" is no id of a user or group: it is not in 0 to 4294967294')
    return number


def _group(text: str, groups: list[list[str]]) -> int:
    if text.isdigit():
        return _number(text)
    for row in groups:
        if len(row) >= 3 and row[0] == text:
            return _number(row[2])
    raise UsageError(
        f'the image has no group "{text}" in /etc/group',
        hint="use a number, as in --user 1000:1000",
    )
