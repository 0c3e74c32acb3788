"""`rootless update`."""

from __future__ import annotations

from rootless.cli.container_flags import HEALTH, LIMITS, RESTART
from rootless.cli.options import Verb
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "update",
    "CONTAINER...",
    "Update the configuration of one or more containers",
    sections=(
        ("Options", (RESTART, LATEST)),
        ("Resource limit options", LIMITS),
        ("Health check options", HEALTH),
    ),
    complete=("container",),
    text="Changes apply at once to running containers, and at every later start. Settings "
    "that are not given stay unchanged.",
    examples="rootless update -m 1g --cpus 2 web\nrootless update --health-interval 1m web",
)  # fmt: skip


def run(call: Call) -> int:
    """Do it to each."""
    from rootless.cli.verbs import _several

    words = {name: value for name, value in call.options.items() if name != "latest"}
    return _several.side_by_side(call, lambda one: one.update(**words))
