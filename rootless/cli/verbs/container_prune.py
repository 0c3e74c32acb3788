"""`rootless container prune`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "container prune",
    "",
    "Remove all stopped containers",
    (
        flag("-f --force", "Do not prompt for confirmation"),
        several("--filter", "KEY=VALUE", "Filter as ps does"),
    ),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, print the ids."""
    from rootless.cli import asking, output

    if not call.options["force"] and not asking.sure(["all stopped containers"]):
        return 0
    for gone in call.engine().containers.prune(output.filters(call.options["filter"])):
        output.line(gone)
    return 0
