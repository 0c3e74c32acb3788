"""Names of images: `[registry[:port]/]path[:tag][@digest]`, read by docker's rules.

Scope: syntax only; nothing is looked up.  Hot: no regular expressions, no imports.
Source: the reference grammar of the distribution project, and docker's habit of completing
`debian` to `docker.io/library/debian:latest`.
"""

from __future__ import annotations

from rootless.errors import UsageError

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_ALNUM = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TAG = _ALNUM | frozenset("_.-")
_HEX = frozenset("0123456789abcdef")
_NAME_MAX = 255
_TAG_MAX = 128


class Reference:
    """The parts of an image's name; `tag` and `digest` are empty where they were not given.

    `short`: no registry was written, so that it may be a name that was given here.
    """

    __slots__ = ("digest", "registry", "repository", "short", "tag")

    def __init__(
        self,
        registry: str,
        repository: str,
        tag: str = "",
        digest: str = "",
        *,
        short: bool = False,
    ) -> None:
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.digest = digest
        self.short = short

    @property
    def name(self) -> str:
        """Registry and repository: `docker.io/library/debian`."""
        return f"{self.registry}/{self.repository}"

    @property
    def canonical(self) -> str:
        """The whole name: `docker.io/library/debian:latest`, `…/debian@sha256:…`."""
        return self.name + self._suffix()

    @property
    def familiar(self) -> str:
        """The name as a user writes it: `debian:latest`, `alice/tool:1`, `quay.io/a/b:c`."""
        return self.familiar_name + self._suffix()

    @property
    def familiar_name(self) -> str:
        """As `familiar`, without tag and digest."""
        if self.registry != DEFAULT_REGISTRY:
            return self.name
        if self.repository.startswith("library/") and self.repository.count("/") == 1:
            return self.repository[8:]
        return self.repository

    def with_digest(self, digest: str) -> Reference:
        """Return the same repository, at this digest and no tag."""
        return Reference(self.registry, self.repository, "", digest)

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag

    def __str__(self) -> str:
        return self.canonical

    def __repr__(self) -> str:
        return f"Reference({self.canonical!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.canonical == other.canonical

    def __hash__(self) -> int:
        return hash(self.canonical)


def is_digest(text: str) -> bool:
    """Return whether `text` is `sha256:` and 64 lower-case hexadecimal digits."""
    return text.startswith("sha256:") and is_id(text[7:])


def is_id(text: str) -> bool:
    """Return whether `text` is 64 lower-case hexadecimal digits."""
    return len(text) == 64 and _HEX.issuperset(text)


def parse(text: str) -> Reference:
    """Read a name.  Raises UsageError, with a hint that says which part is wrong."""
    rest, digest, tag = text, "", ""
    if "@" in rest:
        rest, _, digest = rest.partition("@")
        if not is_digest(digest):
            raise _malformed(text, "a digest is sha256: followed by 64 lower-case hex digits")
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    if colon >= 0:
        rest, tag = rest[:colon], rest[colon + 1 :]
        if not _is_tag(tag):
            raise _malformed(
                text, "a tag has 1 to 128 letters, digits, '_', '.', '-', and starts with no dot"
            )
    if not rest:
        raise _malformed(text, "the name is empty; a name looks like debian, or quay.io/team/tool")
    if is_id(rest):
        raise UsageError(
            f"{text} is the id of an image, not a name", hint="give a name such as debian:latest"
        )
    registry, repository = _split(rest)
    short = repository == rest
    if not _is_registry(registry):
        raise _malformed(text, f"{registry!r} is not a host name with an optional port")
    for part in repository.split("/"):
        if not _is_component(part):
            raise _malformed(text, _why(part))
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = "library/" + repository
    if len(registry) + 1 + len(repository) > _NAME_MAX:
        raise _malformed(text, f"a name has at most {_NAME_MAX} characters")
    if not tag and not digest:
        tag = DEFAULT_TAG
    return Reference(registry, repository, tag, digest, short=short)


def _malformed(text: str, hint: str) -> UsageError:
    return UsageError(f"{text!r} is not the name of an image", hint=hint)


def _why(part: str) -> str:
    if not part:
        return "there is nothing between two slashes, or a slash at an end"
    if part != part.lower():
        return f"repository names are lower case; did you mean {part.lower()!r}?"
    return f"{part!r} is not made of a-z and 0-9, joined by '.', '_', '__' or '-'"


def _split(name: str) -> tuple[str, str]:
    """Tell a registry from the first part of a path, as docker does: by a dot, a colon, an
    upper-case letter, or the word localhost."""
    first, slash, rest = name.partition("/")
    if not slash or not (
        "." in first or ":" in first or first == "localhost" or first != first.lower()
    ):
        return DEFAULT_REGISTRY, name
    if first == "index.docker.io":
        first = DEFAULT_REGISTRY
    return first, rest


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= _TAG_MAX and _TAG.issuperset(tag) and tag[0] not in ".-"


def _is_registry(host: str) -> bool:
    if host.startswith("["):
        address, bracket, port = host[1:].partition("]")
        if not bracket or not (_HEX | {":", "."}).issuperset(address) or ":" not in address:
            return False
        if port and not port.startswith(":"):
            return False
        return not port or _is_port(port[1:])
    name, colon, port = host.partition(":")
    if colon and not _is_port(port):
        return False
    for label in name.split("."):
        if not label or not (_ALNUM | {"-"}).issuperset(label) or "-" in (label[0], label[-1]):
            return False
    return True


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536


def _is_component(part: str) -> bool:
    """Letters and digits, joined by one dot, one or two underscores, or any number of hyphens."""
    joint: str | None = None  # what stands since the last letter; None before the first
    for char in part:
        if char in _LOWER:
            joint = ""
        elif joint is None:
            return False
        else:
            joint += char
            if joint not in (".", "_", "__") and joint.strip("-"):
                return False
    return joint == ""
