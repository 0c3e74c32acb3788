"""`rootless network prune`."""

from __future__ import annotations

from rootless.cli.options import Verb, several
from rootless.cli.verbs._shared_options import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "network prune",
    "",
    "Remove unused networks",
    (FORCE, several("--filter", "KEY=VALUE", "Filter by label, label! or until")),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, print the names."""
    from rootless.cli import confirm, output

    what = "all networks not used by at least one container"
    if not call.options["force"] and not confirm.sure([what]):
        return 0
    for name in call.engine().networks.prune(output.filters(call.options["filter"])):
        output.line(name)
    return 0
