"""`rootless update`."""

from __future__ import annotations

from rootless.cli.verbs._container_options import LIMITS
from rootless.cli.verbs._health_options import OPTIONS as HEALTH
from rootless.cli.words import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "update",
    "CONTAINER...",
    "Change the limits and health checks of containers",
    (
        *LIMITS,
        text("--restart", "POLICY", "no, on-failure[:N], always or unless-stopped",
             complete="no on-failure always unless-stopped"),
        *HEALTH,
    ),
    complete=("container",),
    text="Now, if they run, and for every later start.  What is not named stays as it is.",
    examples="rootless update -m 1g --cpus 2 web\nrootless update --health-interval 1m web",
)  # fmt: skip


def run(call: Call) -> int:
    """Do it to each."""
    from rootless.cli.verbs import _several

    words = dict(call.options)
    return _several.side_by_side(call, lambda one: one.update(**words))
