"""`rootless volume ls`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume ls",
    "",
    "List volumes",
    (
        flag("-q --quiet", "Print only volume names"),
        several(
            "-f --filter",
            "KEY=VALUE",
            "Filter by name, label, dangling, anonymous, driver, opt, since or until",
        ),
        output_format("{{.Name}}", table=True),
    ),
    maximum=0,
)

_TITLES = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Mountpoint": "MOUNTPOINT",
    "Scope": "SCOPE",
    "CreatedAt": "CREATED",
    "Labels": "LABELS",
    "Options": "OPTIONS",
}


def run(call: Call) -> None:
    """Print the list."""
    from rootless.cli import output

    found = call.engine().volumes.list(output.filters(call.options["filter"]))
    if call.options["quiet"]:
        output.write("".join(one["Name"] + "\n" for one in found))
        return
    output.write(output.rows(found, call.options["format"], ("Driver", "Name"), _TITLES))
