"""`rootless network inspect`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "network inspect",
    "NAME...",
    "Display detailed information on one or more networks",
    (output_format("{{.subnets}}", short=True),),
    minimum=1,
    complete=("network",),
)


def run(call: Call) -> int:
    """As `inspect --type network`."""
    from rootless.cli.verbs import inspect

    call.options.update(type="network", size=False)
    return inspect.run(call)
