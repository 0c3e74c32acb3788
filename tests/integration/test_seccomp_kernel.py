"""The kernel loads the filters and answers as they say.

A small C program loads a filter into itself, makes a list of system calls and prints what the
kernel answered: 0 or above for success, otherwise the negative error number.
"""

from __future__ import annotations

import errno
import os
import platform
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rootless.runtime import capabilities, profile, seccomp, syscalls

pytestmark = [
    pytest.mark.skipif(platform.machine() not in profile.MACHINES, reason="no tables"),
]

# usage: probe FILTER [i386] then on stdin lines "number a b c d e f"; an argument that is not a
# number is passed as the address of that text
SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long i386(long n, long a, long b, long c)
{
    long result = -ENOSYS;
#ifdef __x86_64__
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(n), "b"(a), "c"(b), "d"(c)
                     : "memory", "r8", "r9", "r10", "r11");
    result = (int)result;
#endif
    return result;
}

int main(int argc, char **argv)
{
    static struct sock_filter code[4097];
    static char line[4096];
    int fd = open(argv[1], O_RDONLY);
    ssize_t size = read(fd, code, sizeof code);
    struct sock_fprog program = {(unsigned short)(size / 8), code};
    struct timespec a, b;
    close(fd);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &a);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) {
        printf("load %d\n", -errno);
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    while (fgets(line, sizeof line, stdin)) {
        long values[7] = {0};
        int count = 0;
        for (char *word = strtok(line, " \n"); word && count < 7; word = strtok(NULL, " \n")) {
            char *end;
            values[count++] = (long)strtoull(word, &end, 0);
            if (*end)
                values[count - 1] = (long)strdup(word);
        }
        /* each call in a child: it may be killed, fork or exit */
        fflush(stdout);
        pid_t parent = getpid(), child = fork();
        if (child == 0) {
            long result = argc > 2 ? i386(values[0], values[1], values[2], values[3])
                                   : syscall(values[0], values[1], values[2], values[3], values[4],
                                             values[5], values[6]);
            if (getppid() != parent)
                _exit(0);
            if (argc <= 2 && result == -1)
                result = -errno;
            dprintf(1, "%ld\n", result);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFSIGNALED(status))
            printf("signal %d\n", WTERMSIG(status));
    }
    fprintf(stderr, "%ld\n", (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec);
    return 0;
}
"""

NUMBERS = syscalls.table(
    {"x86_64": "x86_64", "aarch64": "aarch64"}.get(platform.machine(), "x86_64")
)


class Probe:
    """The C program, built."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "probe"
        (directory / "probe.c").write_text(SOURCE)
        subprocess.run(["gcc", "-O1", "-o", str(self.path), str(directory / "probe.c")], check=True)

    def __call__(
        self, program: bytes, calls: Sequence[Sequence[Any]], *, i386: bool = False
    ) -> list[str]:
        file = self.directory / "filter.bpf"
        file.write_bytes(program)
        lines = [
            " ".join(str(NUMBERS.get(word, word) if n == 0 else word) for n, word in enumerate(c))
            for c in calls
        ]
        done = subprocess.run(
            [str(self.path), str(file), *(["i386"] if i386 else [])],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.nanoseconds = int(done.stderr)
        return done.stdout.splitlines()


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    return Probe(tmp_path)


DEFAULT = seccomp.program(capabilities.DEFAULT) if platform.machine() in profile.MACHINES else b""
CLONE_NEWUSER, CLONE_THREADLESS = 0x10000000, 17  # SIGCHLD


def test_the_default_filter_refuses_what_it_should(probe: Probe) -> None:
    calls = [
        ("keyctl", 0, 0, 0),
        ("mount", "none", "/", "tmpfs", 0, 0),
        ("unshare", CLONE_NEWUSER),
        ("setns", -1, 0),
        ("clone", CLONE_NEWUSER | CLONE_THREADLESS, 0, 0, 0, 0),
        ("clone", CLONE_THREADLESS | 0x40000000, 0, 0, 0, 0),
        ("bpf", 0, 0, 0),
        ("io_uring_setup", 0, 0),
        ("userfaultfd", 0),
        ("personality", 0x0400000),
        ("socket", 40, 1, 0),
        ("socket", 40 + (1 << 32), 1, 0),
        ("socket", 38, 5, 0),
    ]
    assert set(probe(DEFAULT, calls)) == {str(-errno.EPERM)}
    calls = [("clone3", 0, 0), (2000,), (470, 0), (0x3FFFFFFF,)]
    assert set(probe(DEFAULT, calls)) == {str(-errno.ENOSYS)}


def test_the_default_filter_allows_the_rest(probe: Probe) -> None:
    calls = [
        ("getuid",),
        ("personality", 0xFFFFFFFF),
        ("socket", 1, 1, 0),
        ("socket", 2, 1, 0),
        ("openat", -100, "/", 0, 0),
        ("prctl", 3, 0, 0, 0, 0),
    ]
    results = probe(DEFAULT, calls)
    assert results[0] == str(os.getuid())
    assert all(int(result) >= 0 for result in results), results
    # the clone family, seen from the parent
    assert int(probe(DEFAULT, [("clone", CLONE_THREADLESS, 0, 0, 0, 0)])[0]) > 0


def test_a_single_id_owns_everything_already(probe: Probe, tmp_path: Path) -> None:
    program = seccomp.program(capabilities.DEFAULT, single=True)
    file = tmp_path / "file"
    file.write_text("")
    device, fifo = tmp_path / "device", tmp_path / "fifo"
    owner = file.stat().st_uid
    calls = [
        ("fchownat", -100, file, 4321, 4321, 0),
        ("fchown", 0, 4321, 4321),
        ("setuid", 4321),
        ("setgid", 4321),
        ("setresuid", 4321, 4321, 4321),
        ("setresgid", 4321, 4321, 4321),
        ("setgroups", 1, "text"),
        ("setfsuid", 4321),
        ("capset", 0, 0),
        ("mknodat", -100, device, 0o020666, 0x103),
        ("mknodat", -100, fifo, 0o010666, 0),
        ("getuid",),
        ("unshare", CLONE_NEWUSER),
        ("clone3", 0, 0),
    ]
    if "chown" in NUMBERS:
        calls += [("chown", file, 4321, 4321), ("lchown", file, 4321, 4321)]
    results = [int(result) for result in probe(program, calls)]
    assert results[:11] == [0] * 11
    assert results[11:14] == [os.getuid(), -errno.EPERM, -errno.ENOSYS]
    assert results[14:] == [0] * (len(calls) - 14)
    assert file.stat().st_uid == owner
    assert not device.exists() and fifo.is_fifo()


def test_an_unconfined_single_id_is_not_confined(probe: Probe) -> None:
    program = seccomp.program((), single=True, privileged=True)
    results = probe(program, [("setgid", 4321), ("socket", 1, 1, 0), ("keyctl", 0, -3, 0)])
    assert results[0] == "0" and int(results[1]) >= 0
    assert results[2] != str(-errno.ENOSYS)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other entries into the kernel")
def test_the_other_entries_of_x86_64_are_filtered_too(probe: Probe) -> None:
    x86 = syscalls.table("x86")
    if probe(DEFAULT, [(x86["getpid"],)], i386=True)[0].startswith("signal"):
        return  # this kernel has no 32-bit entry
    calls = [
        (x86["keyctl"], 0, 0),
        (x86["mount"], 0, 0),
        (x86["unshare"], CLONE_NEWUSER),
        (x86["socket"], 40, 1, 0),
        # the upper half of a register is not seen by a 32-bit call
        (x86["socket"], 40 + (1 << 32), 1, 0),
        (x86["clone"], CLONE_NEWUSER | CLONE_THREADLESS, 0, 0),
    ]
    assert set(probe(DEFAULT, calls, i386=True)) == {str(-errno.EPERM)}
    assert probe(DEFAULT, [(x86["clone3"], 0, 0)], i386=True) == [str(-errno.ENOSYS)]
    single = seccomp.program(capabilities.DEFAULT, single=True)
    assert probe(single, [(x86["setuid32"], 4321)], i386=True) == ["0"]
    # x32 calls have a bit in the number; the kernel may lack them, then it says so
    x32 = syscalls.table("x32")
    assert probe(DEFAULT, [(x32["keyctl"], 0)]) == [str(-errno.EPERM)]
    only = {**profile.oci_seccomp((), ""), "architectures": ["SCMP_ARCH_X86_64"]}
    killed = seccomp.program((), oci=only)
    assert probe(killed, [(x32["getpid"],)]) == ["signal 31"]
    assert probe(killed, [(x86["getpid"],)], i386=True) == ["signal 31"]


def test_actions_and_operators_in_the_kernel(probe: Probe) -> None:
    def rule(action: str, op: str, value: int, two: int = 0, number: int = 1) -> dict[str, Any]:
        args = [{"index": 1, "value": value, "valueTwo": two, "op": "SCMP_CMP_" + op}]
        return {"names": ["dup3"], "action": action, "errnoRet": number, "args": args}

    oci = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            rule("SCMP_ACT_ERRNO", "EQ", 5 << 32, number=71),
            rule("SCMP_ACT_ERRNO", "MASKED_EQ", 0xF0, 0x50, number=72),
            rule("SCMP_ACT_ERRNO", "GT", 1 << 63, number=73),
            rule("SCMP_ACT_KILL_PROCESS", "EQ", 77),
            rule("SCMP_ACT_TRAP", "EQ", 78),
            rule("SCMP_ACT_LOG", "EQ", 79),
        ],
    }
    program = seccomp.program((), oci=oci)
    values = (5 << 32, 0x5A, (1 << 63) + 1, 77, 78, 79, 3)
    results = probe(program, [("dup3", -1, value, 0) for value in values])
    bad = str(-errno.EBADF)
    assert results == ["-71", "-72", "-73", "signal 31", "signal 31", bad, bad]


def test_the_longest_program_loads(probe: Probe) -> None:
    # long jumps, as the kernel's checker sees them
    names = sorted(NUMBERS, key=NUMBERS.__getitem__)
    rules = [
        {
            "names": [name],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 1 + index % 130,
            "args": [
                {"index": 3, "value": (index << 40) + 7, "op": "SCMP_CMP_EQ"},
                {"index": 4, "value": 7, "op": "SCMP_CMP_EQ"},
            ],
        }
        for index, name in enumerate(names)
    ]
    oci = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    program = seccomp.program((), oci=oci)
    assert len(program) // 8 > 2000
    index = names.index("getuid")
    results = probe(
        program, [("getuid",), ("getuid", 0, 0, 0, (index << 40) + 7, 7), ("getppid", 0, 0, 0, 7)]
    )
    assert results[0] == str(os.getuid()) and results[1] == str(-(1 + index % 130))


def test_a_filter_of_the_cache_is_the_same(
    probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mask = capabilities.mask(capabilities.DEFAULT)
    for _ in range(2):
        assert probe(seccomp.default_filter(mask), [("keyctl", 0)]) == [str(-errno.EPERM)]
    assert len(list(struct.iter_unpack("=HBBI", DEFAULT))) <= 4096
