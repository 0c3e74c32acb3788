"""From `linux.seccomp` of an OCI configuration to a program for the kernel.

The kernel walks a filter at every system call, and once for every number when it is loaded, so
what counts is the length of the path to a decision.  The numbers of each architecture are
therefore cut into ranges with one decision, found by binary search.

The code is made from its end to its beginning: every jump goes forward, so its target is there
already, and what is shared or far away is known when it is needed.
Source: kernel Documentation/userspace-api/seccomp_filter.rst and networking/filter.rst; OCI runtime
specification, config-linux.md, "Seccomp".
"""

from __future__ import annotations

import struct

from rootless.errors import UsageError
from rootless.runtime import syscalls
from rootless.runtime.profile import MACHINES, machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    # (argument's index, operator, value, value two)
    Condition = tuple[int, str, int, int]
    # all conditions hold -> the filter's return value
    Rule = tuple[tuple[Condition, ...], int]
    # tried in order; the last one has no conditions
    Decision = tuple[Rule, ...]

MOST_INSTRUCTIONS = 4096
"""BPF_MAXINSNS."""

LOAD, AND, RETURN = 0x20, 0x54, 0x06
JUMP, EQUAL, GREATER, AT_LEAST = 0x05, 0x15, 0x25, 0x35
FAR = 255

# offsets in struct seccomp_data; every machine served here is little-endian
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16

LOW = 0xFFFFFFFF
WIDE = 0xFFFFFFFFFFFFFFFF

KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
ALLOW = 0x7FFF0000
_RETURN_VALUES = {
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": ALLOW,
}
EPERM, ENOSYS = 1, 38

_OPERATORS = {
    "SCMP_CMP_" + word: word for word in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
}

# name -> (AUDIT_ARCH_*, table, its registers are 64 bits wide)
_ARCHITECTURES = {
    "SCMP_ARCH_X86_64": (0xC000003E, "x86_64", True),
    "SCMP_ARCH_X32": (0xC000003E, "x32", True),
    "SCMP_ARCH_X86": (0x40000003, "x86", False),
    "SCMP_ARCH_AARCH64": (0xC00000B7, "aarch64", True),
    "SCMP_ARCH_ARM": (0x40000028, "arm", False),
}


def compile_seccomp(
    seccomp: dict[str, Any], arch: str = "", first: Sequence[dict[str, Any]] = ()
) -> tuple[bytes, list[str]]:
    """The program (array of struct sock_filter), and the names that no architecture here has.

    `arch` is a machine (uname -m), by default this one.  `first` are rules that take precedence
    over the profile.  Among the profile's rules that match a call the strictest wins, as the
    kernel has it for several filters.  A call of an architecture that is not listed kills the
    process.  Under a default of ERRNO a call newer than the newest that the profile names gets
    ENOSYS, so that C libraries fall back to what the profile's author knew.
    Raises UsageError for what cannot be understood and for a program that the kernel would refuse
    for its length.
    """
    name = machine(arch)
    own = MACHINES[name][1]
    listed = seccomp.get("architectures") or ()
    chosen = [a for a in own if a == own[0] or a in listed]
    default = _value(seccomp.get("defaultAction"), seccomp.get("defaultErrnoRet"))
    before = _parsed(first)
    rules = _parsed(seccomp.get("syscalls") or ())
    known: set[str] = set()
    code = Assembler()
    entries: list[tuple[int, int]] = []
    for audit in dict.fromkeys(_ARCHITECTURES[a][0] for a in chosen):
        starts: dict[int, Decision] = {}
        wide = True
        for member in chosen:
            number_of_it, table_name, wide_member = _ARCHITECTURES[member]
            if number_of_it != audit:
                continue
            wide = wide_member
            table = syscalls.table(table_name)
            known.update(table)
            base = syscalls.X32_BIT if table_name == "x32" else 0
            starts.update(_ranges(table, base, before, rules, default))
        if audit == _ARCHITECTURES["SCMP_ARCH_X86_64"][0] and "SCMP_ARCH_X32" not in chosen:
            # the bit is part of the number, so an x32 call would pass for an unknown one; what a
            # tracer has set to -1 is not a call at all
            starts[syscalls.X32_BIT] = (((), KILL_PROCESS),)
            starts[LOW] = _unknown_number(default)
        entries.append((audit, code.section(sorted(starts.items()), wide)))
    code.dispatch(entries, KILL_PROCESS)
    if len(code.reverse) > MOST_INSTRUCTIONS:
        raise UsageError(
            f"the seccomp profile needs {len(code.reverse)} instructions, "
            f"and the kernel takes {MOST_INSTRUCTIONS}",
            hint="use fewer rules with arguments",
        )
    unknown = dict.fromkeys(n for names, _, _ in rules for n in names if n not in known)
    return code.program(), list(unknown)


def _unknown_number(default: int) -> Decision:
    return (((), ERRNO | ENOSYS if default & 0xFFFF0000 == ERRNO else default),)


def _ranges(
    table: dict[str, int],
    base: int,
    before: Sequence[tuple[list[str], tuple[Condition, ...], int]],
    rules: Sequence[tuple[list[str], tuple[Condition, ...], int]],
    default: int,
) -> dict[int, Decision]:
    """Decisions by the number that a range begins with; the range ends where the next begins."""
    taken: dict[int, list[Rule]] = {}
    for names, conditions, value in before:
        for name in names:
            if name in table:
                taken.setdefault(table[name], []).append((conditions, value))
    named: dict[int, list[Rule]] = {}
    for names, conditions, value in rules:
        for name in names:
            if name in table:
                named.setdefault(table[name], []).append((conditions, value))
    ordinary = [number for number in named if number - base < syscalls.PRIVATE]
    newest = max(ordinary) if ordinary else syscalls.newest(table)
    otherwise: Decision = (((), default),)
    newer = _unknown_number(default)
    starts: dict[int, Decision] = {base: otherwise, newest + 1: newer}
    numbers = taken.keys() | named.keys()
    for number in sorted(numbers):
        # a call that only `first` names is otherwise treated like its neighbours
        rest = otherwise if number <= newest else newer
        own = sorted(named.get(number, []), key=_strictness)
        starts[number] = _cut([*taken.get(number, []), *own, *rest])
        if number + 1 not in numbers:
            starts[number + 1] = otherwise if number < newest else newer
    return starts


def _strictness(rule: Rule) -> int:
    # the kernel compares the upper halves as signed numbers
    value = rule[1] & 0xFFFF0000
    return value - (1 << 32) if value & 0x80000000 else value


def _cut(rules: list[Rule]) -> Decision:
    """Without what cannot be reached or makes no difference."""
    for index, (conditions, _) in enumerate(rules):
        if not conditions:
            rules = rules[: index + 1]
            break
    while len(rules) > 1 and rules[-2][1] == rules[-1][1]:
        del rules[-2]
    return tuple(rules)


def _value(action: object, errno: object) -> int:
    value = _RETURN_VALUES.get(action) if isinstance(action, str) else None
    if value is None:
        raise UsageError(f"unknown seccomp action {action!r}", hint="for instance SCMP_ACT_ERRNO")
    if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        number = EPERM if errno is None else errno
        if not isinstance(number, int) or not 0 <= number <= 4095:
            raise UsageError(f"errnoRet {number!r} is no error number", hint="0 to 4095")
        value |= number
    return value


def _parsed(
    rules: Iterable[dict[str, Any]],
) -> list[tuple[list[str], tuple[Condition, ...], int]]:
    parsed: list[tuple[list[str], tuple[Condition, ...], int]] = []
    for rule in rules:
        names = list(rule.get("names") or ())
        value = _value(rule.get("action"), rule.get("errnoRet"))
        conditions = [_condition(argument) for argument in rule.get("args") or ()]
        if len({index for index, _, _, _ in conditions}) == len(conditions):
            parsed.append((names, tuple(conditions), value))
        else:
            # runc and crun take several conditions on one argument as alternatives, and profiles
            # are written for that
            parsed.extend((names, (condition,), value) for condition in conditions)
    return parsed


def _condition(argument: dict[str, Any]) -> Condition:
    index, name = argument.get("index"), argument.get("op")
    operator = _OPERATORS.get(name) if isinstance(name, str) else None
    values = [argument.get("value", 0), argument.get("valueTwo") or 0]
    if operator is None:
        raise UsageError(f"unknown seccomp operator {name!r}", hint="for instance SCMP_CMP_EQ")
    if not isinstance(index, int) or not 0 <= index <= 5:
        raise UsageError(
            f"a system call has no argument {index!r}", hint="arguments are counted from 0 to 5"
        )
    if not all(isinstance(value, int) and 0 <= value <= WIDE for value in values):
        raise UsageError(
            f"{values!r} are no values of an argument", hint="they are numbers below 2 to the 64th"
        )
    return (index, operator, values[0], values[1])


class Assembler:
    """Instructions from the last to the first; a place is an index into `reverse`."""

    def __init__(self) -> None:
        self.reverse: list[tuple[int, int, int, int]] = []
        self._returns: dict[int, int] = {}
        self._decisions: dict[tuple[Decision, bool], int] = {}

    def program(self) -> bytes:
        """The array of struct sock_filter: code, jt, jf, k."""
        return b"".join(struct.pack("=HBBI", *one) for one in reversed(self.reverse))

    def section(self, ranges: Sequence[tuple[int, Decision]], wide: bool) -> int:
        """The search over the numbers of one architecture; where it begins."""
        merged: list[tuple[int, Decision]] = []
        for start, decision in ranges:
            if not merged or merged[-1][1] != decision:
                merged.append((start, decision))
        self._next(self._search(merged, wide))
        return self._add(LOAD, k=NUMBER)

    def _search(self, ranges: list[tuple[int, Decision]], wide: bool) -> int:
        if len(ranges) == 1:
            return self._decide(ranges[0][1], wide)
        middle = len(ranges) // 2
        high = self._search(ranges[middle:], wide)
        low = self._search(ranges[:middle], wide)
        return self._branch(AT_LEAST, ranges[middle][0], high, low)

    def dispatch(self, entries: Sequence[tuple[int, int]], otherwise: int) -> None:
        """The beginning of the program: which architecture the call is of."""
        place = self._return(otherwise)
        # the machine's own architecture was made first, and is asked for first
        for audit, section in reversed(entries):
            place = self._branch(EQUAL, audit, section, place)
        self._add(LOAD, k=ARCHITECTURE)

    def _add(self, code: int, jt: int = 0, jf: int = 0, k: int = 0) -> int:
        self.reverse.append((code, jt, jf, k))
        return len(self.reverse) - 1

    def _return(self, value: int) -> int:
        place = self._returns.get(value)
        # a second copy is cheaper than a jump to the first; some distance is kept for what is
        # put between it and the jump
        if place is None or len(self.reverse) - place > FAR - 8:
            place = self._returns[value] = self._add(RETURN, k=value)
        return place

    def _branch(self, code: int, k: int, yes: int, no: int) -> int:
        if yes == no:
            return yes
        # a conditional jump reaches 255 instructions; the unconditional one reaches everywhere.
        # Two of them may have to be put in between.
        if len(self.reverse) - no > FAR - 2:
            no = self._jump(no)
        if len(self.reverse) - yes > FAR - 1:
            yes = self._jump(yes)
        here = len(self.reverse)
        return self._add(code, here - yes - 1, here - no - 1, k)

    def _next(self, place: int) -> None:
        """What is added now runs on into `place`."""
        if place != len(self.reverse) - 1:
            self._jump(place)

    def _jump(self, place: int) -> int:
        code, _, _, k = self.reverse[place]
        if code == RETURN:
            return self._add(RETURN, k=k)
        return self._add(JUMP, k=len(self.reverse) - place - 1)

    def _decide(self, decision: Decision, wide: bool) -> int:
        if len(decision) == 1:
            return self._return(decision[0][1])
        key = (decision, wide)
        place = self._decisions.get(key)
        if place is None:
            place = self._by_value(decision, wide)
            if place < 0:
                place = self._return(decision[-1][1])
                for conditions, value in reversed(decision[:-1]):
                    place = self._rule(conditions, value, place, wide)
            self._decisions[key] = place
        return place

    def _rule(
        self, conditions: tuple[Condition, ...], value: int, otherwise: int, wide: bool
    ) -> int:
        place = self._return(value)
        for condition in reversed(conditions):
            place = self._test(condition, place, otherwise, wide)
        return place

    def _test(self, condition: Condition, yes: int, no: int, wide: bool) -> int:
        index, operator, value, two = condition
        if operator in ("NE", "LT", "LE"):
            opposite = {"NE": "EQ", "LT": "GE", "LE": "GT"}[operator]
            return self._test((index, opposite, value, two), no, yes, wide)
        low = ARGUMENTS + 8 * index
        if operator in ("EQ", "MASKED_EQ"):
            mask = WIDE
            if operator == "MASKED_EQ":
                mask, value = value, two
            # bits outside the mask can never be equal to ones in the value
            if value & ~mask & (WIDE if wide else LOW):
                return no
            place = self._equal(low, mask & LOW, value & LOW, yes, no)
            if wide:
                place = self._equal(low + 4, mask >> 32, value >> 32, place, no)
            return place
        if not wide and value > LOW:
            return no
        jump = AT_LEAST if operator == "GE" else GREATER
        self._next(self._branch(jump, value & LOW, yes, no))
        place = self._add(LOAD, k=low)
        if wide:
            # equal high halves leave the decision to the low ones
            place = self._branch(EQUAL, value >> 32, place, no)
            place = self._branch(GREATER, value >> 32, yes, place)
            place = self._add(LOAD, k=low + 4)
        return place

    def _equal(self, offset: int, mask: int, value: int, yes: int, no: int) -> int:
        if not mask:
            return yes
        self._next(self._branch(EQUAL, value, yes, no))
        if mask != LOW:
            self._add(AND, k=mask)
        return self._add(LOAD, k=offset)

    def _by_value(self, decision: Decision, wide: bool) -> int:
        """A search over the values of one argument, if the rules are of that kind; else -1."""
        conditions = [c for rule in decision[:-1] for c in rule[0]]
        simple = all(len(rule[0]) == 1 for rule in decision[:-1])
        if not simple or len(conditions) < 4 or len({c[0] for c in conditions}) > 1:
            return -1
        if any(c[1] == "MASKED_EQ" or c[2] >= LOW for c in conditions):
            return -1
        starts = sorted({0}.union(*((c[2], c[2] + 1) for c in conditions)))
        ranges: list[tuple[int, Decision]] = []
        for start in starts:
            value = next(v for cs, v in decision if all(_holds(c, start) for c in cs))
            if not ranges or ranges[-1][1] != (((), value),):
                ranges.append((start, (((), value),)))
        offset = ARGUMENTS + 8 * conditions[0][0]
        beyond = ranges[-1][1][0][1]
        self._next(self._search(ranges, wide))
        place = self._add(LOAD, k=offset)
        if wide:
            self._next(self._branch(EQUAL, 0, place, self._return(beyond)))
            place = self._add(LOAD, k=offset + 4)
        return place


def _holds(condition: Condition, argument: int) -> bool:
    _, operator, value, _ = condition
    if operator in ("EQ", "NE"):
        return (argument == value) == (operator == "EQ")
    if operator in ("LT", "GE"):
        return (argument < value) == (operator == "LT")
    return (argument <= value) == (operator == "LE")
