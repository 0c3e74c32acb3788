"""Platforms: `linux/amd64`, `linux/arm/v7`, `arm64`.  Scope: pure."""

from __future__ import annotations

import re

from rootless.build.dockerfile.frozen import Frozen

_PART = re.compile(r"[A-Za-z0-9_.-]+")
_SYSTEMS = frozenset(
    "aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris "
    "wasip1 windows zos".split()
)
_SAME_SYSTEM = {"macos": "darwin"}
_SAME = {
    "i386": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
ARCHITECTURES = frozenset(
    "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x "
    "wasm".split()
)


class Platform(Frozen):
    """What an image runs on.  `str()` is `os/architecture[/variant]`."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def parse_platform(text: str, default: Platform | None = None) -> Platform | None:
    """Read a platform; None for what is none.  `default` has what a single word leaves open."""
    default = default or Platform()
    parts = text.split("/")
    if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
        return None
    if len(parts) == 1:
        word = parts[0].lower()
        system = _SAME_SYSTEM.get(word, word)
        if system in _SYSTEMS:
            return Platform(system, default.architecture, default.variant)
        architecture, variant = normalized(word)
        if architecture not in ARCHITECTURES:
            return None
        return Platform(default.os, architecture, variant)
    system = _SAME_SYSTEM.get(parts[0].lower(), parts[0].lower())
    architecture, variant = normalized(parts[1], parts[2] if len(parts) == 3 else "")
    return Platform(system, architecture, variant)


def normalized(architecture: str, variant: str = "") -> tuple[str, str]:
    """Return the names that images use: `x86_64` is amd64, `arm64/v8` is arm64, arm is arm/v7."""
    architecture, variant = architecture.lower(), variant.lower()
    if architecture in _SAME:
        architecture, implied = _SAME[architecture]
        variant = variant or implied
    if architecture == "arm64" and variant in ("8", "v8"):
        variant = ""
    elif architecture == "arm":
        variant = variant or "v7"
        variant = f"v{variant}" if variant.isdecimal() else variant
    elif architecture == "amd64" and variant == "v1":
        variant = ""
    return architecture, variant
