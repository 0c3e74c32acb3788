"""`rootless manifest rm`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "manifest rm",
    "LIST...",
    "Remove manifest lists without removing their images",
    minimum=1,
    complete=("list",),
    examples="rootless manifest rm team/app:1",
)


def run(call: Call) -> int:
    """Remove each, print its name."""
    from rootless.cli import output

    manifests = call.engine().manifests

    def remove(name: str) -> str:
        manifests.remove(name)
        return name

    return output.each(call.words, remove)
