"""Names and numbers of the system calls of the architectures that this project confines.

One module per architecture holds the numbers as one string, because a string loads from a compiled
module in microseconds where a dictionary display of 400 entries does not.
Scope: numbers.  What is allowed is the business of `rootless.runtime.profile`.
"""

from __future__ import annotations

X32_BIT = 0x40000000
"""Set in the number of every x32 call, which otherwise looks like one of x86_64 (x32 psABI)."""

PRIVATE = 0x000F0000
"""Where the private calls of 32-bit arm begin, far above the others (arch/arm uapi unistd.h)."""


def table(name: str) -> dict[str, int]:
    """Numbers by name for `x86_64`, `x86`, `x32`, `aarch64` or `arm`.  Raises KeyError."""
    if name == "x86_64":
        from rootless.runtime.syscalls.x86_64 import DATA as data
    elif name == "x86":
        from rootless.runtime.syscalls.x86 import DATA as data
    elif name == "x32":
        from rootless.runtime.syscalls.x32 import DATA as data
    elif name == "aarch64":
        from rootless.runtime.syscalls.aarch64 import DATA as data
    elif name == "arm":
        from rootless.runtime.syscalls.arm import DATA as data
    else:
        raise KeyError(name)
    numbers: dict[str, int] = {}
    number = 0
    for word in data.split():
        # no system call's name begins with a digit
        if word[0].isdigit():
            number = int(word)
        else:
            numbers[word] = number
            number += 1
    return numbers


def newest(numbers: dict[str, int]) -> int:
    """The highest number in a table, leaving aside arm's private calls."""
    # an x32 number is above PRIVATE as well, so the bit is put aside before the comparison
    return max(number for number in numbers.values() if number & ~X32_BIT < PRIVATE)
