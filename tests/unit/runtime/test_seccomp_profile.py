"""The default profile, profiles in files, and the tables of numbers that they are read with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rootless.errors import UsageError
from rootless.runtime import capabilities, profile, seccomp, syscalls


def test_tracing_is_refused_where_it_would_undo_the_filter() -> None:
    for kernel, want in (((4, 7), False), ((4, 8), True), ((5, 0), True)):
        oci = profile.oci_seccomp((), "x86_64", kernel=kernel)
        assert ("ptrace" in oci["syscalls"][0]["names"]) == want


def test_what_no_profile_names_is_refused() -> None:
    names = set(profile.oci_seccomp(capabilities.DEFAULT, "x86_64")["syscalls"][0]["names"])
    forbidden = "keyctl add_key request_key io_uring_setup userfaultfd mount unshare setns bpf"
    assert not names & set(f"{forbidden} kexec_load pivot_root swapon clone clone3".split())


# ------------------------------------------------- files of docker's format


def test_a_file_is_read_with_its_conditions(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 38,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
        ],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": None, "includes": {}},
            {"name": "write", "action": "SCMP_ACT_ALLOW"},
            {
                "names": ["mount"],
                "action": "SCMP_ACT_ALLOW",
                "includes": {"caps": ["CAP_SYS_ADMIN"]},
            },
            {
                "names": ["clone3"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 38,
                "excludes": {"caps": ["CAP_SYS_ADMIN"]},
            },
            {
                "names": ["ptrace"],
                "action": "SCMP_ACT_ALLOW",
                "includes": {"minKernel": "4.8"},
            },
            {
                "names": ["arch_prctl"],
                "action": "SCMP_ACT_ALLOW",
                "includes": {"arches": ["amd64", "x32"]},
            },
            {
                "names": ["chroot"],
                "action": "SCMP_ACT_ALLOW",
                "excludes": {"arches": ["arm64"]},
            },
        ],
    }
    file.write_text(json.dumps(document))

    def names(caps: Sequence[str], arch: str, kernel: tuple[int, int]) -> set[str]:
        oci = profile.load(str(file), caps, arch, kernel=kernel)
        assert "includes" not in oci["syscalls"][0]
        return {n for rule in oci["syscalls"] for n in rule["names"]}

    common = {"read", "write"}
    assert names((), "x86_64", (4, 7)) == common | {"clone3", "arch_prctl", "chroot"}
    assert names((), "aarch64", (4, 8)) == common | {"clone3", "ptrace"}
    admin = names(["CAP_SYS_ADMIN"], "x86_64", (6, 1))
    assert admin == common | {"mount", "ptrace", "arch_prctl", "chroot"}
    oci = profile.load(str(file), (), "x86_64")
    assert oci["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert oci["defaultErrnoRet"] == 38
    assert seccomp.program((), oci=oci, arch="x86_64")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"defaultAction": "ALLOW"}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_LOG"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"]}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [7]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": "all"}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],'
        ' "action": "SCMP_ACT_LOG", "includes": {"minKernel": "new"}}]}',
    ],
)
def test_a_file_that_is_no_profile_is_a_usage_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "p.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"p\.json"):
        profile.load(str(file), ())
    with pytest.raises(UsageError, match=r"none\.json"):
        profile.load(str(tmp_path / "none.json"), ())


# ------------------------------------------------- tables


def test_tables_agree_with_the_headers_of_this_machine() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    table = syscalls.table("x86_64")
    for line in header.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[1].startswith("__NR_") and words[1][5:] in table:
            assert table[words[1][5:]] == int(words[2])


@pytest.mark.parametrize("name", ["aarch64", "arm", "x32", "x86", "x86_64"])
def test_tables_are_whole(name: str) -> None:
    table = syscalls.table(name)
    base = syscalls.X32_BIT if name == "x32" else 0
    assert len(table) > 300
    assert table["mseal"] == base + 462
    assert syscalls.newest(table) < base + 600
    with pytest.raises(KeyError):
        syscalls.table("vax")
