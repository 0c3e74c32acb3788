"""`rootless volume import`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume import",
    "NAME [FILE]",
    "Import the contents of a tar archive into a volume",
    minimum=1,
    maximum=2,
    complete=("volume", "file"),
    text="Reads standard input without FILE or with -. Existing files that are not in the "
    "archive are not removed.",
    examples="rootless volume import papers papers.tar\n"
    "rootless volume export papers | rootless volume import copy -",
)


def run(call: Call) -> None:
    """Unpack it."""
    import os

    from rootless.errors import NotFound

    volumes = call.engine().volumes
    path = call.words[1] if len(call.words) > 1 else "-"
    if path == "-":
        volumes.import_archive(call.words[0], 0)
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"cannot read {path}: {(error.strerror or '').lower()}") from None
    try:
        volumes.import_archive(call.words[0], fd)
    finally:
        os.close(fd)
