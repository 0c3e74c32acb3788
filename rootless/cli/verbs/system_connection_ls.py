"""`rootless system connection ls`."""

from __future__ import annotations

from rootless.cli.options import Verb, text
from rootless.cli.verbs._shared_options import NAMES_ONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "system connection ls",
    "",
    "List connections: there are none",
    (
        text("-f --format", "FORMAT", "Output format: json, or a Go template", complete="json"),
        NAMES_ONLY,
    ),
    maximum=0,
    text="No other host is talked to: ssh HOST rootless ... does it.",
)


def run(call: Call) -> None:
    """The heading of an empty table."""
    from rootless.cli import output

    if call.options["format"] == "json":
        output.line("[]")
    elif not (call.options["quiet"] or call.options["format"]):
        output.line("Name        URI         Identity    Default")
