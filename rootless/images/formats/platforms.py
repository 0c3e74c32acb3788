"""Platforms: the image of an index that suits a machine.

Scope: names of platforms, `os/architecture[/variant]`, as Go and OCI spell them.
Source: the OCI image index specification, platform variants.
"""

from __future__ import annotations

import os

from rootless.errors import RegistryError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv8l": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
    "mips64": ("mips64le", ""),
}
_SYNONYMS = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
    "armhf": "arm",
    "armel": "arm",
}
# The variants an image may have that a machine of this variant can run, the best first.
_VARIANTS = {
    ("amd64", ""): ("", "v1"),
    ("amd64", "v1"): ("v1", ""),
    ("amd64", "v2"): ("v2", "v1", ""),
    ("amd64", "v3"): ("v3", "v2", "v1", ""),
    ("amd64", "v4"): ("v4", "v3", "v2", "v1", ""),
    ("arm64", ""): ("v8", ""),
    ("arm64", "v8"): ("v8", ""),
    ("arm64", "v9"): ("v9", "v8", ""),
    ("arm", ""): ("v7", "", "v6", "v5"),
    ("arm", "v8"): ("v8", "v7", "", "v6", "v5"),
    ("arm", "v7"): ("v7", "", "v6", "v5"),
    ("arm", "v6"): ("v6", "v5", ""),
    ("arm", "v5"): ("v5", ""),
}


class Platform:
    """An operating system, a processor architecture, and a variant of it or ""."""

    __slots__ = ("architecture", "os", "variant")

    def __init__(self, os: str, architecture: str, variant: str = "") -> None:
        self.os = os
        self.architecture = architecture
        self.variant = variant

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Platform) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def variants(self) -> tuple[str, ...]:
        """Return the variants that this one can run, the best first."""
        return _VARIANTS.get((self.architecture, self.variant), (self.variant, ""))

    def runs(self, other: Platform) -> bool:
        """Return whether an image for `other` suits this platform."""
        return (self.os, self.architecture) == (other.os, other.architecture) and (
            other.variant in self.variants()
        )


def host() -> Platform:
    """Return the platform of this machine, from uname(2)."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    return Platform("linux", architecture, variant)


def parse(text: str) -> Platform:
    """Read `linux/arm64/v8`, `linux/amd64` or `arm64`.  Raises UsageError."""
    parts = text.lower().split("/")
    if len(parts) == 1 and parts[0] not in ("linux", ""):
        parts.insert(0, "linux")
    if not 2 <= len(parts) <= 3 or not all(
        part.replace("_", "").replace("-", "").replace(".", "").isalnum() for part in parts
    ):
        raise UsageError(
            f"{text!r} is not a platform", hint="write os/architecture[/variant]: linux/arm64/v8"
        )
    variant = parts[2] if len(parts) == 3 else ""
    if not variant and parts[1] in ("armhf", "armel"):
        variant = "v7" if parts[1] == "armhf" else "v6"
    return Platform(parts[0], _SYNONYMS.get(parts[1], parts[1]), variant)


def of(value: Json) -> Platform | None:
    """Return the platform in a descriptor of an index, None where it says none worth the name."""
    if not isinstance(value, dict):
        return None
    system, architecture = value.get("os"), value.get("architecture")
    variant = value.get("variant", "")
    if not (isinstance(system, str) and isinstance(architecture, str) and isinstance(variant, str)):
        return None
    # Attestations hang in an index under the platform unknown/unknown.
    if "unknown" in (system, architecture):
        return None
    return Platform(system, architecture, variant)


def choose(descriptors: list[dict[str, Json]], wanted: Platform, what: str) -> dict[str, Json]:
    """Return the descriptor that suits `wanted` best.  Raises RegistryError with what there is.

    A single descriptor without a platform suits everybody: such indexes are written by tools that
    know of one platform only.
    """
    offered = [(of(entry.get("platform")), entry) for entry in descriptors]
    best: tuple[int, dict[str, Json]] | None = None
    for platform, entry in offered:
        if platform is not None and wanted.runs(platform):
            rank = wanted.variants().index(platform.variant)
            if best is None or rank < best[0]:
                best = rank, entry
    if best is not None:
        return best[1]
    if len(descriptors) == 1 and "platform" not in descriptors[0]:
        return descriptors[0]
    there = sorted({str(platform) for platform, _ in offered if platform is not None})
    raise RegistryError(
        f"{what} has no image for {wanted}",
        hint="there is " + ", ".join(there) if there else "its index names no platform at all",
    )
