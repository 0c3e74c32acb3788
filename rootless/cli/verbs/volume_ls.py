"""`rootless volume ls`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, several, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "volume ls",
    "",
    "List volumes",
    (
        flag("-q --quiet", "names only"),
        several(
            "-f --filter",
            "KEY=VALUE",
            "name, label, dangling, anonymous, driver, opt, since, until",
        ),
        text("--format", "FORMAT", "json, table, table TEMPLATE, or a template as {{.Name}}"),
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
