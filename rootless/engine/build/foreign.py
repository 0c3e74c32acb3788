"""Whether steps of another architecture can run here: an emulator that the kernel knows.

Source: kernel documentation, admin-guide/binfmt-misc.rst.
"""

from __future__ import annotations

import os
import struct

from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.build.dockerfile.platforms import Platform

_DIRECTORY = "/proc/sys/fs/binfmt_misc"
# architecture: machine of ELF headers, 64 bits, little endian; and the name of qemu's emulator
_MACHINES = {
    "386": (3, False, True, "i386"), "amd64": (62, True, True, "x86_64"),
    "arm": (40, False, True, "arm"), "arm64": (183, True, True, "aarch64"),
    "loong64": (258, True, True, "loongarch64"), "mips64le": (8, True, True, "mips64el"),
    "ppc64le": (21, True, True, "ppc64le"), "riscv64": (243, True, True, "riscv64"),
    "s390x": (22, True, False, "s390x"),
}  # fmt: skip


def check(platform: Platform) -> None:
    """Refuse a platform whose programs nothing here can run.  Raises HostError."""
    from rootless.images.formats import platforms

    wanted = platforms.Platform(platform.os, platform.architecture, platform.variant)
    if platforms.host().runs(wanted):
        return
    name = _MACHINES.get(platform.architecture, (0, False, True, platform.architecture))[3]
    hint = (
        f"as root: apt install qemu-user-static binfmt-support, or register qemu-{name}-static "
        "with the flag F; or let RUN be in a stage with FROM --platform=$BUILDPLATFORM"
    )
    if platform.os != "linux":
        raise HostError(f"RUN for {platform} cannot be done here: it is no Linux", hint=hint)
    why = _why_not(platform.architecture)
    if why:
        raise HostError(f"RUN for {platform} cannot be done here: {why}", hint=hint)


def _why_not(architecture: str) -> str:
    """Why the kernel would not run these programs; "" if it does."""
    if architecture not in _MACHINES:
        return "no emulator is known for it"
    header = _header(architecture)
    try:
        names = sorted(os.listdir(_DIRECTORY))
    except OSError:
        names = []
    if "status" not in names:
        return f"{_DIRECTORY} is not mounted, so the kernel knows no emulators"
    closed = ""
    for name in names:
        if name in ("register", "status"):
            continue
        try:
            with open(os.path.join(_DIRECTORY, name), encoding="ascii", errors="replace") as file:
                rule = file.read().split("\n")
        except OSError:
            continue
        if not _matches(rule, header):
            continue
        # without F it is looked for in the image, which has none
        if any(line.startswith("flags:") and "F" in line for line in rule):
            return ""
        closed = f"the emulator {name} is registered without the flag F, and images have none"
    return closed or "the kernel knows no emulator for it"


def _header(architecture: str) -> bytes:
    """The first bytes of a program of this architecture."""
    machine, wide, little, _ = _MACHINES[architecture]
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if little else 2, 1, 0)) + bytes(8)
    return ident + struct.pack("<HHI" if little else ">HHI", 2, machine, 1) + bytes(40)


def _matches(rule: list[str], header: bytes) -> bool:
    """Whether a rule that is enabled is for programs with this header."""
    if "enabled" not in rule:
        return False
    found = dict(line.split(" ", 1) for line in rule if " " in line)
    try:
        magic = bytes.fromhex(found.get("magic", ""))
        mask = bytes.fromhex(found["mask"]) if "mask" in found else b"\xff" * len(magic)
        offset = int(found.get("offset", "0"))
    except ValueError:
        return False
    part = header[offset : offset + len(magic)]
    if not magic or len(part) != len(magic) or len(mask) != len(magic):
        return False
    return bytes(a & b for a, b in zip(part, mask, strict=True)) == magic
