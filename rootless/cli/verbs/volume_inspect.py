"""`rootless volume inspect`."""

from __future__ import annotations

from rootless.cli.options import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume inspect",
    "NAME...",
    "Display detailed information on one or more volumes",
    (
        text(
            "-f --format",
            "FORMAT",
            "Output format: json, or a Go template as in {{.Mountpoint}}",
            complete="json",
        ),
    ),
    minimum=1,
    complete=("volume",),
)


def run(call: Call) -> int:
    """As `inspect --type volume`."""
    from rootless.cli.verbs import inspect

    call.options.update(type="volume", size=False)
    return inspect.run(call)
