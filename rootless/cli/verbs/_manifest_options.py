"""What `manifest add` and `manifest annotate` say of an image."""

from __future__ import annotations

from rootless.cli.words import several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

PLATFORM = (
    text("--arch", "ARCH", "the processor architecture", complete="amd64 arm64 arm riscv64"),
    text("--os", "OS", "the operating system"),
    text("--os-version", "VERSION", "its version"),
    several("--os-features", "NAME", "what it must have"),
    several("--features", "NAME", "what the processor must have"),
    text("--variant", "NAME", "the variant of the architecture, as v8"),
    several("--annotation", "KEY=VALUE", "a note in the list"),
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
