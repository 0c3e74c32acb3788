"""The capabilities of Linux: names, numbers, masks, and which of them a container gets.

Numbers: include/uapi/linux/capability.h.  Rules of --cap-add and --cap-drop: docker's.
Hot: loaded by `run`.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# in the order of their numbers, from 0
_WORDS = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)

ALL: tuple[str, ...] = tuple(["CAP_" + word for word in _WORDS.split()])
"""All names, `CAP_CHOWN` first; the index is the number."""

NUMBERS: dict[str, int] = {name: number for number, name in enumerate(ALL)}

DEFAULT: tuple[str, ...] = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SYS_CHROOT",
    "CAP_MKNOD",
    "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
)
"""What docker gives a container that asks for nothing."""


def mask(names: Iterable[str]) -> int:
    """The set as a bit mask, bit n for capability n.  Raises UsageError for an unknown name."""
    bits = 0
    for name in names:
        number = NUMBERS.get(name)
        if number is None:
            number = NUMBERS[normal(name)]
        bits |= 1 << number
    return bits


def names(mask: int) -> list[str]:
    """The names in a bit mask, in the order of their numbers; bits without a name are left out."""
    return [name for number, name in enumerate(ALL) if mask >> number & 1]


def normal(name: str) -> str:
    """`CAP_NET_RAW` for `net_raw`, `NET_RAW` or `cap_net_raw`.  Raises UsageError."""
    word = name.strip().upper()
    if not word.startswith("CAP_"):
        word = "CAP_" + word
    if word not in NUMBERS:
        raise _unknown(name, word)
    return word


def adjust(
    add: Iterable[str] = (), drop: Iterable[str] = (), privileged: bool = False
) -> list[str]:
    """The capabilities of a container, by the rules of docker's --cap-add and --cap-drop.

    Names come with or without `CAP_`, in any case.  `ALL` added means all but the dropped ones;
    `ALL` dropped means the added ones only; otherwise what is both dropped and added stays.
    A privileged container has all.  The result is in the order of the numbers.
    Raises UsageError for an unknown name.
    """
    added, add_all = _chosen(add)
    dropped, drop_all = _chosen(drop)
    if privileged:
        return list(ALL)
    if add_all:
        return [name for name in ALL if name not in dropped]
    kept = set() if drop_all else {name for name in DEFAULT if name not in dropped}
    return [name for name in ALL if name in kept or name in added]


def _chosen(words: Iterable[str]) -> tuple[set[str], bool]:
    chosen: set[str] = set()
    everything = False
    for word in words:
        if word.strip().upper() in ("ALL", "CAP_ALL"):
            everything = True
        else:
            chosen.add(normal(word))
    return chosen, everything


def _unknown(name: str, word: str) -> UsageError:
    import difflib

    near = difflib.get_close_matches(word, ALL, 1)
    hint = f"did you mean {near[0][4:]}?" if near else "see `man 7 capabilities` for the names"
    return UsageError(f"unknown capability {name!r}", hint=hint)
