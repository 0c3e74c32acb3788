"""`linux.resources.devices`: which devices may be used, as a program that the kernel asks.

Only the host's root can give a cgroup such a program.  In a user namespace no process can make
nodes, and those that are there are the user's own choice, so there is nothing to be done.
Source: runtime-spec config-linux.md, "Allowed Device list"; linux/bpf.h, struct bpf_cgroup_dev_ctx.
"""

from __future__ import annotations

import os

from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rootless.documents import Json

_FIELD = "linux.resources.devices"
_TYPES = {"b": 1, "c": 2, "u": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_DEVICE, _CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2

# null, zero, full, random, urandom, tty, console, ptmx and the terminals of /dev/pts; and nodes may
# be made, which says nothing of their use.  Source: config-linux.md, "Default Devices"
_ALWAYS: tuple[Json, ...] = (
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    *(
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
    ),
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
)


def restricts(rules: Sequence[Json]) -> bool:
    """Return whether these rules restrict anything: the last one may allow everything."""
    if not rules:
        return False
    last = rules[-1]
    everything = last["allow"] and (last.get("type") or "a") == "a"
    numbers = [last.get("major"), last.get("minor")]
    return not (everything and all(one in (None, -1) for one in numbers) and _mask(last) == 7)


def confining(place: Callable[[int], str] | None, rules: Sequence[Json]) -> Callable[[int], str]:
    """Return a function as `place`, which also attaches the rules to the cgroup.

    Raises UsageError where there is no cgroup that could hold them.
    """
    code = program(rules)
    refusal = UsageError(
        f"{_FIELD}: there is no cgroup that could keep devices from root of the host",
        hint="a writable cgroup of version 2 is needed; or give the container a user namespace",
    )
    if place is None:
        raise refusal

    def placed(pid: int) -> str:
        path = place(pid)
        if not path:
            raise refusal
        _attach(path, code)
        return path

    return placed


def _attach(path: str, code: bytes) -> None:
    from rootless import kernel

    cgroup = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        loaded = kernel.calls.bpf_prog_load(_DEVICE, code)
        try:
            kernel.calls.bpf_prog_attach(cgroup, loaded, _CGROUP_DEVICE, _ALLOW_MULTI)
        finally:
            os.close(loaded)
    except OSError as error:
        raise HostError(
            f"{_FIELD}: the kernel does not take the rules: {(error.strerror or '').lower()}",
            hint="CAP_SYS_ADMIN and CAP_BPF of the host are needed, and a kernel with "
            "CONFIG_CGROUP_BPF; or give the container a user namespace",
        ) from None
    finally:
        os.close(cgroup)


def _mask(rule: Json) -> int:
    bits = 0
    for letter in rule.get("access") or "rwm":
        bits |= _ACCESS.get(letter, 0)
    return bits


def program(rules: Sequence[Json]) -> bytes:
    """Return the instructions: of each kind of access the last rule that fits decides; without, it
    is no.

    Raises UsageError for a rule that means nothing.
    """
    # r2 type, r3 kinds of access that are not decided yet, r4 and r5 the numbers
    code = [
        _instruction(0x61, 2, 1, 0),
        _instruction(0xBF, 3, 2),
        _instruction(0x57, 2, value=0xFFFF),
        _instruction(0x77, 3, value=16),
        _instruction(0x61, 4, 1, 4),
        _instruction(0x61, 5, 1, 8),
    ]
    checked = [_checked(rule, number) for number, rule in enumerate(rules)]
    for rule in reversed([*checked, *_ALWAYS]):
        code += _of_rule(rule)
    return b"".join([*code, *_answer(0)])


def _checked(rule: Json, number: int) -> Json:
    where = f"{_FIELD}[{number}]"
    if (rule.get("type") or "a") not in ("a", *_TYPES):
        raise UsageError(f'{where}.type: unknown type of device "{rule["type"]}"')
    if set(rule.get("access") or "") - set(_ACCESS):
        raise UsageError(f'{where}.access: "{rule["access"]}" is not made of r, w and m')
    for name in ("major", "minor"):
        value = rule.get(name)
        if value is not None and not -1 <= value < 1 << 31:
            raise UsageError(f"{where}.{name}: {value} is not the number of a device")
    return rule


def _of_rule(rule: Json) -> list[bytes]:
    bits = _mask(rule)
    if rule["allow"]:
        body = [
            _instruction(0x57, 3, value=7 & ~bits),
            _instruction(0x55, 3, jump=2, value=0),
            *_answer(1),
        ]
    else:
        body = [
            _instruction(0xBF, 6, 3),
            _instruction(0x57, 6, value=bits),
            _instruction(0x15, 6, jump=2, value=0),
            *_answer(0),
        ]
    kind = _TYPES.get(rule.get("type") or "a")
    for register, wanted in ((5, rule.get("minor")), (4, rule.get("major")), (2, kind)):
        if wanted not in (None, -1):
            body.insert(0, _instruction(0x55, register, jump=len(body), value=wanted))
    return body


def _answer(value: int) -> list[bytes]:
    return [_instruction(0xB7, 0, value=value), _instruction(0x95, 0)]


def _instruction(
    code: int, target: int, source: int = 0, offset: int = 0, *, jump: int = 0, value: int = 0
) -> bytes:
    """Eight bytes: what, registers, offset, number.  Source: linux/bpf.h, struct bpf_insn."""
    import sys

    order = sys.byteorder
    registers = target | source << 4 if order == "little" else target << 4 | source
    head = bytes((code, registers)) + (offset or jump).to_bytes(2, order, signed=True)
    return head + value.to_bytes(4, order, signed=True)
