"""What `manifest add` and `manifest annotate` say of an image."""

from __future__ import annotations

from rootless.cli.options import several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

PLATFORM = (
    text("--arch", "ARCH", "Set the architecture", complete="amd64 arm64 arm riscv64"),
    text("--os", "OS", "Set the operating system"),
    text("--os-version", "VERSION", "Set the version of the operating system"),
    several("--os-features", "NAME", "Set a required feature of the operating system"),
    several("--features", "NAME", "Set a required feature of the CPU"),
    text("--variant", "NAME", "Set the variant of the architecture, as in v8"),
    several("--annotation", "KEY=VALUE", "Set an annotation"),
)


def changes(given: Json) -> Json:
    """These options in the names of the image index.  Raises UsageError."""
    from rootless.errors import UsageError

    notes = {}
    for word in given["annotation"]:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise UsageError(f'invalid --annotation "{word}"', hint="--annotation KEY=VALUE")
        notes[key] = value
    return {
        "architecture": given["arch"],
        "os": given["os"],
        "os.version": given["os_version"],
        "os.features": _split(given["os_features"]),
        "features": _split(given["features"]),
        "variant": given["variant"],
        "annotations": notes,
    }


def _split(words: list[str]) -> list[str]:
    return [part for word in words for part in word.split(",") if part]
