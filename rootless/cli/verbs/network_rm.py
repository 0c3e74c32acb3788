"""`rootless network rm`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "network rm",
    "NAME...",
    "Remove one or more networks",
    (flag("-f --force", "Remove the containers on them as well"),),
    minimum=1,
    complete=("network",),
)


def run(call: Call) -> int:
    """Remove each."""
    from rootless.cli import output

    networks = call.engine().networks
    force = call.options["force"]
    return output.each(call.words, lambda word: networks.remove(word, force=force), missing=1)
