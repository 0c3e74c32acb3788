"""`rootless update`."""

from __future__ import annotations

from rootless.cli.container_flags import HEALTH, LIMITS, RESTART
from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "update",
    "CONTAINER...",
    "Update the configuration of one or more containers",
    sections=(
        ("Options", (RESTART,)),
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

    words = dict(call.options)
    return _several.side_by_side(call, lambda one: one.update(**words))
