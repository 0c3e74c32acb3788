"""Modes of files as `chmod` takes them: `0755`, `u=rwX,go=rX`, `g=u`, `+x`.

Without u, g, o or a, all three are meant, whatever the umask.  Scope: pure.
"""

from __future__ import annotations

import re

from rootless.build.dockerfile.frozen import Frozen

_OCTAL = re.compile(r"0*[0-7]{1,5}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


class Mode(Frozen):
    """A change of modes.  `number`: the new mode, where it does not depend on the old one."""

    number: int | None
    # (who, operator, what), one after the other
    actions: tuple[tuple[str, str, str], ...] = ()

    def apply(self, mode: int, *, directory: bool) -> int:
        """Return the mode that a file of this mode gets; bits of the type are not looked at."""
        if self.number is not None:
            return self.number
        mode &= 0o7777
        for who, operator, what in self.actions:
            mode = _applied(mode, who, operator, what, directory)
        return mode


def parse(text: str) -> Mode | None:
    """Read a mode; None for what is none."""
    if _OCTAL.fullmatch(text):
        number = int(text, 8)
        return Mode(number) if number <= 0o7777 else None
    actions = []
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            return None
        who = "ugo" if not match[1] or "a" in match[1] else match[1]
        # s and t belong to nobody when all are meant
        actions += [(who, action[1], action[2]) for action in _ACTION.finditer(match[2])]
    return Mode(None, tuple(actions))


def _applied(mode: int, who: str, operator: str, what: str, directory: bool) -> int:
    bits = mask = 0
    for letter in who:
        shift = _SHIFT[letter]
        mask |= 7 << shift | {"u": 0o4000, "g": 0o2000, "o": 0}[letter]
        for wanted in what:
            if wanted in _SHIFT:
                bits |= (mode >> _SHIFT[wanted] & 7) << shift
            elif wanted in _BITS:
                bits |= _BITS[wanted] << shift
            elif wanted == "X" and (directory or mode & 0o111):
                bits |= 1 << shift
            elif wanted == "s":
                bits |= {"u": 0o4000, "g": 0o2000, "o": 0}[letter]
            elif wanted == "t":
                bits |= 0o1000
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    if who == "ugo":
        mask |= 0o1000
    return mode & ~mask | bits
