"""Filters are evaluated by a small BPF machine and held against a plain reading of the profile."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootless.errors import HostError, UsageError
from rootless.runtime import bpf, capabilities, profile, seccomp, syscalls

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38
AUDIT = {
    "x86_64": 0xC000003E,
    "x32": 0xC000003E,
    "x86": 0x40000003,
    "aarch64": 0xC00000B7,
    "arm": 0x40000028,
}
WORDS = {"x86_64": 64, "x32": 64, "x86": 32, "aarch64": 64, "arm": 32}
FAMILY = {"x86_64": ("x86_64", "x86", "x32"), "aarch64": ("aarch64", "arm")}


# ------------------------------------------------- the machine


def evaluate(program: bytes, arch: int, number: int, arguments: Sequence[int] = ()) -> int:
    """What the kernel would answer; refuses what the kernel would refuse to load."""
    code = list(struct.iter_unpack("=HBBI", program))
    padded = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("=IIQ6Q", number, arch, 0x1234, *padded)
    place, accumulator = 0, 0
    while True:
        operation, yes, no, k = code[place]
        place += 1
        if operation == 0x20:
            assert k % 4 == 0 and k < 64
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif operation == 0x54:
            accumulator &= k
        elif operation == 0x05:
            place += k
        elif operation in (0x15, 0x25, 0x35):
            true = {
                0x15: accumulator == k,
                0x25: accumulator > k,
                0x35: accumulator >= k,
            }[operation]
            place += yes if true else no
        else:
            assert operation == 0x06, hex(operation)
            return int(k)


def well_formed(program: bytes) -> None:
    """Every jump ends inside and everything ends in a return (the kernel's own check)."""
    code = list(struct.iter_unpack("=HBBI", program))
    assert 0 < len(code) <= 4096
    assert code[-1][0] == 0x06
    for place, (operation, yes, no, k) in enumerate(code):
        if operation == 0x05:
            assert place + 1 + k < len(code)
        elif operation in (0x15, 0x25, 0x35):
            assert place + 1 + max(yes, no) < len(code)


# ------------------------------------------------- the oracle

NAMES = {
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
}
STRICTEST_FIRST = [KILL_PROCESS, 0, 0x00030000, ERRNO, 0x7FC00000, 0x7FF00000, 0x7FFC0000, ALLOW]


def answer(rule: dict[str, Any]) -> int:
    value = NAMES[rule["action"]]
    return value | rule.get("errnoRet", 1) if value in (ERRNO, 0x7FF00000) else value


def holds(argument: dict[str, Any], arguments: Sequence[int], bits: int) -> bool:
    full = (1 << bits) - 1
    index: int = argument["index"]
    given_value = arguments[index] & full
    value: int = argument["value"]
    two: int = argument.get("valueTwo", 0)
    name: str = argument["op"][9:]
    if name == "MASKED_EQ":
        return given_value & value == two & full
    if name in ("EQ", "NE"):
        return (given_value == value & full) == (name == "EQ")
    return {
        "LT": given_value < value,
        "LE": given_value <= value,
        "GE": given_value >= value,
        "GT": given_value > value,
    }[name]


def expected(
    oci: dict[str, Any], table: dict[str, int], number: int, arguments: Sequence[int], bits: int
) -> int:
    """The strictest of the rules that match; else the default."""
    default = NAMES[oci["defaultAction"]]
    if default in (ERRNO, 0x7FF00000):
        default |= oci.get("defaultErrnoRet", 1)
    listed = [table[n] for rule in oci["syscalls"] for n in rule["names"] if n in table]
    private = [n for n in listed if n & ~syscalls.X32_BIT >= syscalls.PRIVATE]
    newest = max((n for n in listed if n not in private), default=syscalls.newest(table))
    matching = []
    for rule in oci["syscalls"]:
        if number not in [table.get(name) for name in rule["names"]]:
            continue
        conditions = rule.get("args", [])
        indexes = [c["index"] for c in conditions]
        results = [holds(c, arguments, bits) for c in conditions]
        if any(results) if len(set(indexes)) < len(indexes) else all(results):
            matching.append(answer(rule))
    if matching:
        return min(matching, key=lambda v: STRICTEST_FIRST.index(v & 0xFFFF0000))
    if number > newest and default & 0xFFFF0000 == ERRNO:
        return ENOSYS
    return default


def every_number(table: dict[str, int]) -> Iterator[int]:
    base = syscalls.X32_BIT if min(table.values()) >= syscalls.X32_BIT else 0
    yield from range(base, base + 600)
    yield from (n for n in table.values() if n >= base + 600)
    if base or 0xC0000000 not in table.values():
        yield base + 0x3FFFFFFF


def spread(oci: dict[str, Any]) -> list[int]:
    """Values of arguments around those of the profile."""
    values = {0, 1, 2**32, 2**63, 2**64 - 1, 0x11, 0x6020, 0x2100, 0x10000000}
    for rule in oci["syscalls"]:
        for argument in rule.get("args", []):
            for value in (argument["value"], argument.get("valueTwo", 0)):
                values |= {value, value + 1, value - 1, value + 2**32, value ^ 2**33}
    return sorted(v for v in values if 0 <= v < 2**64)


# ------------------------------------------------- the default profile

CAPABILITIES = [
    (),
    capabilities.DEFAULT,
    (*capabilities.DEFAULT, "CAP_SYS_ADMIN"),
    ("CAP_SYS_PTRACE", "CAP_BPF", "CAP_SYS_NICE"),
    capabilities.ALL,
]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("caps", CAPABILITIES, ids=len)
def test_the_default_program_does_what_the_profile_says(
    machine: str, caps: tuple[str, ...]
) -> None:
    oci = profile.oci_seccomp(caps, machine)
    program = seccomp.program(caps, arch=machine)
    well_formed(program)
    values = spread({"syscalls": [r for r in oci["syscalls"] if r["names"] != ["socket"]]})
    for name in FAMILY[machine]:
        table = syscalls.table(name)
        filtered = {table.get(n) for n in ("clone", "personality")}
        for number in every_number(table):
            for value in values if number in filtered else (0,):
                arguments = (value, 0, 0, 0, 0, 0)
                want = expected(oci, table, number, arguments, WORDS[name])
                assert evaluate(program, AUDIT[name], number, arguments) == want, (name, number)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_sockets_of_dangerous_families_are_refused(machine: str) -> None:
    program = seccomp.program(capabilities.ALL, arch=machine)
    for name in FAMILY[machine]:
        table = syscalls.table(name)
        for family in range(80):
            want = ALLOW if family < 12 or family in profile._FAMILIES else EPERM
            assert evaluate(program, AUDIT[name], table["socket"], [family]) == want, family
        for family in (38, 40):
            assert evaluate(program, AUDIT[name], table["socket"], [family]) == EPERM
            # the kernel looks at the low half only, so the high one must not open the door
            high = evaluate(program, AUDIT[name], table["socket"], [family + (7 << 32)])
            assert high == EPERM
        assert evaluate(program, AUDIT[name], table["socket"], [2, 1, 0]) == ALLOW


def test_another_architecture_is_killed() -> None:
    program = seccomp.program(capabilities.DEFAULT, arch="x86_64")
    assert evaluate(program, AUDIT["aarch64"], 0) == KILL_PROCESS
    oci = {**profile.oci_seccomp((), "x86_64"), "architectures": ["SCMP_ARCH_X86_64"]}
    program = seccomp.program((), oci=oci, arch="x86_64")
    assert evaluate(program, AUDIT["x86"], 3) == KILL_PROCESS
    assert evaluate(program, AUDIT["x86_64"], syscalls.X32_BIT) == KILL_PROCESS
    assert evaluate(program, AUDIT["x86_64"], syscalls.X32_BIT + 1000) == KILL_PROCESS
    # a tracer's way of leaving a call out
    assert evaluate(program, AUDIT["x86_64"], 0xFFFFFFFF) == ENOSYS
    # also where the profile would allow everything of its own architecture
    open_profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    program = seccomp.program((), oci=open_profile, arch="x86_64")
    assert evaluate(program, AUDIT["x86_64"], 5000) == ALLOW
    assert evaluate(program, AUDIT["x86"], 3) == KILL_PROCESS


@pytest.mark.parametrize(
    ("capability", "call"),
    [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_ADMIN", "clone3"),
        ("CAP_BPF", "bpf"),
        ("CAP_PERFMON", "perf_event_open"),
        ("CAP_SYS_PTRACE", "kcmp"),
        ("CAP_SYS_CHROOT", "chroot"),
        ("CAP_SYS_MODULE", "init_module"),
        ("CAP_SYS_TIME", "settimeofday"),
        ("CAP_SYS_NICE", "mbind"),
        ("CAP_SYSLOG", "syslog"),
        ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
        ("CAP_SYS_BOOT", "reboot"),
        ("CAP_SYS_PACCT", "acct"),
        ("CAP_SYS_RAWIO", "iopl"),
        ("CAP_SYS_TTY_CONFIG", "vhangup"),
    ],
)
def test_a_capability_opens_its_calls(capability: str, call: str) -> None:
    number = syscalls.table("x86_64")[call]
    without = seccomp.program((), arch="x86_64")
    having = seccomp.program([capability], arch="x86_64")
    assert evaluate(without, AUDIT["x86_64"], number) == (ENOSYS if call == "clone3" else EPERM)
    assert evaluate(having, AUDIT["x86_64"], number) == ALLOW


def test_the_mask_of_relevant_capabilities_is_complete() -> None:
    assert capabilities.mask(profile._WITH_CAPABILITY) == seccomp.RELEVANT


# ------------------------------------------------- a single id


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("privileged", [False, True])
def test_a_single_id_answers_ownership_with_success(machine: str, privileged: bool) -> None:
    program = seccomp.program(
        capabilities.DEFAULT, single=True, privileged=privileged, arch=machine
    )
    well_formed(program)
    plain = seccomp.program(capabilities.DEFAULT, arch=machine)
    answered = {name for rule in seccomp.single_id_filter() for name in rule["names"]}
    for name in FAMILY[machine]:
        table = syscalls.table(name)
        special = {table[n]: n for n in answered if n in table}
        for number in every_number(table):
            got = evaluate(program, AUDIT[name], number, [1, 2, 3])
            if number in special and not special[number].startswith("mknod"):
                assert got == ERRNO, special[number]
            elif privileged:
                assert got == ALLOW
            else:
                assert got == evaluate(plain, AUDIT[name], number, [1, 2, 3]), number
        for call, index in (("mknod", 1), ("mknodat", 2)):
            for kind, want in (
                (0o020666, ERRNO),
                (0o060660, ERRNO),
                (0o100644, ALLOW),
                (0o010644, ALLOW),
                (0o140644, ALLOW),
                (0o644, ALLOW),
            ):
                arguments = [0, 0, 0]
                arguments[index] = kind | 5 << 32
                if call in table:
                    assert evaluate(program, AUDIT[name], table[call], arguments) == want


def test_nothing_to_filter_is_no_program() -> None:
    assert seccomp.program(capabilities.DEFAULT, privileged=True) == b""
    assert seccomp.default_filter(0, unconfined=True) == b""


# ------------------------------------------------- any profile

SOME = ["read", "chown", "socket", "ptrace", "clone", "mseal", "getpid", "set_tls", "nonsense"]
VALUES = st.one_of(
    st.integers(0, 20),
    st.integers(0, 2**64 - 1),
    st.sampled_from([2**32 - 1, 2**32, 2**64 - 1, 5 << 32, 5]),
)
ARGUMENTS = st.fixed_dictionaries(
    {
        "index": st.integers(0, 2),
        "value": VALUES,
        "valueTwo": VALUES,
        "op": st.sampled_from(
            ["SCMP_CMP_" + op for op in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")]
        ),
    }
)
RULES = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(SOME), min_size=1, max_size=3),
        "action": st.sampled_from(sorted(NAMES)),
    },
    optional={
        "args": st.lists(ARGUMENTS, max_size=3),
        # one number only: among equally strict rules the order is nobody's promise
        "errnoRet": st.just(1),
    },
)
PROFILES = st.fixed_dictionaries(
    {
        "defaultAction": st.sampled_from(sorted(NAMES)),
        "architectures": st.just(
            [
                "SCMP_ARCH_X86",
                "SCMP_ARCH_X32",
                "SCMP_ARCH_X86_64",
                "SCMP_ARCH_ARM",
                "SCMP_ARCH_AARCH64",
                "SCMP_ARCH_MIPS",
            ]
        ),
        "syscalls": st.lists(RULES, max_size=12),
    },
    optional={"defaultErrnoRet": st.integers(0, 133)},
)


@settings(max_examples=150, deadline=None)
@given(PROFILES, st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=4))
def test_any_profile_does_what_it_says(
    oci: dict[str, Any], calls: list[tuple[int, int, int]]
) -> None:
    values = [c["value"] for rule in oci["syscalls"] for c in rule.get("args", [])]
    calls = [*calls, *((v, v, v) for v in values), *((v & (2**32 - 1), v, 0) for v in values)]
    for machine, names in FAMILY.items():
        program = seccomp.program((), oci=oci, arch=machine)
        well_formed(program)
        for name in names:
            table = syscalls.table(name)
            numbers = {table[n] for n in SOME if n in table}
            for number in numbers | {n + 1 for n in numbers}:
                for call in calls:
                    want = expected(oci, table, number, call, WORDS[name])
                    got = evaluate(program, AUDIT[name], number, call)
                    assert got == want, (name, number, call)


@pytest.mark.parametrize("count", [60, 200])
def test_jumps_over_long_distances(count: int) -> None:
    # each of these needs a dozen instructions of its own, so the ranges lie far apart
    table = syscalls.table("x86_64")
    names = sorted(table, key=table.__getitem__)[:count]
    rules: list[dict[str, Any]] = [
        {
            "names": [name],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 1 + index % 130,
            "args": [
                {"index": 0, "value": (index << 40) + 7, "op": "SCMP_CMP_EQ"},
                {"index": 1, "value": index << 33, "op": "SCMP_CMP_GT"},
            ],
        }
        for index, name in enumerate(names)
    ]
    oci = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    program = seccomp.program((), oci=oci, arch="x86_64")
    well_formed(program)
    assert len(program) // 8 > 255 * (count // 60)
    for index, name in enumerate(names):
        arguments = [(index << 40) + 7, (index << 33) + 1]
        got = evaluate(program, AUDIT["x86_64"], table[name], arguments)
        assert got == ERRNO | 1 + index % 130
        arguments[1] -= 1
        assert evaluate(program, AUDIT["x86_64"], table[name], arguments) == ALLOW


def test_a_program_that_is_too_long_is_refused() -> None:
    args = [{"index": i, "value": 1 << 40, "op": "SCMP_CMP_GT"} for i in range(6)]
    rules = [
        {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": number % 130, "args": args}
        for name, number in syscalls.table("x86_64").items()
    ]
    with pytest.raises(UsageError, match="4096"):
        seccomp.program((), oci={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}, arch="")


@pytest.mark.parametrize(
    "oci",
    [
        {"defaultAction": "SCMP_ACT_PERHAPS"},
        {},
        {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "x"}]},
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70000}],
        },
        *(
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [args]}],
            }
            for args in (
                {"index": 6, "value": 0, "op": "SCMP_CMP_EQ"},
                {"index": 0, "value": -1, "op": "SCMP_CMP_EQ"},
                {"index": 0, "value": 0, "op": "SCMP_CMP_LIKE"},
                {"index": 0, "value": "1", "op": "SCMP_CMP_EQ"},
            )
        ),
    ],
)
def test_nonsense_is_a_usage_error(oci: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        seccomp.program((), oci=oci)
    assert caught.value.hint


def test_unknown_names_are_told_and_machines_too() -> None:
    oci = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["read", "frobnicate"], "action": "SCMP_ACT_LOG"}],
    }
    assert seccomp.unknown_names(oci) == ["frobnicate"]
    with pytest.raises(HostError, match="vax"):
        seccomp.program((), arch="vax")


def test_flags() -> None:
    assert seccomp.flags({"flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]}) == 3
    assert seccomp.flags({}) == 0
    with pytest.raises(UsageError):
        seccomp.flags({"flags": ["SECCOMP_FILTER_FLAG_NO"]})


def test_the_profile_of_a_peer_is_understood() -> None:
    path = "/usr/share/containers/seccomp.json"  # tests/run installs it
    oci = profile.load(path, capabilities.DEFAULT, "x86_64")
    program = seccomp.program((), oci=oci, arch="x86_64")
    well_formed(program)
    table = syscalls.table("x86_64")
    for number in range(600):
        # audit netlink sockets are refused, others are not
        for arguments in ((0, 0, 0), (16, 3, 9), (2, 1, 9), (16, 3, 0)):
            want = expected(oci, table, number, arguments, 64)
            assert evaluate(program, AUDIT["x86_64"], number, arguments) == want, number


# ------------------------------------------------- cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rootless" / "seccomp"


def test_the_cache_is_written_once_and_read(cache: Path) -> None:
    mask = capabilities.mask(capabilities.DEFAULT)
    made = seccomp.default_filter(mask)
    assert made == seccomp.program(capabilities.DEFAULT)
    (file,) = cache.iterdir()
    assert file.read_bytes() == made
    file.write_bytes(made[:-8] + struct.pack("=HBBI", 6, 0, 0, 0))
    assert seccomp.default_filter(mask) != made, "the cache is not read"
    assert seccomp.default_filter(mask, True) == seccomp.program(capabilities.DEFAULT, single=True)
    # a capability that the profile does not look at shares the file
    seccomp.default_filter(mask & ~1)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["length", "long", "writable", "link", "empty", "directory"])
def test_a_cached_file_that_cannot_be_trusted_is_replaced(cache: Path, damage: str) -> None:
    made = seccomp.default_filter(0)
    (file,) = cache.iterdir()
    allow = struct.pack("=HBBI", 6, 0, 0, ALLOW)
    if damage == "length":
        file.write_bytes(allow + b"x")
    elif damage == "long":
        file.write_bytes(allow * 4097)
    elif damage == "writable":
        file.write_bytes(allow)
        file.chmod(0o666)
    elif damage == "link":
        other = cache.parent / "other"
        other.write_bytes(allow)
        file.unlink()
        file.symlink_to(other)
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()
        file.mkdir()
    assert seccomp.default_filter(0) == made
    if damage != "directory":
        assert file.read_bytes() == made and not file.is_symlink()


def test_no_cache_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert seccomp.default_filter(0) == seccomp.program(())


def test_the_version_was_raised_with_the_program() -> None:
    """A cached program must not outlive the code that made it.

    When this fails, raise `seccomp.VERSION` and write the new pair down here.
    """
    digest = hashlib.sha256()
    for machine in ("x86_64", "aarch64"):
        for caps in CAPABILITIES:
            for single in (False, True):
                oci = profile.oci_seccomp(caps, machine, kernel=(6, 1))
                digest.update(seccomp.program(caps, oci=oci, single=single, arch=machine))
        digest.update(seccomp.program((), single=True, privileged=True, arch=machine))
    assert (seccomp.VERSION, digest.hexdigest()[:16]) == ("1", "62bafa4f5ff305c8")


def test_the_front_loads_nothing_heavy(cache: Path) -> None:
    seccomp.default_filter(0)
    code = (
        "import sys; before = set(sys.modules); from rootless.runtime import seccomp;"
        "seccomp.default_filter(0); print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"XDG_CACHE_HOME": str(cache.parent.parent), "HOME": "/"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"rootless.runtime.bpf", "rootless.runtime.profile", "struct", "re", "json"}
    assert not loaded & {"typing", "enum", "subprocess", "ctypes", "pathlib", "contextlib"}


def test_the_program_is_short() -> None:
    # the kernel walks it for every number when it is loaded; a linear one has over 1,300
    assert len(seccomp.program(capabilities.DEFAULT, arch="x86_64")) // 8 < 450
    assert bpf.MOST_INSTRUCTIONS * 8 == seccomp.LARGEST
