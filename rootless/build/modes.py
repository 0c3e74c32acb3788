"""`--chmod`: octal and symbolic modes.  Source: chmod(1); dockerfile reference, COPY --chmod."""

from __future__ import annotations

from rootless.errors import UsageError

_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


class Mode:
    """A parsed mode.  `octal`: it is a number, and also holds for directories made on the way."""

    def __init__(self, text: str) -> None:
        """Raises UsageError."""
        self.text = text
        self.number = -1
        self._clauses: list[tuple[int, list[tuple[str, str]]]] = []
        if text and all(one in "01234567" for one in text):
            self.number = int(text, 8)
            if self.number > 0o7777:
                raise _invalid(text)
            return
        for clause in text.split(","):
            at = 0
            who = 0
            while at < len(clause) and clause[at] in _WHO:
                who |= _WHO[clause[at]]
                at += 1
            actions: list[tuple[str, str]] = []
            while at < len(clause):
                if clause[at] not in "+-=":
                    raise _invalid(text)
                sign, at = clause[at], at + 1
                start = at
                while at < len(clause) and clause[at] in "rwxXstugo":
                    at += 1
                bits = clause[start:at]
                if any(one in "ugo" for one in bits) and len(bits) > 1:
                    raise _invalid(text)
                actions.append((sign, bits))
            if not actions:
                raise _invalid(text)
            self._clauses.append((who or 0o7777, actions))

    @property
    def octal(self) -> bool:
        """Whether it is a number."""
        return self.number >= 0

    def apply(self, mode: int, *, directory: bool) -> int:
        """The mode that a file of this mode gets."""
        if self.number >= 0:
            return self.number
        for who, actions in self._clauses:
            for sign, bits in actions:
                wanted = _wanted(bits, mode, directory) & who
                if sign == "+":
                    mode |= wanted
                elif sign == "-":
                    mode &= ~wanted
                else:
                    # the set-id bits of a directory stay unless they are named, as with chmod(1)
                    kept = 0o6000 if directory else 0
                    mode = mode & ~(who & ~kept) | wanted
        return mode


def _wanted(bits: str, mode: int, directory: bool) -> int:
    made = 0
    for one in bits:
        if one == "X":
            made |= 0o111 if directory or mode & 0o111 else 0
        elif one in "ugo":
            three = mode >> {"u": 6, "g": 3, "o": 0}[one] & 7
            made |= three << 6 | three << 3 | three
        else:
            made |= _BITS[one]
    return made


def _invalid(text: str) -> UsageError:
    return UsageError(
        f'invalid --chmod "{text}"', hint="octal as in 755, or symbolic as in u+x,go-w"
    )
