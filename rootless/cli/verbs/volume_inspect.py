"""`rootless volume inspect`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume inspect",
    "NAME...",
    "Display detailed information on one or more volumes",
    (output_format("{{.Mountpoint}}", short=True),),
    minimum=1,
    complete=("volume",),
)


def run(call: Call) -> int:
    """As `inspect --type volume`."""
    from rootless.cli.verbs import inspect

    call.options.update(type="volume", size=False)
    return inspect.run(call)
