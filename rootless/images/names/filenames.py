"""How names of images become names of files, and which names a short one may stand for.

Hot: no imports that cost anything.
"""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.images.names import reference

_LONGEST = 200  # bytes; file systems allow 255, and a temporary name is longer


def quote(canonical: str) -> str:
    """Return the name of the file that says whose this name is."""
    quoted = canonical.replace("/", "%2F")
    # what ends so is a writer's temporary file to everybody else, but it is a legal tag
    return quoted[:-4] + "%2Etmp" if quoted.endswith(".tmp") else quoted


def unquote(quoted: str) -> str:
    """Return the opposite of `quote`."""
    return quoted.replace("%2F", "/").replace("%2E", ".")


def union(first: list[str], second: list[str]) -> list[str]:
    """Return the items of both, each once, in order."""
    return [*first, *[item for item in second if item not in first]]


def familiar(canonical: str) -> str:
    """Return the name as users write it."""
    return reference.parse(canonical).familiar


def tagged(name: str) -> reference.Reference:
    """Return a reference that can be a tag.  Raises UsageError."""
    parsed = reference.parse(name)
    if parsed.digest:
        raise UsageError(
            f"{name} cannot be given to an image: it contains a digest",
            hint="give a name with a tag, such as mine:1.0",
        )
    if len(quote(parsed.canonical)) > _LONGEST:
        raise UsageError(
            f"the name {name} is too long", hint=f"{_LONGEST} characters are the limit"
        )
    return parsed


def candidates(wanted: reference.Reference) -> list[str]:
    """Return the canonical name; before it, for a short one, the name of an image made here.

    `localhost/` is found first, as podman does: who gave that name wants that image.
    """
    if not wanted.short:
        return [wanted.canonical]
    return [f"localhost/{wanted.familiar_name}:{wanted.tag}", wanted.canonical]
