"""`rootless service list`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "service list",
    "",
    "List the services of rootless",
    (output_format("{{.Name}}", table=True),),
    maximum=0,
)

_SHOWN = ("Name", "Unit", "Enabled", "State", "Purpose")


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output
    from rootless.engine.systemd import builtin_units

    titles = {name: name.upper() for name in _SHOWN}
    output.write(output.rows(builtin_units.listing(), call.options["format"], _SHOWN, titles))
