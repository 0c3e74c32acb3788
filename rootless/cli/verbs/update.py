"""`rootless update`."""

from __future__ import annotations

from rootless.cli.options import Verb, text
from rootless.cli.verbs._container_options import LIMITS
from rootless.cli.verbs._health_options import OPTIONS as HEALTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "update",
    "CONTAINER...",
    "Update the configuration of one or more containers",
    sections=(
        (
            "Options",
            (
                text("--restart", "POLICY",
                     "Restart policy: no, on-failure[:N], always or unless-stopped",
                     complete="no on-failure always unless-stopped"),
            ),
        ),
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
