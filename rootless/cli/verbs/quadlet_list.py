"""`rootless quadlet list`."""

from __future__ import annotations

from rootless.cli.options import Verb, output_format, several
from rootless.cli.verbs._shared_options import NOHEADING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "quadlet list",
    "",
    "List the installed unit files",
    (
        several("-f --filter", "KEY=VALUE", "Filter by name=PATTERN or status=STATUS"),
        output_format("{{.Name}}", table=True),
        NOHEADING,
    ),
    maximum=0,
    examples="rootless quadlet list\nrootless quadlet list --filter 'name=web*' --format json",
)

_TITLES = {
    "Name": "NAME",
    "UnitName": "UNIT NAME",
    "Path": "PATH ON DISK",
    "Status": "STATUS",
    "App": "APPLICATION",
    "Error": "ERROR",
}


def run(call: Call) -> None:
    """Print the list; what is wrong with a file goes to standard error."""
    from rootless.cli import output
    from rootless.engine.systemd import quadlet as systemd_quadlet
    from rootless.errors import UsageError

    given = output.filters(call.options["filter"])
    for key in given:
        if key not in ("name", "status"):
            raise UsageError(f'unknown filter "{key}"', hint="name=PATTERN or status=STATUS")
    found = systemd_quadlet.listing()
    if given:
        import fnmatch

        fields = {"name": "Name", "status": "Status"}
        found = [
            row
            for row in found
            if all(
                any(fnmatch.fnmatchcase(row[fields[key]], one) for one in values)
                for key, values in given.items()
            )
        ]
    shown = ("Name", "UnitName", "Path", "Status", "App")
    heading = not call.options["noheading"]
    output.write(output.rows(found, call.options["format"], shown, _TITLES, heading=heading))
    for row in found:
        if row["Error"] and call.options["format"] != "json":
            output.remark(f"note: {row['Error']}\n")
