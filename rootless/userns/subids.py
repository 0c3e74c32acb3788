"""Subordinate ids: the ranges that an administrator gave to a user.

Source: subuid(5), subgid(5); getsubids(1) where nsswitch.conf names another source than files.
Scope: reading, and which range an administrator could give to a user who has none.  Which of the
ranges can be used is decided in `idmap`.
"""

from __future__ import annotations

import os

Range = tuple[int, int]
_HIGHEST = (1 << 32) - 1
_FIRST = 100000  # SUB_UID_MIN of login.defs(5)
USUAL = 65536  # what useradd(8) gives; images hold ids up to 65535


def parse(text: bytes, names: tuple[bytes, ...] | None) -> list[Range]:
    """Return ranges (first, count) of any of `names` in a file of subuid(5)'s form, in its order.

    None: of everybody.

    Lines that cannot be understood are left out, as newuidmap(1) leaves them out.
    """
    found: list[Range] = []
    for line in text.split(b"\n"):
        fields = line.strip().split(b":")
        if len(fields) != 3 or not (names is None or fields[0] in names):
            continue
        if not (fields[1].isdigit() and fields[2].isdigit()):
            continue
        first, count = int(fields[1]), int(fields[2])
        if count > 0 and first + count <= _HIGHEST:
            found.append((first, count))
    return found


def read(path: str) -> bytes:
    """Return the whole of a small file; nothing if it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)


def user_name(uid: int) -> str:
    """Return the login name of a uid, or its number where the user database does not know it."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def ranges(
    uid: int, *, subuid: str = "/etc/subuid", subgid: str = "/etc/subgid"
) -> tuple[list[Range], list[Range]]:
    """Return subordinate uid and gid ranges (first, count) of a user, by name or by number."""
    uid_text, gid_text = read(subuid), read(subgid)
    number = b"%d" % uid
    names: tuple[bytes, ...] = (number,)
    if uid_text.strip() or gid_text.strip():
        names = (os.fsencode(user_name(uid)), number)
    uids, gids = parse(uid_text, names), parse(gid_text, names)
    if not (uids and gids) and _other_source():
        uids = uids or _getsubids(uid, [])
        gids = gids or _getsubids(uid, ["-g"])
    return uids, gids


def free(directory: str = "/etc") -> int | None:
    """Return the first id of the lowest range of `USUAL` ids that no user has, neither as uid nor
    as gid.

    With another user's ids a container could read, change and signal what is theirs, so both
    subordinate ids and the ids of users and groups count as taken.  None if there is no such range.
    """
    taken = [(os.getuid(), 1), (os.getgid(), 1)]
    for name in ("subuid", "subgid"):
        taken += parse(read(f"{directory}/{name}"), None)
    # passwd(5) has the uid and then the gid, group(5) the gid
    for name, columns in (("passwd", (2, 3)), ("group", (2,))):
        for line in read(f"{directory}/{name}").split(b"\n"):
            fields = line.split(b":")
            taken += [
                (int(fields[c]), 1) for c in columns if c < len(fields) and fields[c].isdigit()
            ]
    first = _FIRST
    for begin, count in sorted(taken):
        if begin < first + USUAL and begin + count > first:
            first = begin + count
    return first if first + USUAL <= _HIGHEST else None


def grant(uid: int, directory: str = "/etc") -> str:
    """Return the command with which root gives a user ids that no other user has."""
    first = free(directory)
    ids = "FIRST-LAST" if first is None else f"{first}-{first + USUAL - 1}"
    return f"usermod --add-subuids {ids} --add-subgids {ids} {user_name(uid)}"


def _other_source() -> bool:
    """Whether nsswitch.conf(5) has subordinate ids come from elsewhere than files."""
    for line in read("/etc/nsswitch.conf").split(b"\n"):
        words = line.split(b"#")[0].split()
        if words[:1] == [b"subid:"]:
            return any(word != b"files" for word in words[1:])
    return False


def _getsubids(uid: int, options: list[str]) -> list[Range]:
    """What getsubids(1) prints: lines such as `0: alice 100000 65536`."""
    program = which("getsubids")
    if not program:
        return []
    ours, theirs = os.pipe()
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 1),
            (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
        ]
        words = [program, *options, user_name(uid)]
        pid = os.posix_spawn(program, words, os.environ, file_actions=actions)
        os.close(theirs)
        theirs = -1
        output = b""
        while part := os.read(ours, 1 << 16):
            output += part
        os.waitpid(pid, 0)
    except OSError:
        return []
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    found = []
    for line in output.split(b"\n"):
        words_ = line.split()
        if len(words_) == 4 and words_[2].isdigit() and words_[3].isdigit():
            found.append((int(words_[2]), int(words_[3])))
    return found


def which(name: str) -> str:
    """Return path of a program, from PATH and from where administrators' programs are; "" if
    none."""
    for directory in [*os.environ.get("PATH", "").split(":"), "/usr/bin", "/bin", "/usr/sbin"]:
        # a relative entry would let the present directory decide what gets our ids
        if directory.startswith("/"):
            path = f"{directory}/{name}"
            if os.access(path, os.X_OK) and not os.path.isdir(path):
                return path
    return ""
